"""Band limits, tilt and resonance: what microphones and distance do to a spectrum.

Filters are designed once for each setting. Their coefficients are rounded to nine decimals before
use, so that the last bit of a CPU's own sine can't reach the audio.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import numpy.typing as npt

from pipeline.biquads import NOTHING, filter_biquads
from pipeline.effects.convolution import convolve

FloatArray = npt.NDArray[np.float32]
_DECIMALS = 9
_TILT_TAPS = 255
_TILT_PIVOT_HZ = 1000.0
_TILT_LOWEST_HZ = 60.0
_LOWEST_RESONANCE_HZ = 150.0
_HIGHEST_SHARE = 0.45
_BUTTERWORTH_QS = tuple(1.0 / (2.0 * math.sin(math.pi * k / 8.0)) for k in (1, 3))


def low_pass(x: FloatArray, rate_hz: int, cutoff_hz: float) -> FloatArray:
    """Butterworth of 4th order; nothing changes if the cutoff is at 0.45 of the rate or above."""
    if cutoff_hz >= _HIGHEST_SHARE * rate_hz:
        return x
    return filter_biquads(x, _butterworth(rate_hz, cutoff_hz, "lowpass"))


def high_pass(x: FloatArray, rate_hz: int, cutoff_hz: float) -> FloatArray:
    """Butterworth of 4th order; the cutoff is 0.45 of the rate at most."""
    cutoff_hz = min(cutoff_hz, _HIGHEST_SHARE * rate_hz)
    return filter_biquads(x, _butterworth(rate_hz, cutoff_hz, "highpass"))


def band_pass(x: FloatArray, rate_hz: int, low_hz: float, high_hz: float) -> FloatArray:
    """High-pass and low-pass of 4th order each."""
    return low_pass(high_pass(x, rate_hz, low_hz), rate_hz, high_hz)


def tilt(x: FloatArray, rate_hz: int, db_per_octave: float) -> FloatArray:
    """Straight line in dB over the logarithm of frequency, 0 dB at 1 kHz, without delay."""
    if db_per_octave == 0.0:
        return x
    taps = _tilt_taps(rate_hz, db_per_octave)
    half = (_TILT_TAPS - 1) // 2
    return convolve(x, taps)[half : half + len(x)]


def resonance(x: FloatArray, rate_hz: int, gain_db: float, place: float) -> FloatArray:
    """Peak or dip, one octave wide.

    Its frequency runs from 150 Hz at `place` 0 to 0.4 of the rate at 1, by the logarithm. Source
    of the biquad: Bristow-Johnson, "Cookbook formulae for audio EQ biquad filter coefficients".
    """
    return filter_biquads(x, _peak(rate_hz, gain_db, place))


@functools.lru_cache(maxsize=4096)
def _butterworth(rate_hz: int, cutoff_hz: float, kind: str) -> npt.NDArray[np.float64]:
    """4th order in two biquads, in closed form: scipy's design takes ten times as long."""
    w = 2.0 * math.pi * cutoff_hz / rate_hz
    cosine = math.cos(w)
    sections = []
    for q in _BUTTERWORTH_QS:
        alpha = math.sin(w) / (2.0 * q)
        outer = (1.0 - cosine) / 2.0 if kind == "lowpass" else (1.0 + cosine) / 2.0
        middle = 2.0 * outer if kind == "lowpass" else -2.0 * outer
        numerator = (outer, middle, outer)
        denominator = (1.0 + alpha, -2.0 * cosine, 1.0 - alpha)
        sections.append([v / denominator[0] for v in (*numerator, *denominator)])
    return np.round(np.array(sections), _DECIMALS)


@functools.lru_cache(maxsize=4096)
def _peak(rate_hz: int, gain_db: float, place: float) -> npt.NDArray[np.float64]:
    highest = 0.4 * rate_hz
    centre_hz = _LOWEST_RESONANCE_HZ * (highest / _LOWEST_RESONANCE_HZ) ** place
    w = 2.0 * math.pi * centre_hz / rate_hz
    a = 10.0 ** (gain_db / 40.0)
    alpha = math.sin(w) * math.sinh(math.log(2.0) / 2.0 * w / math.sin(w))
    b = (1.0 + alpha * a, -2.0 * math.cos(w), 1.0 - alpha * a)
    c = (1.0 + alpha / a, -2.0 * math.cos(w), 1.0 - alpha / a)
    section = [*(v / c[0] for v in b), 1.0, c[1] / c[0], c[2] / c[0]]
    return np.round(np.array([section, NOTHING]), _DECIMALS)


@functools.lru_cache(maxsize=1024)
def _tilt_taps(rate_hz: int, db_per_octave: float) -> FloatArray:
    size = 4096
    frequency = np.maximum(np.fft.rfftfreq(size, 1.0 / rate_hz), _TILT_LOWEST_HZ)
    gain_db = db_per_octave * np.log2(frequency / _TILT_PIVOT_HZ)
    response = np.fft.fftshift(np.fft.irfft(10.0 ** (gain_db / 20.0), size))
    half = (_TILT_TAPS - 1) // 2
    taps = response[size // 2 - half : size // 2 + half + 1] * np.hanning(_TILT_TAPS + 2)[1:-1]
    return np.asarray(np.round(taps, _DECIMALS), dtype=np.float32)
