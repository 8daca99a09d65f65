"""Sound events, with an onset and an offset, from the scores of a detector.

Of each class by itself: its scores pass a median filter of `median_steps` steps (odd, centred,
zeros before the start and after the end), a run of steps at or above its threshold is an event, and
runs shorter than `min_steps` are dropped. Step j, known at t_j = warmup + (j + 1)·hop, speaks
for the hop that ends at t_j − delay; so a run from step i to step j is the event

    [t_i − hop − delay, t_j − delay), cut where the sound begins

and its score the highest filtered one. A run that the end of the sound cuts off lasts until then,
as nobody heard it end. An event of a stream is told when the run is over, that is delay + half a
median filter later than its offset, and it is the same event, whatever pieces the stream came in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import median_filter

from schemas.detection import ReferenceEvent, ScoredRecording, SoundEvent
from schemas.errors import RequestError

Scores = npt.NDArray[np.float32]


@dataclass(frozen=True)
class EventClock:
    """When the steps of a detector are, and how short an event may be.

    Attributes:
        hop_s: between two steps.
        warmup_s: heard before the first step's own hop.
        delay_s: between a sound and the step that answers for it.
        min_steps: fewest steps of an event.
        first_s: when the sound begins: after a gap in a stream, later than 0.
    """

    hop_s: float
    warmup_s: float = 0.0
    delay_s: float = 0.0
    min_steps: int = 1
    first_s: float = 0.0

    def event(
        self, start: int, stop: int, label: str, score: float, *, end_s: float | None = None
    ) -> list[SoundEvent]:
        """Return the event of steps start … stop − 1; none if too short or before all sound.

        Args:
            start: first step.
            stop: the step after the last.
            label: its class.
            score: its peak.
            end_s: of the sound, if that cut the event off.
        """
        first_s = self.warmup_s - self.delay_s
        onset_s = max(self.first_s, first_s + start * self.hop_s)
        offset_s = first_s + stop * self.hop_s if end_s is None else end_s
        if stop - start < self.min_steps or offset_s <= onset_s:
            return []
        return [SoundEvent(onset_s, offset_s, label, score)]


@dataclass(frozen=True)
class EventRule:
    """How scores become events.

    Attributes:
        clock: of the steps.
        labels: class of each score.
        thresholds: of each class.
        median_steps: of each class, odd.

    Raises:
        RequestError: not one threshold and one odd length for each label.
    """

    clock: EventClock
    labels: tuple[str, ...]
    thresholds: tuple[float, ...]
    median_steps: tuple[int, ...]

    def __post_init__(self) -> None:
        if not len(self.labels) == len(self.thresholds) == len(self.median_steps):
            raise RequestError(
                f"{len(self.thresholds)} thresholds and {len(self.median_steps)} filters",
                expected=f"one of each for {len(self.labels)} labels",
            )
        if not all(steps > 0 and steps % 2 for steps in self.median_steps):
            raise RequestError(
                f"median filters of {self.median_steps} steps", expected="odd lengths above 0"
            )

    def values(self) -> dict[str, Any]:
        """Return all but the labels as plain values, for JSON; `of` reads them."""
        thresholds, sizes = list(self.thresholds), list(self.median_steps)
        return asdict(self.clock) | {"thresholds": thresholds, "median_steps": sizes}

    @classmethod
    def of(cls, labels: Sequence[str], values: Mapping[str, Any]) -> EventRule:
        """Return the rule that `values` was made of."""
        names = {field.name for field in fields(EventClock)} & values.keys()
        clock = EventClock(**{name: values[name] for name in names})
        sizes = tuple(values["median_steps"])
        return cls(clock, tuple(labels), tuple(values["thresholds"]), sizes)


def medians(scores: Scores, size: int) -> Scores:
    """(steps,) → (steps,): centred medians of an odd number of scores, zeros before and after."""
    return median_filter(scores, size, mode="constant", cval=0.0)


def class_events(
    filtered: Scores, clock: EventClock, *, label: str, threshold: float, end_s: float
) -> list[SoundEvent]:
    """Return the events of one class in a whole recording.

    Args:
        filtered: (steps,) float32, what `medians` returns.
        clock: of the steps.
        label: the class.
        threshold: a run of scores at or above it is an event.
        end_s: when the last step is known.
    """
    above = np.concatenate(([False], filtered >= threshold, [False]))
    changes = np.flatnonzero(above[1:] != above[:-1]).tolist()
    events = []
    for start, stop in zip(changes[::2], changes[1::2], strict=True):
        cut_s = end_s if stop == len(filtered) else None
        peak = float(filtered[start:stop].max())
        events += clock.event(start, stop, label, peak, end_s=cut_s)
    return events


def find_events(recording: ScoredRecording, rule: EventRule) -> list[SoundEvent]:
    """Return the events of a whole recording, by onset."""
    if not len(recording.times_s):
        return []
    found = [
        event
        for index, label in enumerate(rule.labels)
        for event in class_events(
            medians(recording.scores[:, index], rule.median_steps[index]),
            rule.clock,
            label=label,
            threshold=rule.thresholds[index],
            end_s=float(recording.times_s[-1]),
        )
    ]
    return sorted(found, key=lambda event: (event.onset_s, event.label))


def joined(events: Iterable[ReferenceEvent | SoundEvent]) -> tuple[SoundEvent, ...]:
    """Return the stretches in which each class sounds, by onset.

    Events of one class that overlap or touch become one: scores by class can't tell them apart.
    """
    ends: dict[str, list[list[float]]] = {}
    for event in sorted(events, key=lambda e: e.onset_s):
        spans = ends.setdefault(event.label, [])
        if spans and event.onset_s <= spans[-1][1]:
            spans[-1][1] = max(spans[-1][1], event.offset_s)
        else:
            spans.append([event.onset_s, event.offset_s])
    found = [SoundEvent(a, b, label) for label, spans in ends.items() for a, b in spans]
    return tuple(sorted(found, key=lambda event: (event.onset_s, event.label)))


class SoundEventDetector:
    """Turns the scores of one stream into events, whatever pieces they come in."""

    def __init__(self, rule: EventRule) -> None:
        self._classes = [_OneClass(rule, index) for index in range(len(rule.labels))]
        self._end_s = 0.0

    def process(self, times_s: npt.NDArray[np.float64], scores: Scores) -> list[SoundEvent]:
        """Take the next scores; return the events that are known to be over.

        Args:
            times_s: (n,) float64, when each step is known; n ≥ 0.
            scores: (n, labels) float32 in [0, 1].
        """
        if len(times_s):
            self._end_s = float(times_s[-1])
        return [e for i, one in enumerate(self._classes) for e in one.process(scores[:, i])]

    def flush(self) -> list[SoundEvent]:
        """End the stream; return the events that were not known to be over."""
        return [event for one in self._classes for event in one.flush(self._end_s)]


class _OneClass:
    """The median filter's memory and the run that isn't over."""

    def __init__(self, rule: EventRule, index: int) -> None:
        self._clock, self._label = rule.clock, rule.labels[index]
        self._threshold, self._size = rule.thresholds[index], rule.median_steps[index]
        self._heard = np.zeros(self._size // 2, np.float32)
        self._step = 0
        self._start: int | None = None
        self._peak = 0.0

    def process(self, scores: Scores) -> list[SoundEvent]:
        heard = np.concatenate([self._heard, scores])
        half = self._size // 2
        num_known = max(0, len(heard) - 2 * half)
        self._heard = heard[num_known:]
        events = []
        for value in medians(heard, self._size)[half : half + num_known].tolist():
            events += self._take(value)
        return events

    def flush(self, end_s: float) -> list[SoundEvent]:
        events = self.process(np.zeros(self._size // 2, np.float32))
        if self._start is not None:
            start, self._start = self._start, None
            events += self._clock.event(start, self._step, self._label, self._peak, end_s=end_s)
        return events

    def _take(self, value: float) -> list[SoundEvent]:
        step, self._step = self._step, self._step + 1
        if value >= self._threshold:
            if self._start is None:
                self._start, self._peak = step, 0.0
            self._peak = max(self._peak, value)
        elif self._start is not None:
            start, self._start = self._start, None
            return self._clock.event(start, step, self._label, self._peak)
        return []
