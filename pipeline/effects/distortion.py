"""Overdrive, telephone, lost sound and offset. Amplitudes are int16 counts, ±32768."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from pipeline.compiled import compiled
from pipeline.effects.filters import band_pass
from pipeline.effects.resampling import resample
from pipeline.mixing import peak
from schemas.units import FULL_SCALE, db_to_gain

FloatArray = npt.NDArray[np.float32]
_TELEPHONE_RATE_HZ = 8000
_TELEPHONE_LOW_HZ = 300.0


def soft_clip(x: FloatArray, drive_db: float) -> FloatArray:
    """Bend the peaks: u / √(1 + u²) with the highest peak at u = drive; the peak stays where it is.

    0 dB bends a little, 36 dB makes nearly a square wave.
    """
    highest = np.float32(peak(np.ascontiguousarray(x)))
    if highest == 0.0:
        return x
    drive = np.float32(db_to_gain(drive_db))
    out = np.empty(len(x), dtype=np.float32)
    back = highest * np.sqrt(np.float32(1.0) + drive * drive) / drive
    _bend(x, drive / highest, back, out)
    return out


@compiled
def _bend(x: FloatArray, drive: np.float32, back: np.float32, out: FloatArray) -> None:
    for i in range(len(x)):
        u = x[i] * drive
        out[i] = u / np.sqrt(np.float32(1.0) + u * u) * back


def telephone(x: FloatArray, rate_hz: int, high_hz: float) -> FloatArray:
    """Pass 300 Hz … `high_hz` through 8-bit mu-law (ITU-T G.711) at 8 kHz."""
    narrow = band_pass(x, rate_hz, _TELEPHONE_LOW_HZ, high_hz)
    if rate_hz <= _TELEPHONE_RATE_HZ:
        return mu_law(narrow)
    length = -(-len(x) * _TELEPHONE_RATE_HZ // rate_hz)
    coded = mu_law(resample(narrow, _TELEPHONE_RATE_HZ, rate_hz, length))
    return resample(coded, rate_hz, _TELEPHONE_RATE_HZ, len(x))


def mu_law(x: FloatArray) -> FloatArray:
    """Round to the nearest of the 255 levels of 8-bit mu-law."""
    levels, borders = _mu_law_levels()
    return levels[np.searchsorted(borders, x)]


@functools.cache
def _mu_law_levels() -> tuple[FloatArray, FloatArray]:
    """Decoded values of G.711 in 16-bit counts, sorted, and the borders half-way between."""
    codes = np.arange(128)
    positive = (((codes & 15) << 3) + 132 << (codes >> 4)) - 132
    levels = np.unique(np.concatenate((-positive, positive))).astype(np.float32)
    return levels, (levels[1:] + levels[:-1]) / 2


def drop_out(x: FloatArray, rate_hz: int, duration_s: float, place: float) -> FloatArray:
    """Silence `duration_s` from `place` of the way through the clip."""
    start = int(place * len(x))
    stop = start + round(duration_s * rate_hz)
    y = x.copy()
    y[start:stop] = 0.0
    return y


def add_dc(x: FloatArray, share: float) -> FloatArray:
    """Add `share` of full scale to every sample."""
    return x + np.float32(share * FULL_SCALE)
