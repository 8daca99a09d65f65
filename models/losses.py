"""Losses of a detector: (B, S, L) labels and logits → (B, S), mean over labels.

Step weights, 0 where the answer doesn't matter, come as Keras' sample weights.

    cross_entropy   l(y, z) = −y·ln σ(z) − (1 − y)·ln(1 − σ(z))
    focal           (1 − p)^γ · l, p the probability given to the right answer
    max_pool        within each run of positive steps every logit is the run's highest: one answer
                    somewhere in the window is asked for, and the best step alone is taught. A run
                    weighs as much as with cross-entropy. Windows that touch are one run.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from models.detector import MAX_LOGIT
from schemas.recipe import Training

Loss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def loss_of(training: Training) -> Loss:
    """Return the loss that a recipe's `training` section names."""
    if training.loss == "focal":
        return focal_loss(training.focal_gamma)
    return max_pool_loss if training.loss == "max_pool" else masked_loss


def masked_loss(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Binary cross-entropy from logits."""
    return tf.reduce_mean(_cross_entropy(labels, _clipped(logits)), axis=-1)


def focal_loss(gamma: float) -> Loss:
    """Return the focal loss of that exponent."""

    def loss(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        logits = _clipped(logits)
        wrong = tf.sigmoid(tf.where(labels > 0, -logits, logits))
        return tf.reduce_mean(tf.pow(wrong, gamma) * _cross_entropy(labels, logits), axis=-1)

    return loss


def max_pool_loss(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Binary cross-entropy of logits that are pooled over runs of positive steps."""
    logits = _clipped(logits)
    labels = tf.cast(labels, tf.float32)
    flat_labels = tf.reshape(tf.transpose(labels, [0, 2, 1]), [-1])  # label by label, step by step
    flat = tf.reshape(tf.transpose(logits, [0, 2, 1]), [-1])
    steps = tf.shape(labels)[1]
    begins = tf.range(tf.size(flat)) % steps == 0  # another example or label is another run
    before = tf.concat([[0.0], flat_labels[:-1]], axis=0)
    runs = tf.cumsum(tf.cast(begins | (flat_labels != before), tf.int32)) - 1
    highest = tf.gather(tf.math.segment_max(flat, runs), runs)
    pooled = tf.where(flat_labels > 0, highest, flat)
    shape = tf.gather(tf.shape(labels), [0, 2, 1])
    return masked_loss(labels, tf.transpose(tf.reshape(pooled, shape), [0, 2, 1]))


def _clipped(logits: tf.Tensor) -> tf.Tensor:
    return tf.clip_by_value(tf.cast(logits, tf.float32), -MAX_LOGIT, MAX_LOGIT)


def _cross_entropy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    labels = tf.cast(labels, tf.float32)  # in mixed precision Keras makes them as short as logits
    return tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits)
