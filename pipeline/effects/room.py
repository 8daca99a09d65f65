"""Rooms: convolution with an impulse response whose direct sound is at its start."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipeline.effects.convolution import convolve

FloatArray = npt.NDArray[np.float32]


def reverberate(x: FloatArray, response: FloatArray, wet_share: float) -> FloatArray:
    """Return (1 − wet) · x + wet · (x ∗ response), with its tail.

    Args:
        x: (num_samples,) float32.
        response: (m,) float32, direct sound of amplitude 1 at index 0.
        wet_share: 0 … 1.

    Returns:
        (num_samples + m − 1,) float32.
    """
    wet = convolve(x, response) * np.float32(wet_share)
    wet[: len(x)] += x * np.float32(1.0 - wet_share)
    return wet
