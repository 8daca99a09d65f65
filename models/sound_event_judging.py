"""Judgement of sound events: thresholds chosen on validation, events counted on test.

For each class the threshold and the length of its median filter are those with the highest
event-based F1 on validation; of equal ones the middle one. With them, test gives the F1 of each
class, micro and macro. PSDS hears test at every threshold of THRESHOLDS, the same one for all
classes, with each class's filter.

Events of one class that overlap in a scene are one event here, in all counts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.detector import Detector
from models.event_f1 import EventCounts, count_events, macro_f1, micro
from models.psds import PsdsReference, psds
from models.sound_events import (
    EventClock,
    EventRule,
    Scores,
    class_events,
    find_events,
    joined,
    medians,
)
from schemas.detection import ScoredRecording, SoundEvent
from schemas.recipe import Collars, LabelWindow, SoundEvents

THRESHOLDS = 1.0 / (1.0 + np.exp(-np.linspace(-6.0, 6.0, 49)))
"""Equally spaced in log odds, from 0.0025 to 0.9975."""


@dataclass(frozen=True)
class Choice:
    """What validation chose.

    Attributes:
        rule: thresholds and filters.
        counts: of each class on validation with that rule.
    """

    rule: EventRule
    counts: dict[str, EventCounts]

    @property
    def macro_f1(self) -> float:
        """Of validation; 0 where it has no event at all."""
        value = macro_f1(self.counts.values())
        return 0.0 if math.isnan(value) else value


def clock_of(detector: Detector, judging: SoundEvents, window: LabelWindow) -> EventClock:
    """Return the clock of a detector that was taught with a label window."""
    rate = detector.sample_rate_hz
    hop_s = detector.hop_samples / rate
    return EventClock(
        hop_s=hop_s,
        warmup_s=detector.warmup_samples / rate,
        delay_s=window.delay_s,
        min_steps=max(1, round(judging.min_duration_s / hop_s)),
    )


def choose(
    recordings: Sequence[ScoredRecording],
    labels: tuple[str, ...],
    clock: EventClock,
    judging: SoundEvents,
) -> Choice:
    """Choose the rule on validation: class by class, as no class's events depend on another's."""
    steps = sorted({2 * round(length / clock.hop_s / 2) + 1 for length in judging.medians_s})
    chosen = [
        _choose_class(recordings, label, index, clock, steps, judging.collars)
        for index, label in enumerate(labels)
    ]
    thresholds, medians_, counts = zip(*chosen, strict=True)
    rule = EventRule(clock, labels, thresholds, medians_)
    return Choice(rule, dict(zip(labels, counts, strict=True)))


def count(
    recordings: Sequence[ScoredRecording], rule: EventRule, collars: Collars
) -> dict[str, EventCounts]:
    """Return each class's counts over all recordings."""
    totals = dict.fromkeys(rule.labels, EventCounts())
    for recording in recordings:
        there = _reference(recording, rule.labels)
        one = count_events(find_events(recording, rule), there, rule.labels, collars)
        totals = {label: totals[label] + one[label] for label in rule.labels}
    return totals


def psds_of(
    recordings: Sequence[ScoredRecording], rule: EventRule, judging: SoundEvents
) -> float | None:
    """Return PSDS with the rule's filters, or None where no recording has an event."""
    labels = rule.labels
    there = [_reference(recording, labels) for recording in recordings]
    if not any(there):
        return None
    reference = PsdsReference(there, [r.duration_s for r in recordings], labels)
    filtered = [
        [medians(r.scores[:, i], steps) for i, steps in enumerate(rule.median_steps)]
        for r in recordings
    ]
    points = []
    for threshold in THRESHOLDS.tolist():
        found = [
            _events(one, rule, threshold, float(r.times_s[-1]))
            for r, one in zip(recordings, filtered, strict=True)
        ]
        points.append(reference.rates(found, judging.psds))
    return psds(points, judging.psds)


def judge_sound_events(
    recordings: Sequence[ScoredRecording], choice: Choice, judging: SoundEvents
) -> dict[str, Any]:
    """Return what the report says of test recordings, as plain values; None where undefined."""
    rule = choice.rule
    counts = count(recordings, rule, judging.collars)
    macro = macro_f1(counts.values())
    return {
        "measure": "sound_events",
        "macro_f1": None if math.isnan(macro) else macro,
        "micro": numbers(micro(counts.values())),
        "psds": psds_of(recordings, rule, judging),
        "classes": {
            label: numbers(counts[label])
            | {
                "threshold": rule.thresholds[index],
                "median_s": rule.median_steps[index] * rule.clock.hop_s,
                "validation": numbers(choice.counts[label]),
                "num_takes": _num_takes(recordings, label),
            }
            for index, label in enumerate(rule.labels)
        },
        "validation": {
            "macro_f1": choice.macro_f1,
            "micro": numbers(micro(choice.counts.values())),
        },
        "num_recordings": len(recordings),
        "hours": sum(r.duration_s for r in recordings) / 3600.0,
        "counting": judging.model_dump(mode="json"),
        "delay_s": rule.clock.delay_s,
        "rule": rule.values(),
    }


def numbers(counts: EventCounts) -> dict[str, Any]:
    """Return counts with what follows from them, as plain values; None where undefined."""
    shares = {"f1": counts.f1, "precision": counts.precision, "recall": counts.recall}
    return {
        "num_matches": counts.num_matches,
        "num_found": counts.num_found,
        "num_reference": counts.num_reference,
    } | {name: None if math.isnan(value) else value for name, value in shares.items()}


def _choose_class(
    recordings: Sequence[ScoredRecording],
    label: str,
    index: int,
    clock: EventClock,
    steps: Sequence[int],
    collars: Collars,
) -> tuple[float, int, EventCounts]:
    """The best threshold and median of a class, and its counts with them."""
    there = [_reference(r, (label,)) for r in recordings]
    rows = []
    for size in steps:
        filtered = [medians(r.scores[:, index], size) for r in recordings]
        for threshold in THRESHOLDS.tolist():
            total = EventCounts()
            for recording, scores, reference in zip(recordings, filtered, there, strict=True):
                end_s = float(recording.times_s[-1])
                found = class_events(scores, clock, label=label, threshold=threshold, end_s=end_s)
                total += count_events(found, reference, (label,), collars)[label]
            rows.append((threshold, size, total))
    best = max(_f1(total) for _, _, total in rows)
    equal = [row for row in rows if _f1(row[2]) == best]
    return equal[len(equal) // 2]


def _f1(counts: EventCounts) -> float:
    """For choosing: a class without a reference wants to be found nowhere."""
    return counts.f1 if counts.num_reference else -float(counts.num_found)


def _events(
    filtered: Sequence[Scores], rule: EventRule, threshold: float, end_s: float
) -> list[SoundEvent]:
    return [
        event
        for scores, label in zip(filtered, rule.labels, strict=True)
        for event in class_events(scores, rule.clock, label=label, threshold=threshold, end_s=end_s)
    ]


def _reference(recording: ScoredRecording, labels: tuple[str, ...]) -> tuple[SoundEvent, ...]:
    """The keywords; sounds that are no keywords are background, whatever they are called."""
    keywords = (e for e in recording.events if e.kind == "keyword" and e.label in labels)
    return joined(keywords)


def _num_takes(recordings: Sequence[ScoredRecording], label: str) -> int:
    return len({e.source for r in recordings for e in r.events if e.label == label and e.source})
