"""Front ends: from waveform to features, the same layer in training, export and stream.

A front end frames what it is given without padding: `call(x)` of n samples gives
floor((n − window)/hop) + 1 frames. `lookback_samples` = window − hop is what a stream keeps between
packets; `left_pad` says whether a whole recording is preceded by that many zeros (all but
`specgram`), so that frame t ends at sample (t+1)·hop, or starts at its first sample (the
reference's spectrogram).

Where features depend on earlier frames (`pcen`) a stream also keeps a state: `stream(x, state,
num_new)` gives the features of x and the state after its first `num_new` frames, which are those
that the next packet doesn't see again. Zeros are the state before a recording.

All is computed in float32, also where the network is not. Features of all families but `specgram`
stay below 1,000, so a float16 network can take them; for those of `specgram`, up to 10⁷, the
network's first layers work in float32.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tensorflow as tf
import tf_keras as keras

from models.pcen import Smoother
from pipeline.mel import mel_bands
from schemas.recipe import Features, Linear, LogMel, Mfcc, Pcen, Specgram
from schemas.units import FULL_SCALE, seconds_to_samples

_FLOOR = 1e-8


@dataclass(frozen=True)
class Statistics:
    """What features are standardised with: (features,) each; see feature_statistics.py."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]


class FrontEnd(keras.layers.Layer):
    """What all front ends have in common; a family says `_features`.

    Attributes:
        left_pad: whether zeros precede a whole recording.
        window_samples, hop_samples: of a frame.
        lookback_samples: what a stream keeps.
        num_features: of a frame.
        statistics: if there are any, features are (feature − mean) / deviation.
        through_magnitude: power is the square of the magnitude; slower, the same to rounding.
    """

    left_pad = True

    def __init__(
        self, name: str, *, window_samples: int, hop_samples: int, num_features: int
    ) -> None:
        super().__init__(name=name, trainable=False, dtype="float32")
        self.window_samples, self.hop_samples = window_samples, hop_samples
        self.lookback_samples = window_samples - hop_samples
        self.num_features = num_features
        self.statistics: Statistics | None = None
        self.through_magnitude = False

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """(B, n) float32 in ±1 → (B, frames, num_features)."""
        return self._standardised(self._features(x))

    def stream(
        self, x: tf.Tensor, state: list[tf.Tensor], num_new: int
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Features of the next packet, and the state after its first `num_new` frames."""
        return self(x), state

    def state_shapes(self) -> list[tuple[int, ...]]:
        """Shapes of the state, without the batch axis."""
        return []

    def _features(self, x: tf.Tensor) -> tf.Tensor:
        raise NotImplementedError

    def _standardised(self, features: tf.Tensor) -> tf.Tensor:
        if self.statistics is None:
            return features
        mean = np.array(self.statistics.mean, np.float32)
        return (features - mean) / np.array(self.statistics.deviation, np.float32)


class LinearFrontEnd(FrontEnd):
    """(B, n) float32 in ±1 → (B, frames, fft_size/2 + 1): (ln(P + 1e-8) + 11) / 4.

    P is the power of a periodic-Hann frame. Frames depend on no other frame: no batch-wide
    normalisation.
    """

    def __init__(self, config: Linear | LogMel | Mfcc | Pcen, sample_rate_hz: int) -> None:
        window = seconds_to_samples(config.window_s, sample_rate_hz)
        self._fft_size = max(config.fft_size, 1 << (window - 1).bit_length())
        super().__init__(
            config.family,
            window_samples=window,
            hop_samples=seconds_to_samples(config.hop_s, sample_rate_hz),
            num_features=self._fft_size // 2 + 1,
        )
        n = np.arange(window)
        self._window = (0.5 - 0.5 * np.cos(2 * np.pi * n / window)).astype("float32")

    def _power(self, x: tf.Tensor) -> tf.Tensor:
        frames = tf.signal.frame(x, self.window_samples, self.hop_samples) * self._window
        spectrum = tf.signal.rfft(frames, [self._fft_size])
        if self.through_magnitude:
            power = tf.square(tf.abs(spectrum))  # slower
        else:
            power = tf.square(tf.math.real(spectrum)) + tf.square(tf.math.imag(spectrum))
        return power / float(np.sum(self._window**2))

    def _features(self, x: tf.Tensor) -> tf.Tensor:
        return (tf.math.log(self._power(x) + _FLOOR) + 11.0) / 4.0


class LogMelFrontEnd(LinearFrontEnd):
    """(B, n) float32 in ±1 → (B, frames, num_mels): (ln(P + 1e-8) + 11) / 4.

    P is the power of a periodic-Hann frame in triangular bands on the HTK mel scale,
    2595·log10(1 + f/700).
    """

    def __init__(self, config: LogMel | Mfcc | Pcen, sample_rate_hz: int) -> None:
        super().__init__(config, sample_rate_hz)
        self.num_features = config.num_mels
        self._bands = mel_bands(
            num_mels=config.num_mels,
            fft_size=self._fft_size,
            sample_rate_hz=sample_rate_hz,
            low_hz=config.low_hz,
            high_hz=config.high_hz,
        )

    def _power(self, x: tf.Tensor) -> tf.Tensor:
        return tf.matmul(super()._power(x), tf.constant(self._bands))


class MfccFrontEnd(LogMelFrontEnd):
    """(B, n) float32 in ±1 → (B, frames, num_coefficients): DCT-II of log-mel, orthonormal."""

    def __init__(self, config: Mfcc, sample_rate_hz: int) -> None:
        super().__init__(config, sample_rate_hz)
        self.num_features = config.num_coefficients
        turns = np.outer(2 * np.arange(config.num_mels) + 1, np.arange(config.num_coefficients))
        cosines = np.cos(np.pi * turns / (2 * config.num_mels)) * np.sqrt(2.0 / config.num_mels)
        cosines[:, 0] /= np.sqrt(2.0)
        self._cosines = cosines.astype("float32")

    def _features(self, x: tf.Tensor) -> tf.Tensor:
        return tf.matmul(super()._features(x), tf.constant(self._cosines))


class PcenFrontEnd(LogMelFrontEnd):
    """(B, n) float32 in ±1 → (B, frames, num_mels): (E·(1e-8 + M)^−gain + b)^power − b^power.

    b is the bias, E the mel power, M[t] = M[t−1] + s·(E[t] − M[t−1]) its past with
    s = 1 − exp(−hop / smoothing).
    """

    def __init__(self, config: Pcen, sample_rate_hz: int) -> None:
        super().__init__(config, sample_rate_hz)
        self._config = config
        self._smoother = Smoother(self.hop_samples / (config.smoothing_s * sample_rate_hz))

    def stream(
        self, x: tf.Tensor, state: list[tf.Tensor], num_new: int
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Features of the next packet, and M after its first `num_new` frames."""
        energy = self._power(x)
        past, kept = self._smoother.stream(energy, state[0], num_new)
        return self._standardised(self._compressed(energy, past)), [kept]

    def state_shapes(self) -> list[tuple[int, ...]]:
        """Shape of M, without the batch axis."""
        return [(self.num_features,)]

    def _features(self, x: tf.Tensor) -> tf.Tensor:
        energy = self._power(x)
        return self._compressed(energy, self._smoother(energy))

    def _compressed(self, energy: tf.Tensor, past: tf.Tensor) -> tf.Tensor:
        gain, bias, power = self._config.gain, self._config.bias, self._config.power
        level = energy * tf.exp(-gain * tf.math.log(_FLOOR + past))
        return tf.pow(level + bias, power) - bias**power


class SpecgramFrontEnd(FrontEnd):
    """(B, n) float32 in ±1 → (B, frames, window/2 + 1): the reference exercise's spectrogram.

    Power on int16 counts with a symmetric Hann window, divided by 8000·Σw², doubled but for the
    first and last bin: matplotlib's specgram(window, 8000, window − hop), time first. With
    `compression: log` ln(1 + power).
    """

    left_pad = False

    def __init__(self, config: Specgram, sample_rate_hz: int) -> None:
        super().__init__(
            "specgram",
            window_samples=config.window_samples,
            hop_samples=config.hop_samples,
            num_features=config.window_samples // 2 + 1,
        )
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

    def _features(self, x: tf.Tensor) -> tf.Tensor:
        frames = tf.signal.frame(x * FULL_SCALE, self.window_samples, self.hop_samples)
        # As products with two matrices: LiteRT's FFT takes powers of two only.
        frames = frames * self._window
        power = tf.square(frames @ tf.constant(self._cosines))
        power = (power + tf.square(frames @ tf.constant(self._sines))) * self._scale
        return tf.math.log1p(power) if self._log else power


def build_front_end(
    config: Features, sample_rate_hz: int, statistics: Statistics | None = None
) -> FrontEnd:
    """Return the front end that a recipe's `features` section names."""
    families = {
        "linear": LinearFrontEnd,
        "log_mel": LogMelFrontEnd,
        "mfcc": MfccFrontEnd,
        "pcen": PcenFrontEnd,
        "specgram": SpecgramFrontEnd,
    }
    front_end = families[config.family](config, sample_rate_hz)
    front_end.statistics = statistics
    return front_end
