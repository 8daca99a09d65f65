"""Speed, tempo and pitch.

`speed` is tape-like: resampling by a rational factor with a Kaiser-windowed sinc. `tempo` is WSOLA:
frames are laid over each other every 10 ms, each taken from within 8 ms of its place in the input,
where it continues the frame before with the least squared difference; the search is in integers,
so its choices are the same on every CPU. `pitch` is tempo followed by speed.

Source of WSOLA: Verhelst and Roelands, "An overlap-add technique based on waveform similarity
(WSOLA) for high quality time-scale modification of speech", ICASSP 1993.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipeline.effects.resampling import resample
from schemas.effects import scaled_length

FloatArray = npt.NDArray[np.float32]
_STEPS = 100
_HOP_S = 0.010
_SEARCH_S = 0.008


def change_speed(x: FloatArray, speed: float) -> FloatArray:
    """Resample `x` by 1/speed.

    Args:
        x: (num_samples,) float32, at least one sample.
        speed: a multiple of 0.01 in [0.5, 2].

    Returns:
        (ceil(num_samples / speed),) float32.
    """
    percent = round(speed * _STEPS)
    if percent == _STEPS:
        return np.asarray(x)
    return resample(x, _STEPS, percent, scaled_length(len(x), speed))


def change_tempo(x: FloatArray, rate_hz: int, tempo: float) -> FloatArray:
    """Make `x` shorter by `tempo` at the same pitch.

    Args:
        x: (num_samples,) float32 in int16 counts, at least one sample.
        rate_hz: of `x`.
        tempo: a multiple of 0.01 in [0.5, 2].

    Returns:
        (ceil(num_samples / tempo),) float32.
    """
    if round(tempo * _STEPS) == _STEPS:
        return np.asarray(x)
    return _overlap_add(x, rate_hz, scaled_length(len(x), tempo))


def change_pitch(x: FloatArray, rate_hz: int, semitones: float) -> FloatArray:
    """Raise `x` by `semitones` and keep its length.

    Args:
        x: (num_samples,) float32 in int16 counts, at least one sample.
        rate_hz: of `x`.
        semitones: in [−12, 12]; the ratio 2^(semitones/12) is rounded to 0.01.
    """
    percent = round(_STEPS * 2.0 ** (semitones / 12.0))
    if percent == _STEPS:
        return np.asarray(x)
    longer = _overlap_add(x, rate_hz, -(-len(x) * percent // _STEPS))
    return resample(longer, _STEPS, percent, len(x))


def _overlap_add(x: FloatArray, rate_hz: int, length: int) -> FloatArray:
    """WSOLA from len(x) to `length` samples."""
    hop = round(_HOP_S * rate_hz)
    search = round(_SEARCH_S * rate_hz)
    rise = (np.arange(hop, dtype=np.float32) + np.float32(0.5)) / np.float32(hop)
    fall = rise[::-1].copy()
    num_frames = -(-length // hop) + 1
    ratio = len(x) / length
    last = round((num_frames - 1) * hop * ratio)
    padded = np.pad(x, (search, last + 2 * hop + 2 * search + 1))
    counts = np.rint(padded).astype(np.int64)
    energy = np.concatenate(([0], np.cumsum(counts * counts)))
    out = np.zeros((num_frames + 1) * hop, dtype=np.float32)
    at = search
    out[:hop] = padded[at : at + hop]
    out[hop : 2 * hop] = padded[at + hop : at + 2 * hop] * fall
    for frame in range(1, num_frames):
        wanted = counts[at + hop : at + 2 * hop]
        low = round(frame * hop * ratio)
        # |a − b|² = |a|² − 2ab + |b|²; |b|² is the same for all places.
        energies = (energy[low + hop : low + hop + 2 * search + 1]
                    - energy[low : low + 2 * search + 1])  # fmt: skip
        products = np.correlate(counts[low : low + hop + 2 * search], wanted, mode="valid")
        cost = energies - 2 * products
        best = np.flatnonzero(cost == cost.min())
        at = low + int(best[np.argmin(np.abs(best - search))])
        start = frame * hop
        out[start : start + hop] += padded[at : at + hop] * rise
        out[start + hop : start + 2 * hop] = padded[at + hop : at + 2 * hop] * fall
    return out[:length]
