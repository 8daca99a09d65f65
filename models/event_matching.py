"""Events, not frames: from scores to detections, and from detections to hits and false accepts.

Detection. A step is as high as the lowest of the last `patience` scores of its label (1: its own),
so it reaches the threshold when that many consecutive scores do; before the stream there are none.
For each label an event starts at a rising edge (a step ≥ threshold after one below, or at the first
one), provided that `debounce_s` has passed since the last event of that label started; an edge
inside the debounce belongs to that event. However long a run is, it is one event, and its score is
the peak of its steps until the run has ended or the debounce has passed, whichever is first.

Matching. In time order, a detection hits the earliest event of its label that it lies in, within
[onset, offset + hit window], and that has no hit yet. One that lies in events already hit is a
repetition: neither hit nor false accept. Any other is a false accept. A keyword without a hit is
a miss. False accepts count by event, per hour of all audio judged. Nothing here counts frames.

`count_events` is the one counter: early stopping, the choice of a threshold, promotion, the reports
on scenes and on streams all count with it.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from schemas.detection import Detection, ReferenceEvent, ScoredRecording

_ROUNDING_S = 1e-6
"""Times are sums of floats: what lies on an edge shall lie there wherever it is in a stream."""


class EventDetector:
    """Turns the scores of one stream into detections, whatever pieces they come in."""

    def __init__(
        self, labels: Sequence[str], threshold: float, debounce_s: float, patience: int = 1
    ) -> None:
        self._labels = tuple(labels)
        self._threshold = threshold
        self._debounce_s = debounce_s
        self._before = np.full((patience - 1, len(self._labels)), -np.inf, np.float32)
        self._above = [False] * len(self._labels)
        self._last_start_s = [-np.inf] * len(self._labels)
        self._open: list[Detection | None] = [None] * len(self._labels)

    def process(self, times_s: np.ndarray, scores: np.ndarray) -> list[Detection]:
        """Take the next scores; return the events that have ended, in order of time.

        Args:
            times_s: (steps,) when each score is known.
            scores: (steps, labels) in [0, 1].
        """
        ended: list[Detection] = []
        scores = self._lowest_of_last(scores)
        for i in range(len(self._labels) if len(times_s) else 0):
            ended += self._one_label(i, times_s, scores[:, i])
        return sorted(ended, key=lambda d: d.time_s)

    def flush(self) -> list[Detection]:
        """End the stream, or a part of it before a gap; return the events that were still open.

        No run goes on over a gap; the debounce does.
        """
        open_events = [event for event in self._open if event is not None]
        self._open = [None] * len(self._labels)
        self._above = [False] * len(self._labels)
        self._before[:] = -np.inf
        return sorted(open_events, key=lambda d: d.time_s)

    def state(self) -> dict[str, np.ndarray]:
        """Return what is remembered, by name, one value a label; NaN where no event is open."""
        opened = [(e.time_s, e.score) if e else (np.nan, np.nan) for e in self._open]
        return {
            "above": np.array(self._above),
            "last_start_s": np.array(self._last_start_s, np.float64),
            "open": np.array(opened, np.float64).reshape(-1, 2),
            "before": self._before.copy(),
        }

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on where another one with the same labels was."""
        self._above = [bool(value) for value in state["above"]]
        self._last_start_s = [float(value) for value in state["last_start_s"]]
        self._open = [
            None if np.isnan(time_s) else Detection(float(time_s), label, float(score))
            for label, (time_s, score) in zip(self._labels, state["open"], strict=True)
        ]
        self._before = np.array(state["before"], np.float32)

    def _lowest_of_last(self, scores: np.ndarray) -> np.ndarray:
        """(steps, labels) → each the minimum of itself and the scores just before it."""
        if not len(self._before):
            return scores
        heard = np.concatenate((self._before, scores))
        self._before = heard[len(scores) :]
        earlier = (heard[k : k + len(scores)] for k in range(len(self._before)))
        return functools.reduce(np.minimum, earlier, scores)

    def _one_label(self, i: int, times_s: np.ndarray, scores: np.ndarray) -> list[Detection]:
        ended: list[Detection] = []
        above = scores >= self._threshold
        before = np.concatenate(([self._above[i]], above[:-1]))
        changes = np.flatnonzero(above != before)
        if self._open[i] is not None:
            changes = np.concatenate(([0], changes)) if 0 not in changes else changes
        for at, start in enumerate(changes.tolist()):
            stop = int(changes[at + 1]) if at + 1 < len(changes) else len(above)
            if not above[start]:
                ended += self._close_if_past(i, np.inf)
                continue
            time_s = float(times_s[start])
            if self._open[i] is None and not before[start]:
                if time_s - self._last_start_s[i] < self._debounce_s - _ROUNDING_S:
                    continue
                self._last_start_s[i] = time_s
                self._open[i] = Detection(time_s, self._labels[i], 0.0)
            event = self._open[i]
            if event is not None:
                run_times, run = times_s[start:stop], scores[start:stop]
                inside = run[run_times - event.time_s <= self._debounce_s + _ROUNDING_S]
                peak = max(event.score, float(inside.max(initial=0.0)))
                self._open[i] = Detection(event.time_s, event.label, peak)
                ended += self._close_if_past(i, float(run_times[-1]))
        self._above[i] = bool(above[-1])
        return ended

    def _close_if_past(self, i: int, now_s: float) -> list[Detection]:
        event = self._open[i]
        if event is None or now_s - event.time_s <= self._debounce_s + _ROUNDING_S:
            return []
        self._open[i] = None
        return [event]


def detect_events(
    recording: ScoredRecording,
    labels: Sequence[str],
    *,
    threshold: float,
    debounce_s: float,
    patience: int = 1,
) -> list[Detection]:
    """Return the detections in a whole recording."""
    detector = EventDetector(labels, threshold, debounce_s, patience)
    events = detector.process(recording.times_s, recording.scores) + detector.flush()
    return sorted(events, key=lambda d: d.time_s)


@dataclass(frozen=True)
class Matching:
    """Outcome for one recording; `hits` are (event, detection) pairs."""

    hits: tuple[tuple[ReferenceEvent, Detection], ...]
    misses: tuple[ReferenceEvent, ...]
    false_accepts: tuple[Detection, ...]
    repetitions: tuple[Detection, ...]


def match_events(
    detections: Sequence[Detection], events: Sequence[ReferenceEvent], *, hit_window_s: float
) -> Matching:
    """Match detections with the keywords among `events`; others are background."""
    keywords = sorted((e for e in events if e.kind == "keyword"), key=lambda e: e.onset_s)
    hit_by: dict[int, Detection] = {}
    false_accepts: list[Detection] = []
    repetitions: list[Detection] = []
    for detection in sorted(detections, key=lambda d: d.time_s):
        inside = [
            i
            for i, event in enumerate(keywords)
            if event.label == detection.label
            and detection.time_s - event.onset_s >= -_ROUNDING_S
            and detection.time_s - event.offset_s <= hit_window_s + _ROUNDING_S
        ]
        free = [i for i in inside if i not in hit_by]
        if free:
            hit_by[free[0]] = detection
        else:
            (repetitions if inside else false_accepts).append(detection)
    return Matching(
        hits=tuple((keywords[i], d) for i, d in sorted(hit_by.items())),
        misses=tuple(event for i, event in enumerate(keywords) if i not in hit_by),
        false_accepts=tuple(false_accepts),
        repetitions=tuple(repetitions),
    )


def count_events(
    recording: ScoredRecording,
    labels: Sequence[str],
    *,
    threshold: float,
    debounce_s: float,
    hit_window_s: float,
    patience: int = 1,
) -> Matching:
    """Detect and match: what a detector with these labels did with a recording."""
    detections = detect_events(
        recording, labels, threshold=threshold, debounce_s=debounce_s, patience=patience
    )
    return match_events(detections, recording.events, hit_window_s=hit_window_s)
