"""Sound inside a graph, with TensorFlow's own operations alone, so that an export carries it.

A WAV file's rate is looked at, never ignored: another one than wanted is resampled, with a sinc of
32 zero crossings under a Hann window, cut off at the lower of the two rates.
"""

from __future__ import annotations

import math

import tensorflow as tf

from schemas.units import FULL_SCALE

_ZERO_CROSSINGS = 32
_PASS_SHARE = 0.95
_BLOCK = 8192


def read_wav(path: tf.Tensor, sample_rate_hz: int, num_samples: int) -> tf.Tensor:
    """Read a 16-bit PCM WAV file: () string → (num_samples,) float32 in ±1.

    Channels are averaged, another rate is resampled, the end is cut or filled up with zeros.
    """
    return fit_length(_read(path, sample_rate_hz, num_samples)[None], num_samples)[0]


def read_whole_wav(path: tf.Tensor, sample_rate_hz: int) -> tf.Tensor:
    """Read a 16-bit PCM WAV file: () string → (n,) float32 in ±1, mono, at the rate."""
    return _read(path, sample_rate_hz, None)


def _read(path: tf.Tensor, sample_rate_hz: int, most: int | None) -> tf.Tensor:
    x, rate_hz = tf.audio.decode_wav(tf.io.read_file(path))
    mono = tf.reduce_mean(x, axis=1)
    rate_hz = tf.cast(rate_hz, tf.int64)
    same = tf.equal(rate_hz, sample_rate_hz)
    mono = tf.cond(same, lambda: mono, lambda: resample(mono, rate_hz, sample_rate_hz, most))
    # As the training clips, which are int16.
    return tf.clip_by_value(tf.round(mono * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1) / FULL_SCALE


def resample(x: tf.Tensor, from_hz: tf.Tensor, to_hz: int, most: int | None = None) -> tf.Tensor:
    """Resample (n,) float32 from any rate, () int64; with `most`, only so many samples of it."""
    length = tf.size(x, tf.int64)
    wanted = (length * to_hz + from_hz - 1) // from_hz
    wanted = wanted if most is None else tf.minimum(wanted, most)
    ratio = tf.cast(to_hz, tf.float32) / tf.cast(from_hz, tf.float32)
    cutoff = _PASS_SHARE * tf.minimum(ratio, 1.0)
    reach = tf.math.ceil(_ZERO_CROSSINGS / cutoff)
    taps = tf.range(1 - tf.cast(reach, tf.int64), 1 + tf.cast(reach, tf.int64))

    def block(first: tf.Tensor) -> tf.Tensor:
        # Whole and broken part of each place apart: float32 has no digits left for both together.
        ticks = (first + tf.range(_BLOCK, dtype=tf.int64)) * from_hz
        whole, part = ticks // to_hz, tf.cast(ticks % to_hz, tf.float32) / to_hz
        index = whole[:, None] + taps
        away = tf.cast(taps, tf.float32) - part[:, None]
        known = (index >= 0) & (index < length)
        heard = tf.where(known, tf.gather(x, tf.clip_by_value(index, 0, length - 1)), 0.0)
        window = 0.5 + 0.5 * tf.cos(math.pi * tf.clip_by_value(away / reach, -1.0, 1.0))
        return tf.reduce_sum(heard * cutoff * _sinc(cutoff * away) * window, axis=1)

    # Block by block: all taps of a minute at once would be gigabytes.
    spec = tf.TensorSpec([_BLOCK], tf.float32)
    blocks = tf.map_fn(block, tf.range(0, wanted, _BLOCK, tf.int64), fn_output_signature=spec)
    return tf.reshape(blocks, [-1])[:wanted]


def fit_length(x: tf.Tensor, num_samples: int) -> tf.Tensor:
    """Cut (B, n) at its end, or fill it up with zeros there: (B, num_samples)."""
    x = x[:, :num_samples]
    x = tf.pad(x, [[0, 0], [0, num_samples - tf.shape(x)[1]]])
    return tf.ensure_shape(x, [None, num_samples])


def _sinc(x: tf.Tensor) -> tf.Tensor:
    turns = math.pi * tf.where(tf.abs(x) < 1e-6, 1.0, x)
    return tf.where(tf.abs(x) < 1e-6, 1.0, tf.sin(turns) / turns)
