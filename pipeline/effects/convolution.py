"""Convolution by overlap-add of transforms.

`scipy.signal` has it too, but importing that brings scipy's statistics: a second and 56 MiB for
every worker. `scipy.fft` is 9.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import fft

FloatArray = npt.NDArray[np.float32]
Spectrum = npt.NDArray[np.complex64]
_BLOCK_TO_RESPONSE = 8
_SHORTEST_BLOCK = 2048


def convolve(x: FloatArray, response: FloatArray) -> FloatArray:
    """Return the full convolution of two float32 waveforms, (n + m − 1,) float32."""
    n, m = len(x), len(response)
    block = min(n + m - 1, max(_SHORTEST_BLOCK, _BLOCK_TO_RESPONSE * m))
    size = fft.next_fast_len(block, real=True)
    step = size - m + 1
    num_blocks = -(-n // step)
    rows = np.zeros((num_blocks, step), dtype=np.float32)
    rows.reshape(-1)[:n] = x
    pieces = fft.irfft(_product(fft.rfft(rows, size, axis=1), fft.rfft(response, size)), size)
    out = np.zeros((num_blocks + -(-(m - 1) // step), step), dtype=np.float32)
    out[:num_blocks] = pieces[:, :step]
    if m > 1:
        tails = pieces[:, step:]
        flat = out.reshape(-1)
        for i in range(num_blocks):  # a tail may be longer than a step where the sound is short
            at = (i + 1) * step
            flat[at : at + m - 1] += tails[i]
    return out.reshape(-1)[: n + m - 1].copy()


def _product(a: Spectrum, b: Spectrum) -> Spectrum:
    """Multiply (rows, bins) by (bins,) in single rounded operations, the same on every CPU.

    numpy's own product of complex numbers is fused on some CPUs and not on others.
    """
    out = np.empty_like(a)
    out.real = a.real * b.real - a.imag * b.imag
    out.imag = a.real * b.imag + a.imag * b.real
    return out
