"""Loudness as ITU-R BS.1770 has it, of one channel.

K-weighting (a shelf and a high-pass, here as biquads for any rate), the power of blocks of 400 ms
that overlap by 75 %, and two gates: blocks under −70 LUFS don't count, then those more than 10 LU
under the mean of the rest.

    L = −0.691 + 10 · log10(mean power of the blocks that count)       re full scale 1.0

What is shorter than a block is one block of its own length, and isn't gated. Source: ITU-R
BS.1770-4, annex 1; the analogue prototypes of its filters at 48 kHz are those of EBU R 128's
reference implementations.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import numpy.typing as npt

from pipeline.biquads import two_biquads

FloatArray = npt.NDArray[np.float32]
_BLOCK_S = 0.4
_STEPS_IN_BLOCK = 4
_ABSOLUTE_GATE_LUFS = -70.0
_RELATIVE_GATE_LU = -10.0
_OFFSET_DB = -0.691
_DECIMALS = 12


def integrated_lufs(x: FloatArray, sample_rate_hz: int) -> float:
    """Return the integrated loudness; −inf for silence, or where every block is gated.

    Args:
        x: (num_samples,) float32 in ±1.
        sample_rate_hz: its rate.
    """
    if not len(x):
        return -math.inf
    weighted = np.empty(len(x))
    two_biquads(np.ascontiguousarray(x), _k_weighting(sample_rate_hz), weighted)
    power = np.square(weighted, out=weighted)
    step = round(_BLOCK_S * sample_rate_hz / _STEPS_IN_BLOCK)
    if len(x) < _STEPS_IN_BLOCK * step:
        return _lufs(float(power.mean()))
    steps = power[: len(x) // step * step].reshape(-1, step).mean(axis=1)
    blocks = np.lib.stride_tricks.sliding_window_view(steps, _STEPS_IN_BLOCK).mean(axis=1)
    blocks = blocks[blocks > _power(_ABSOLUTE_GATE_LUFS)]
    if not blocks.size:
        return -math.inf
    gate = _power(_lufs(float(blocks.mean())) + _RELATIVE_GATE_LU)
    return _lufs(float(blocks[blocks > gate].mean()))


def _lufs(power: float) -> float:
    return _OFFSET_DB + 10.0 * math.log10(power) if power > 0.0 else -math.inf


def _power(lufs: float) -> float:
    return float(10.0 ** ((lufs - _OFFSET_DB) / 10.0))


@functools.lru_cache(maxsize=16)
def _k_weighting(rate_hz: int) -> npt.NDArray[np.float64]:
    """Both biquads, by the bilinear transform of their analogue prototypes."""
    k = math.tan(math.pi * 1681.974450955533 / rate_hz)
    q, high = 0.7071752369554196, 10.0 ** (3.999843853973347 / 20.0)
    band = high**0.4996667741545416
    shelf = [high + band * k / q + k * k, 2.0 * (k * k - high), high - band * k / q + k * k]
    sections = [[*shelf, *_denominator(k, q)]]
    k = math.tan(math.pi * 38.13547087602444 / rate_hz)
    norm = _denominator(k, 0.5003270373238773)
    sections.append([norm[0], -2.0 * norm[0], norm[0], *norm])  # a numerator of 1, −2, 1
    return np.round(np.array([[v / row[3] for v in row] for row in sections]), _DECIMALS)


def _denominator(k: float, q: float) -> list[float]:
    return [1.0 + k / q + k * k, 2.0 * (k * k - 1.0), 1.0 - k / q + k * k]
