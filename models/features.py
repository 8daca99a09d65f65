"""Front ends: from waveform to features, the same layer in training, export and stream.

A front end frames what it is given without padding: `call(x)` of n samples gives
floor((n − window)/hop) + 1 frames. `lookback_samples` = window − hop is what a stream keeps between
packets; `left_pad` says whether a whole recording is preceded by that many zeros (log-mel), so
that frame t ends at sample (t+1)·hop, or starts at its first sample (the reference's spectrogram).
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pipeline.mel import mel_bands
from schemas.recipe import LogMel, Specgram
from schemas.units import FULL_SCALE, seconds_to_samples


class LogMelFrontEnd(keras.layers.Layer):
    """(B, n) float32 in ±1 → (B, frames, num_mels): (ln(P + 1e-8) + 11) / 4.

    P is the power of a periodic-Hann frame in triangular bands on the HTK mel scale,
    2595·log10(1 + f/700). Frames depend on no other frame: no batch-wide normalisation.
    """

    left_pad = True

    def __init__(self, config: LogMel, sample_rate_hz: int) -> None:
        super().__init__(name="log_mel", trainable=False)
        self.window_samples = seconds_to_samples(config.window_s, sample_rate_hz)
        self.hop_samples = seconds_to_samples(config.hop_s, sample_rate_hz)
        self.lookback_samples = self.window_samples - self.hop_samples
        self.num_features = config.num_mels
        self._fft_size = max(config.fft_size, 1 << (self.window_samples - 1).bit_length())
        n = np.arange(self.window_samples)
        self._window = (0.5 - 0.5 * np.cos(2 * np.pi * n / self.window_samples)).astype("float32")
        self._bands = mel_bands(
            num_mels=config.num_mels,
            fft_size=self._fft_size,
            sample_rate_hz=sample_rate_hz,
            low_hz=config.low_hz,
            high_hz=config.high_hz,
        )

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Frame, window, transform, sum into bands, compress."""
        frames = tf.signal.frame(x, self.window_samples, self.hop_samples) * self._window
        power = _power(frames, self._fft_size) / float(np.sum(self._window**2))
        mel = tf.matmul(power, tf.constant(self._bands))
        return (tf.math.log(mel + 1e-8) + 11.0) / 4.0


class SpecgramFrontEnd(keras.layers.Layer):
    """(B, n) float32 in ±1 → (B, frames, window/2 + 1): the reference exercise's spectrogram.

    Power on int16 counts with a symmetric Hann window, divided by 8000·Σw², doubled but for the
    first and last bin: matplotlib's specgram(window, 8000, window − hop), time first. With
    `compression: log` ln(1 + power).
    """

    left_pad = False

    def __init__(self, config: Specgram, sample_rate_hz: int) -> None:
        super().__init__(name="specgram", trainable=False)
        self.window_samples = config.window_samples
        self.hop_samples = config.hop_samples
        self.lookback_samples = self.window_samples - self.hop_samples
        self.num_features = self.window_samples // 2 + 1
        self._log = config.compression == "log"
        self._window = np.hanning(self.window_samples).astype("float32")
        turns = np.outer(np.arange(self.window_samples), np.arange(self.num_features))
        angles = 2 * np.pi * (turns % self.window_samples) / self.window_samples
        self._cosines, self._sines = np.cos(angles).astype("f4"), np.sin(angles).astype("f4")
        scale = np.full(self.num_features, 2.0)
        scale[0] = 1.0
        scale[-1] = 1.0 if self.window_samples % 2 == 0 else 2.0
        self._scale = (scale / (8000.0 * np.sum(np.hanning(self.window_samples) ** 2))).astype(
            "float32"
        )

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Frame, window, transform, scale, compress."""
        frames = tf.signal.frame(x * FULL_SCALE, self.window_samples, self.hop_samples)
        # As products with two matrices: LiteRT's FFT takes powers of two only.
        frames = frames * self._window
        power = tf.square(frames @ tf.constant(self._cosines))
        power = (power + tf.square(frames @ tf.constant(self._sines))) * self._scale
        return tf.math.log1p(power) if self._log else power


def build_front_end(config: LogMel | Specgram, sample_rate_hz: int) -> keras.layers.Layer:
    """Return the front end that a recipe's `features` section names."""
    if isinstance(config, LogMel):
        return LogMelFrontEnd(config, sample_rate_hz)
    return SpecgramFrontEnd(config, sample_rate_hz)


def _power(frames: tf.Tensor, fft_size: int) -> tf.Tensor:
    spectrum = tf.signal.rfft(frames, [fft_size])
    return tf.square(tf.math.real(spectrum)) + tf.square(tf.math.imag(spectrum))
