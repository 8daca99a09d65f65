"""PSDS, the polyphonic sound detection score: a detector at all its thresholds in one number.

An operating point is what a detector finds at one threshold. With |·| a length in seconds:

    relevant        a detection with Σ |detection ∩ events of its class| / |detection| ≥ dtc
    true positive   an event with Σ |event ∩ relevant detections of its class| / |event| ≥ gtc
    false positive  a detection that isn't relevant
    cross-trigger   on class k: a false positive with Σ |it ∩ events of k| / |it| ≥ cttc

Overlaps of length 0 are none, whatever the thresholds. Of each class c, TPR = true positives /
events, FPR = false positives per hour of sound, CTR_k = cross-triggers per hour of class k, and

    eFPR_c = FPR_c + alpha_ct · mean over k ≠ c of CTR_ck
    ROC_c(e) = the largest TPR_c among operating points with eFPR_c ≤ e, 0 without any
    PSDS = 1 / e_max · ∫ from 0 to e_max of max(0, mean_c ROC_c(e) − alpha_st · std_c ROC_c(e)) de

Classes without an event are left out. Events of a class may not overlap each other, nor may a
class's detections at one operating point: a detector that tells class by class what sounds can't
say that something sounds twice.

Source: Bilen et al., "A framework for the robust evaluation of sound event detection", ICASSP
2020. The numbers are those of the package psds_eval (0.5.3), staircase, unit hour.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.event_f1 import require_known
from schemas.detection import SoundEvent
from schemas.errors import RequestError
from schemas.recipe import Psds

_HOUR_S = 3600.0
Spans = dict[str, list[tuple[float, float]]]
"""(onset, offset) in seconds of the events of each class, in order."""


@dataclass(frozen=True)
class Rates:
    """One operating point, class by class, in the order of the classes that have events.

    Attributes:
        true_positive: (classes,) float64 in [0, 1].
        false_positive: (classes,) float64, per hour of sound.
        cross_trigger: (classes, classes) float64, per hour of the class in the second place;
            0 on the diagonal.
    """

    true_positive: npt.NDArray[np.float64]
    false_positive: npt.NDArray[np.float64]
    cross_trigger: npt.NDArray[np.float64]

    def effective(self, alpha_ct: float) -> npt.NDArray[np.float64]:
        """Return (classes,) float64: false positives per hour, cross-triggers counted in."""
        others = max(1, len(self.false_positive) - 1)
        return self.false_positive + alpha_ct * self.cross_trigger.sum(axis=1) / others


class PsdsReference:
    """What there was to find.

    Args:
        reference: events of each recording.
        durations_s: of each recording.
        labels: classes, each once.

    Raises:
        RequestError: nothing to find, a length that isn't positive, an unknown label, or events of
            one class that overlap.
    """

    def __init__(
        self,
        reference: Sequence[Sequence[SoundEvent]],
        durations_s: Sequence[float],
        labels: Sequence[str],
    ) -> None:
        if len(reference) != len(durations_s) or not all(d > 0 for d in durations_s):
            raise RequestError(
                f"{len(reference)} recordings of {len(durations_s)} lengths",
                expected="a length above 0 s for each recording",
            )
        self._all_labels = tuple(labels)
        self._durations_s = tuple(durations_s)
        self._spans = [_spans(events, labels) for events in reference]
        self.labels = tuple(c for c in labels if any(c in spans for spans in self._spans))
        if not self.labels:
            raise RequestError("no event at all", expected="some events to find")

    def rates(self, found: Sequence[Sequence[SoundEvent]], criteria: Psds) -> Rates:
        """Count an operating point.

        Args:
            found: events of each recording, in the order of the reference.
            criteria: dtc, gtc and cttc.

        Raises:
            RequestError: another number of recordings, an unknown label or overlapping events.
        """
        if len(found) != len(self._spans):
            raise RequestError(f"events of {len(found)} recordings", expected=f"{len(self._spans)}")
        size = len(self.labels)
        true, events, false = np.zeros(size), np.zeros(size), np.zeros(size)
        cross, lengths_s = np.zeros((size, size)), np.zeros(size)
        for there, duration_s, one in zip(self._spans, self._durations_s, found, strict=True):
            spans = _spans(one, self._all_labels)
            for c, label in enumerate(self.labels):
                wanted = there.get(label, [])
                events[c] += len(wanted)
                lengths_s[c] += sum(stop - start for start, stop in wanted)
                ours = spans.get(label, [])
                relevant = [span for span in ours if _share(span, wanted, criteria.dtc)]
                wrong = [s for s in ours if s not in relevant and s[0] < duration_s]
                true[c] += sum(_share(event, relevant, criteria.gtc) for event in wanted)
                false[c] += len(wrong)
                for k, other in enumerate(self.labels):
                    if k != c and wrong and other in there:
                        cross[c, k] += sum(_share(s, there[other], criteria.cttc) for s in wrong)
        hours = sum(self._durations_s) / _HOUR_S
        return Rates(true / events, false / hours, cross / (lengths_s / _HOUR_S))


def psds(points: Sequence[Rates], weights: Psds) -> float:
    """Return the score in [0, 1] of a detector's operating points.

    Args:
        points: of one reference, in any order; none gives 0.
        weights: alpha_ct, alpha_st and e_max.

    >>> reference = PsdsReference([[SoundEvent(1.0, 3.0, "rain")]], [10.0], ["rain"])
    >>> perfect = reference.rates([[SoundEvent(1.0, 3.0, "rain")]], Psds())
    >>> psds([perfect], Psds()), psds([], Psds())
    (1.0, 0.0)
    """
    if not points:
        return 0.0
    rates = np.stack([p.effective(weights.alpha_ct) for p in points])  # (points, classes)
    found = np.stack([p.true_positive for p in points])
    inside = rates[rates < weights.e_max]
    edges = np.unique(np.concatenate(([0.0], inside)))
    reached = rates[None] <= edges[:, None, None]  # (edges, points, classes)
    curves = np.where(reached, found[None], 0.0).max(axis=1)
    height = np.maximum(0.0, curves.mean(axis=1) - weights.alpha_st * curves.std(axis=1))
    widths = np.diff(np.append(edges, weights.e_max))
    return float((height * widths).sum() / weights.e_max)


def _spans(events: Sequence[SoundEvent], labels: Sequence[str]) -> Spans:
    """The events by class in order of time."""
    require_known(events, labels)
    spans: Spans = defaultdict(list)
    for event in sorted(events, key=lambda e: (e.onset_s, e.offset_s)):
        before = spans[event.label]
        if before and event.onset_s < before[-1][1]:
            raise RequestError(
                f"two events {event.label} sound at {event.onset_s:g} s",
                expected="events of one class that don't overlap",
                fix="join them with models.sound_events.joined",
            )
        before.append((event.onset_s, event.offset_s))
    return dict(spans)


def _share(span: tuple[float, float], others: Sequence[tuple[float, float]], least: float) -> bool:
    """Whether at least that share of a span overlaps others, which don't overlap one another."""
    start, stop = span
    overlaps = [min(stop, b) - max(start, a) for a, b in others if a < stop and start < b]
    return bool(overlaps) and sum(x / (stop - start) for x in overlaps) >= least
