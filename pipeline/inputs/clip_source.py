"""Labelled clips for a network: shuffled one by one, changed at random, turned into features.

    rows in an order by (seed, epoch) → (inputs.source.batches) → samples → augmentation → features

What is drawn for a clip is a pure function of (seed, epoch, its row): the same in whatever batch,
on whatever machine. Clips are shuffled before batches are cut, so every epoch has other batches.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from pipeline.inputs.clip_folder import ClipFolder, Labels, Pcm
from pipeline.inputs.clip_splits import Rows
from pipeline.inputs.source import Prepare
from schemas.recipe_commands import ClipAugmentation
from schemas.units import FULL_SCALE

_AUGMENTATION, _NOISE = 1, 2
_NUM_DRAWS = 10
_NOISE_SAMPLES = 2**17


class ClipSource:
    """The rows of a split's clips: each once an epoch.

    Args:
        rows: which clips.
        seed: with the epoch it decides the order.
    """

    def __init__(self, rows: Rows, *, seed: int) -> None:
        self.num_examples = len(rows)
        self._rows = rows
        self._seed = seed

    def records(self, epoch: tf.Tensor) -> tf.data.Dataset:
        """Return () int64 rows."""
        key = tf.stack([tf.constant(self._seed, tf.int64), epoch])
        order = tf.random.experimental.stateless_shuffle(tf.constant(self._rows), seed=key)
        return tf.data.Dataset.from_tensor_slices(order)


def prepare_clips(
    folder: ClipFolder,
    feature_fn: Callable[[tf.Tensor], tf.Tensor],
    augmentation: ClipAugmentation,
    *,
    seed: int,
) -> Prepare:
    """Return what makes features and labels of rows.

    Args:
        folder: the clips.
        feature_fn: (B, clip_samples) float32 in ±1 → (B, frames, bins, 1), the model's own.
        augmentation: what is changed.
        seed: with epoch and row it decides how.

    Returns:
        (B,) int64 rows → ((B, frames, bins, 1) float32, (B,) int32).
    """
    clip_samples = folder.samples.shape[1]

    def take(rows: Rows) -> tuple[Pcm, Labels]:
        return folder.samples[rows], folder.labels[rows]

    def prepare(rows: tf.Tensor, epoch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        pcm, labels = tf.numpy_function(take, [rows], (tf.int16, tf.int32), stateful=False)
        x = tf.ensure_shape(tf.cast(pcm, tf.float32), [None, clip_samples]) / FULL_SCALE
        labels = tf.ensure_shape(labels, [None])
        if augmentation == ClipAugmentation():
            return feature_fn(x), labels
        draws = tf.gather(_draws(seed, epoch, len(folder.labels)), rows)
        x = _warped(x, draws[:, :2], augmentation, folder.sample_rate_hz)
        x = _noisy(x, draws[:, 2:4], augmentation, seed)
        return _masked(feature_fn(x), draws[:, 4:], augmentation), labels

    return prepare


def _draws(seed: int, epoch: tf.Tensor, num_clips: int) -> tf.Tensor:
    """(num_clips, draws) float32 in [0, 1)."""
    key = tf.stack([tf.constant(seed, tf.int64), epoch])
    key = tf.random.experimental.stateless_fold_in(key, _AUGMENTATION)
    return tf.random.stateless_uniform([num_clips, _NUM_DRAWS], key)


def _between(draws: tf.Tensor, limits: tuple[float, float] | None, otherwise: float) -> tf.Tensor:
    low, high = limits or (otherwise, otherwise)
    return low + (high - low) * draws


def _warped(
    x: tf.Tensor, draws: tf.Tensor, how: ClipAugmentation, sample_rate_hz: int
) -> tf.Tensor:
    """Move and play faster or slower, by straight lines between samples."""
    if how.speed is None and how.shift_s is None:
        return x
    num_samples = x.shape[1]
    speed = _between(draws[:, :1], how.speed, 1.0)
    shift = _between(draws[:, 1:], how.shift_s, 0.0) * sample_rate_hz
    places = (tf.range(num_samples, dtype=tf.float32) - shift) * speed
    before = tf.floor(places)
    part = places - before
    known = (places >= 0.0) & (places <= num_samples - 1)
    index = tf.clip_by_value(tf.cast(before, tf.int32), 0, num_samples - 2)
    left = tf.gather(x, index, batch_dims=1)
    right = tf.gather(x, index + 1, batch_dims=1)
    return tf.where(known, left + (right - left) * part, 0.0)


def _noisy(x: tf.Tensor, draws: tf.Tensor, how: ClipAugmentation, seed: int) -> tf.Tensor:
    """Add a stretch of white noise, its level relative to that of the clip."""
    if how.noise_snr_db is None:
        return x
    key = tf.constant([seed, _NOISE], tf.int64)
    num_samples = x.shape[1]
    spare = max(_NOISE_SAMPLES - num_samples, num_samples)
    noise = tf.random.stateless_normal([num_samples + spare], key)
    start = tf.cast(draws[:, :1] * spare, tf.int32)
    rms = tf.sqrt(tf.reduce_mean(tf.square(x), axis=1, keepdims=True))
    gain = rms * 10.0 ** (-_between(draws[:, 1:], how.noise_snr_db, 0.0) / 20.0)
    return x + gain * tf.gather(noise, start + tf.range(num_samples))


def _masked(features: tf.Tensor, draws: tf.Tensor, how: ClipAugmentation) -> tf.Tensor:
    """Put each clip's smallest value into two bands of frequency and one stretch of time."""
    least = tf.reduce_min(features, axis=[1, 2, 3], keepdims=True)
    stretches = ((2, how.frequency_mask_bins), (2, how.frequency_mask_bins))
    for i, (axis, widest) in enumerate((*stretches, (1, how.time_mask_frames))):
        if not widest:
            continue
        size = features.shape[axis]
        width = draws[:, 2 * i] * min(widest, size)
        start = draws[:, 2 * i + 1] * (size - width)
        place = tf.range(size, dtype=tf.float32)
        inside = (place >= start[:, None]) & (place < (start + width)[:, None])
        inside = inside[:, None, :, None] if axis == 2 else inside[:, :, None, None]
        features = tf.where(inside, least, features)
    return features
