"""Labels and weights of output steps, made from strong events when a record is read.

Step j has seen the audio up to sample e_j = warmup + (j+1)·hop. For a keyword [onset, offset):

    positive   offset + start_s ≤ e_j ≤ offset + end_s      label 1, weight positive_weight · w
    ignored    onset + fraction·length ≤ e_j ≤ offset + ignore_after_s, else       weight 0
    otherwise                                               label 0, weight v

w is the label's weight in `class_weights`, 1 if it has none; v is 1, or under an event of a kind in
`event_weights` that kind's: onset < e_j ≤ offset + max(0, end_s), where the event could be taken
for a keyword. The larger of several weights holds. A step that is positive for any keyword is never
ignored. So one data set trains models of any stride, and no label rule is baked into a record.

Under the rule `event` the steps with onset < e_j − delay ≤ offset are positive; else it is the
same. A network that may answer later hears the beginning of a sound before it must name it.

The rule `exercise` is that of the classic ten-second exercise, kept for comparison: positions are
whole milliseconds, the last one of a keyword is e = onset + length − 1, and of the steps 0 … S−1
over a scene of T ms those from s+1 to s+50 are 1, s = ⌊e·S/T⌋, cut at the end. No step is
ignored. Its clock differs from that of the network's output by up to 3.1 steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.recipe import LabelWindow
from schemas.units import seconds_to_samples


@dataclass(frozen=True)
class LabelRule:
    """A label window in samples, for one output stride.

    Attributes:
        labels: class of each output, in order.
        num_steps: output steps of an example.
        warmup_samples, hop_samples: step j has seen warmup + (j+1)·hop samples.
        start_samples, end_samples, ignore_after_samples: relative to a keyword's end.
        ignore_fraction: of the keyword, where ignoring begins.
        positive_weight: weight of a positive step.
        exercise_ms: length of the scene under the rule `exercise`, else 0.
        sample_rate_hz: of the positions.
        whole_event: the rule is `event`.
        delay_samples: under the rule `event`, between a sound and the steps that answer for it.
        class_weights: factor of `positive_weight`, (label, factor) each; 1 for other labels.
        event_weights: (kind, weight) of the steps under events that are no keywords.
    """

    labels: tuple[str, ...]
    num_steps: int
    warmup_samples: int
    hop_samples: int
    start_samples: int
    end_samples: int
    ignore_after_samples: int
    ignore_fraction: float
    positive_weight: float
    exercise_ms: int = 0
    sample_rate_hz: int = 1
    whole_event: bool = False
    delay_samples: int = 0
    class_weights: tuple[tuple[str, float], ...] = ()
    event_weights: tuple[tuple[str, float], ...] = ()

    @classmethod
    def of(
        cls,
        window: LabelWindow,
        *,
        labels: tuple[str, ...],
        num_steps: int,
        warmup_samples: int,
        hop_samples: int,
        sample_rate_hz: int,
        positive_weight: float,
        scene_samples: int = 0,
        class_weights: Mapping[str, float] = MappingProxyType({}),
        event_weights: Mapping[Any, float] = MappingProxyType({}),
    ) -> LabelRule:
        """Convert the recipe's window to samples; `exercise` also needs the scene's length."""
        return cls(
            labels=labels,
            num_steps=num_steps,
            warmup_samples=warmup_samples,
            hop_samples=hop_samples,
            start_samples=seconds_to_samples(window.start_s, sample_rate_hz),
            end_samples=seconds_to_samples(window.end_s, sample_rate_hz),
            ignore_after_samples=seconds_to_samples(window.ignore_after_s, sample_rate_hz),
            ignore_fraction=window.ignore_fraction,
            positive_weight=positive_weight,
            exercise_ms=1000 * scene_samples // sample_rate_hz if window.rule == "exercise" else 0,
            sample_rate_hz=sample_rate_hz,
            whole_event=window.rule == "event",
            delay_samples=seconds_to_samples(window.delay_s, sample_rate_hz),
            class_weights=tuple(class_weights.items()),
            event_weights=tuple(event_weights.items()),
        )

    def positive_weights(self) -> npt.NDArray[np.float32]:
        """Return (labels,) float32: the weight of a step that is positive for each."""
        factors = dict(self.class_weights)
        return np.array(
            [self.positive_weight * factors.get(label, 1.0) for label in self.labels], np.float32
        )

    def fooled(self, ends: Any, offset: Any) -> Any:
        """Return whether an event's answer could come at a step; arrays or tensors."""
        return ends <= offset + max(0, self.end_samples)

    def step_ends(self) -> npt.NDArray[np.int64]:
        """Return (num_steps,) int64: the samples that each step has seen."""
        return self.warmup_samples + self.hop_samples * np.arange(1, self.num_steps + 1)


def frame_labels(
    rule: LabelRule,
    onsets: npt.NDArray[np.int64],
    offsets: npt.NDArray[np.int64],
    label_indices: npt.NDArray[np.int64],
    others: Sequence[tuple[int, int, str]] = (),
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return labels and weights of one example; the plain form of what the input data set does.

    Args:
        rule: the window and stride.
        onsets: (num_keywords,) int64 samples.
        offsets: (num_keywords,) int64 samples.
        label_indices: (num_keywords,) int64 into `rule.labels`.
        others: onset, offset and kind of the events that are no keywords.

    Returns:
        (num_steps, num_labels) float32 in {0, 1} and (num_steps,) float32.
    """
    labels = np.zeros((rule.num_steps, len(rule.labels)), np.float32)
    ignored = np.zeros(rule.num_steps, bool)
    ends = rule.step_ends()
    for onset, offset, label in zip(onsets, offsets, label_indices, strict=True):
        if rule.exercise_ms:
            first = exercise_step(last_ms(onset, offset, rule), rule) + 1
            labels[first : first + EXERCISE_STEPS, label] = 1.0
            continue
        if rule.whole_event:
            heard = ends - rule.delay_samples
            hit = (heard > onset) & (heard <= offset)
        else:
            hit = (ends >= offset + rule.start_samples) & (ends <= offset + rule.end_samples)
        labels[hit, label] = 1.0
        begin = onset + int(rule.ignore_fraction * (offset - onset))
        ignored |= (ends >= begin) & (ends <= offset + rule.ignore_after_samples)
    heavy = np.zeros(rule.num_steps)
    for onset, offset, kind in others:
        under = (ends > onset) & rule.fooled(ends, offset)
        heavy[under] = np.maximum(heavy[under], dict(rule.event_weights).get(kind, 0.0))
    plain = np.where(ignored, 0.0, np.where(heavy > 0, heavy, 1.0))
    positive = (labels * rule.positive_weights()).max(axis=1, initial=0.0)
    return labels, np.where(positive > 0, positive, plain).astype(np.float32)


EXERCISE_STEPS = 50


def last_ms(onset: Any, offset: Any, rule: LabelRule) -> Any:
    """Return the last millisecond of events, as the exercise counts; integers or tensors."""
    rate = rule.sample_rate_hz
    onset_ms = (1000 * onset + rate - 1) // rate
    length_ms = (2000 * (offset - onset) + rate) // (2 * rate)
    return onset_ms + length_ms - 1


def exercise_step(end_ms: Any, rule: LabelRule) -> Any:
    """Return s = ⌊e·S/T⌋, the step after which the fifty ones begin; integers or tensors."""
    return end_ms * rule.num_steps // rule.exercise_ms
