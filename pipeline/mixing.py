"""The mixer's innermost loops: each is one pass over the samples.

numpy needs a pass for every step and a temporary for every pass, and at ten seconds a scene those
are what rendering costs. Here they are compiled (compiled.py), and what they compute doesn't depend
on the CPU: sums of squares of int16 are integers; those of floats have partial sums in an order of
their own. `tests/pipeline/test_mixing.py` holds each equal to its numpy formula.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipeline.compiled import compiled

FloatArray = npt.NDArray[np.float32]
Pcm = npt.NDArray[np.int16]


@compiled
def scale(x: Pcm | FloatArray, gain: np.float32, out: FloatArray) -> None:
    """Set out[i] = x[i] · gain; `x` (n,) int16 or float32, `out` (n,) float32."""
    for i in range(len(x)):
        out[i] = np.float32(x[i]) * gain


@compiled
def add_scaled(x: Pcm | FloatArray, gain: np.float32, out: FloatArray) -> None:
    """Add x[i] · gain to out[i]; `x` (n,) int16 or float32, `out` (n,) float32."""
    for i in range(len(x)):
        out[i] += np.float32(x[i]) * gain


@compiled
def round_scaled(x: FloatArray, gain: np.float32, out: Pcm) -> None:
    """Set out[i] to x[i] · gain, rounded to even; the product must lie within int16."""
    for i in range(len(x)):
        out[i] = np.int16(np.int32(np.rint(x[i] * gain)))


@compiled
def peak(x: FloatArray) -> float:
    """Return the largest |x[i]|; 0 for none. Floats without their sign compare as integers."""
    bits = x.view(np.int32)
    top = np.int32(0)
    for i in range(len(bits)):
        top = max(top, bits[i] & np.int32(0x7FFFFFFF))
    one = np.empty(1, np.int32)
    one[0] = top
    return float(one.view(np.float32)[0])


@compiled
def integer_energy(x: Pcm) -> int:
    """Return Σ x[i]², exactly; (n,) int16. Two squares fit into 32 bits, without their sign."""
    total = np.int64(0)
    paired = len(x) // 2 * 2
    for i in range(0, paired, 2):
        first, second = np.int32(x[i]), np.int32(x[i + 1])
        total += np.int64(np.uint32(first * first) + np.uint32(second * second))
    for i in range(paired, len(x)):
        value = np.int64(x[i])
        total += value * value
    return int(total)


@compiled
def energy(x: Pcm | FloatArray) -> float:
    """Return Σ x[i]² in float64: a sum for each i mod 256, then those in order."""
    sums = np.zeros(256)
    whole = len(x) // 256 * 256
    for i in range(0, whole, 256):
        for j in range(256):
            value = np.float64(x[i + j])
            sums[j] += value * value
    for i in range(whole, len(x)):
        value = np.float64(x[i])
        sums[i - whole] += value * value
    total = 0.0
    for j in range(256):
        total += sums[j]
    return total


@compiled
def floor_scaled(x: Pcm, factor: float, out: Pcm) -> None:
    """Set out[i] = ⌊clip(x[i] · factor, −32768, 32767)⌋ in float64; both (n,) int16; factor ≥ 0.

    From 65535 on every factor clips all but zeros; up to there the floor lies within int32, where
    clipping is cheaper and the same.
    """
    factor = min(factor, 65535.0)
    for i in range(len(x)):
        value = np.int32(np.floor(np.float64(x[i]) * factor))
        out[i] = np.int16(min(max(value, np.int32(-32768)), np.int32(32767)))


@compiled
def add_saturating(x: Pcm, out: Pcm) -> None:
    """Add x[i] to out[i], kept within int16; both (n,) int16."""
    for i in range(len(x)):
        value = np.int32(out[i]) + np.int32(x[i])
        out[i] = min(max(value, np.int32(-32768)), np.int32(32767))
