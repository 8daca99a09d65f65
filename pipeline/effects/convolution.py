"""Convolution by overlap-add of transforms.

`scipy.signal` has it too, but importing that brings scipy's statistics: a second and 56 MiB for
every worker. `scipy.fft` is 9.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import fft

from pipeline.compiled import compiled

FloatArray = npt.NDArray[np.float32]
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
    spectra = fft.rfft(rows, size, axis=1)
    _multiply(spectra.view(np.float32), fft.rfft(response, size).view(np.float32))
    pieces = fft.irfft(spectra, size, axis=1)
    out = np.zeros((num_blocks + -(-(m - 1) // step), step), dtype=np.float32)
    out[:num_blocks] = pieces[:, :step]
    if m > 1:
        tails = pieces[:, step:]
        flat = out.reshape(-1)
        for i in range(num_blocks):  # a tail may be longer than a step where the sound is short
            at = (i + 1) * step
            flat[at : at + m - 1] += tails[i]
    return out.reshape(-1)[: n + m - 1].copy()


@compiled
def _multiply(a: FloatArray, b: FloatArray) -> None:
    """Multiply each row of `a` by `b` in place; complex numbers as pairs of float32.

    Every step is one rounded operation. numpy's own product is fused on some CPUs, not on others.
    """
    for row in range(a.shape[0]):
        for k in range(0, a.shape[1], 2):
            real = a[row, k] * b[k] - a[row, k + 1] * b[k + 1]
            a[row, k + 1] = a[row, k] * b[k + 1] + a[row, k + 1] * b[k]
            a[row, k] = real
