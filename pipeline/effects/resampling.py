"""Resampling by a rational factor: an interpolation filter in phases, a short product a sample.

With t = (first + m) · down, output m is Σ_j taps[t mod up + j · up] · x[⌊t / up⌋ − j]. The taps of
each phase are a row of a table, reversed and filled up with zeros to whole groups of eight; a
product is eight sums over every eighth term, added in pairs.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import numpy.typing as npt

from pipeline.compiled import compiled

FloatArray = npt.NDArray[np.float32]
_LANES = 8
_ZERO_CROSSINGS = 16
_KAISER_BETA = 7.0
_TAP_DECIMALS = 9


def resample(x: FloatArray, up: int, down: int, length: int) -> FloatArray:
    """Return `length` samples of `x` at up/down times its rate, zeros beyond its end.

    Args:
        x: (num_samples,) float32.
        up: numerator of the ratio of the rates.
        down: its denominator.
        length: of what is returned.
    """
    common = math.gcd(up, down)
    up, down = up // common, down // common
    table, first = _phases(up, down)
    reach = table.shape[1]
    padded = np.zeros(max(len(x), ((first + length) * down) // up + 1) + reach, dtype=np.float32)
    padded[reach - 1 : reach - 1 + len(x)] = x
    out = np.empty(length, dtype=np.float32)
    _products(padded, table, up, down, first, out)
    return out


@compiled
def _products(
    padded: FloatArray, table: FloatArray, up: int, down: int, first: int, out: FloatArray
) -> None:
    # Unsigned throughout: indices that might be negative would keep the loop from being vectorised.
    sums = np.zeros(8, dtype=np.float32)
    num_taps, num_phases, lanes = np.uint64(table.shape[1]), np.uint64(up), np.uint64(8)
    whole, part = np.uint64(down // up), np.uint64(down % up)
    start, phase = np.uint64(first * down // up), np.uint64(first * down % up)
    for m in range(len(out)):
        sums[:] = 0.0
        tap = np.uint64(0)
        while tap < num_taps:
            for lane in range(np.uint64(0), lanes):
                sums[lane] += table[phase, tap + lane] * padded[start + tap + lane]
            tap += lanes
        out[m] = ((sums[0] + sums[1]) + (sums[2] + sums[3])) + (
            (sums[4] + sums[5]) + (sums[6] + sums[7])
        )
        start += whole
        phase += part
        if phase >= num_phases:
            phase -= num_phases
            start += np.uint64(1)


@functools.lru_cache(maxsize=512)
def _phases(up: int, down: int) -> tuple[FloatArray, int]:
    """The table, and the output of the filter at which the signal's first sample is."""
    taps = _low_pass(up, down)
    reach = -(-len(taps) // up)
    rows = np.zeros((reach, up), dtype=np.float32)
    rows.reshape(-1)[: len(taps)] = taps
    table = np.zeros((up, -(-reach // _LANES) * _LANES), dtype=np.float32)
    table[:, table.shape[1] - reach :] = rows[::-1].T
    return table, (len(taps) - 1) // 2 // down


def _low_pass(up: int, down: int) -> FloatArray:
    """Interpolation filter whose delay is a multiple of `down`.

    Taps are rounded to nine decimals before use, so that the last bit of a CPU's own sine
    can't reach the audio.
    """
    widest = max(up, down)
    half = -(-_ZERO_CROSSINGS * widest // down) * down
    t = np.arange(-half, half + 1) / widest
    taps = np.sinc(t) * np.kaiser(2 * half + 1, _KAISER_BETA) * (up / widest)
    return np.asarray(np.round(taps, _TAP_DECIMALS), dtype=np.float32)
