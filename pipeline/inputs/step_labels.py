"""Labels and weights of a batch's output steps: the rules of frame_labels.py, without loops."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import tensorflow as tf

from pipeline.frame_labels import EXERCISE_STEPS, LabelRule, exercise_step, last_ms
from schemas import example as names


class Events(NamedTuple):
    """The events of a batch, (B, E) each; rows are filled up with events that have no kind."""

    onset: tf.Tensor
    offset: tf.Tensor
    kind: tf.Tensor
    label: tf.Tensor

    @classmethod
    def of(cls, parsed: Mapping[str, tf.RaggedTensor]) -> Events:
        """Return the events of parsed records."""
        return cls(
            parsed[names.EVENTS_ONSET_SAMPLES].to_tensor(0),
            parsed[names.EVENTS_OFFSET_SAMPLES].to_tensor(0),
            parsed[names.EVENTS_KIND].to_tensor(b""),
            parsed[names.EVENTS_LABEL].to_tensor(b""),
        )

    def delayed(self, samples: tf.Tensor) -> Events:
        """Return the events later by (B,) int64 samples."""
        later = samples[:, None]
        return self._replace(onset=self.onset + later, offset=self.offset + later)

    def with_others(self, others: Events, where: tf.Tensor) -> Events:
        """Return these and, where (B,) bool says so, the others too."""
        there = others._replace(kind=tf.where(where[:, None], others.kind, b""))
        return Events(*(tf.concat(pair, axis=1) for pair in zip(self, there, strict=True)))


def step_labels(events: Events, rule: LabelRule) -> tuple[tf.Tensor, tf.Tensor]:
    """Return (B, steps, labels) float32 in {0, 1} and weights (B, steps) float32."""
    onset, offset, kind, label = (part[:, :, None] for part in events)  # (B, E, 1)
    keyword = kind == b"keyword"
    ends = tf.constant(rule.step_ends(), tf.int64)[None, None, :]  # (1, 1, S)
    if rule.exercise_ms:
        steps = tf.range(rule.num_steps, dtype=tf.int64)[None, None, :]
        begun = exercise_step(last_ms(onset, offset, rule), rule)
        hit = keyword & (steps > begun) & (steps <= begun + EXERCISE_STEPS)
    elif rule.whole_event:
        heard = ends - rule.delay_samples
        hit = keyword & (heard > onset) & (heard <= offset)
    else:
        hit = keyword & (ends >= offset + rule.start_samples) & (ends <= offset + rule.end_samples)
    length = tf.cast(offset - onset, tf.float64)
    begin = onset + tf.cast(tf.cast(rule.ignore_fraction, tf.float64) * length, tf.int64)
    ignored = keyword & (ends >= begin) & (ends <= offset + rule.ignore_after_samples)
    of_label = label == tf.constant(list(rule.labels))[None, None, :]  # (B, E, L)
    per_label = hit[:, :, :, None] & of_label[:, :, None, :]  # (B, E, S, L)
    labels = tf.cast(tf.reduce_any(per_label, axis=1), tf.float32)
    positive = tf.reduce_any(labels > 0, axis=-1)
    some_ignored = tf.reduce_any(ignored, axis=1) & (rule.exercise_ms == 0)
    plain = tf.where(
        some_ignored, 0.0, _heavy(kind, (ends > onset) & rule.fooled(ends, offset), rule)
    )
    of_positive = tf.reduce_max(labels * tf.constant(rule.positive_weights()), axis=-1)
    return labels, tf.where(positive, of_positive, plain)


def _heavy(kind: tf.Tensor, under: tf.Tensor, rule: LabelRule) -> tf.Tensor:
    """(B, S) the largest weight of an event that a step is under, 1 where there is none."""
    heaviest = tf.zeros_like(tf.reduce_any(under, axis=1), tf.float32)
    for name, weight in rule.event_weights:
        here = tf.reduce_any(under & (kind == name), axis=1)
        heaviest = tf.maximum(heaviest, tf.where(here, tf.constant(weight, tf.float32), 0.0))
    return tf.where(heaviest > 0, heaviest, 1.0)
