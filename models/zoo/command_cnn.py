"""`command_cnn`: a spectrogram as a small image, two convolutions, two dense layers, logits.

    (B, n) samples → |STFT|, frame 255, step 128, FFT 256 → (B, 124, 129, 1) for 16,000 samples
      → resized to 32 × 32 → one mean, one variance → conv 32 3 × 3 → conv 64 3 × 3 → max-pool 2
      → dropout → 12,544 → dense 128 → dropout → dense: 1,625,611 parameters for eight classes

For an odd frame TensorFlow's Hann window is the symmetric one, np.hanning(255). The statistics
are those of the *resized* spectrograms, which is what the layer receives, and lie in its weights.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pipeline.mel import mel_bands
from schemas.errors import TrainingError
from schemas.recipe_commands import CommandCnn, CommandFeatures

_RESIZING, _NORMALIZATION = "resizing", "normalization"
_LOG_FLOOR = 1e-3
_LEAST_LEVEL = 1e-6


class CommandSpectrogram(keras.layers.Layer):
    """(B, n) float32 in ±1 → (B, frames, bins, 1) float32 magnitudes.

    With `num_mels` they are those of triangular bands, the root of the power in each. With
    `level: loudest_frame` they are relative to the RMS over frequency of the clip's loudest frame,
    and so the same for any gain; with `scale: log` they are ln(S + 0.001).

    Raises:
        TrainingError: a band lies between two frequencies of the transform.
    """

    def __init__(self, config: CommandFeatures, sample_rate_hz: int) -> None:
        super().__init__(name="command_spectrogram", trainable=False, dtype="float32")
        self._config = config
        self._fft_size = 1 << (config.frame_samples - 1).bit_length()
        self._bands = None
        if config.num_mels is not None:
            self._bands = mel_bands(
                num_mels=config.num_mels,
                fft_size=self._fft_size,
                sample_rate_hz=sample_rate_hz,
                low_hz=config.low_hz,
                high_hz=config.high_hz,
            )
            if not self._bands.any(axis=0).all():
                raise TrainingError(
                    f"{config.num_mels} mel bands for a transform of {self._fft_size} samples",
                    expected="bands that each hold a frequency",
                    fix="lower features.num_mels or raise features.frame_samples",
                )

    def shape_for(self, num_samples: int) -> tuple[int, int, int]:
        """Return (frames, bins, 1) for clips of so many samples."""
        config = self._config
        frames = (num_samples - config.frame_samples) // config.step_samples + 1
        return frames, config.num_mels or self._fft_size // 2 + 1, 1

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Frame, window, transform, take magnitudes, scale."""
        config = self._config
        s = tf.abs(tf.signal.stft(x, config.frame_samples, config.step_samples))
        if self._bands is not None:
            s = tf.sqrt(tf.matmul(tf.square(s), tf.constant(self._bands)))
        if config.level == "loudest_frame":
            rms = tf.sqrt(tf.reduce_mean(tf.square(s), axis=2, keepdims=True))
            s /= tf.maximum(tf.reduce_max(rms, axis=1, keepdims=True), _LEAST_LEVEL)
        if config.scale == "log":
            s = tf.math.log(s + _LOG_FLOOR)
        return s[..., None]


def build_command_cnn(
    config: CommandCnn, *, feature_shape: tuple[int, int, int], num_classes: int
) -> keras.Model:
    """Return a new network: (B, *feature_shape) → (B, num_classes) logits."""
    layers = keras.layers
    size, (few, many) = config.image_size, config.filters
    return keras.Sequential(
        [
            layers.InputLayer(feature_shape),
            layers.Resizing(size, size, name=_RESIZING),
            # Statistics stay in float32 under mixed precision.
            layers.Normalization(axis=None, name=_NORMALIZATION, dtype="float32"),
            layers.Conv2D(few, 3, activation="relu", name="conv_1"),
            layers.Conv2D(many, 3, activation="relu", name="conv_2"),
            layers.MaxPooling2D(name="pool"),
            layers.Dropout(config.dropout[0], name="dropout_1"),
            layers.Flatten(name="flat"),
            layers.Dense(config.units, activation="relu", name="dense"),
            layers.Dropout(config.dropout[1], name="dropout_2"),
            layers.Dense(num_classes, name="logits", dtype="float32"),
        ],
        name="command_cnn",
    )


def resized_moments(config: CommandCnn, features: Iterable[tf.Tensor]) -> tuple[float, float, int]:
    """Return mean, variance and count of all values of resized features.

    Args:
        config: says the size.
        features: batches (B, frames, bins, 1).
    """
    resize = keras.layers.Resizing(config.image_size, config.image_size)
    count, total, squares = 0, 0.0, 0.0
    for batch in features:
        image = np.asarray(resize(batch), np.float64)
        count += image.size
        total += float(image.sum())
        squares += float(np.square(image).sum())
    mean = total / max(count, 1)
    return mean, max(squares / max(count, 1) - mean * mean, 0.0), count


def set_moments(network: keras.Model, moments: tuple[float, float, int]) -> None:
    """Let a network of `build_command_cnn` subtract this mean and divide by this deviation."""
    layer = network.get_layer(_NORMALIZATION)
    variables = (layer.adapt_mean, layer.adapt_variance, layer.count)
    for variable, value in zip(variables, moments, strict=True):
        variable.assign(value)
    layer.finalize_state()  # the layer computes with copies of its variables
