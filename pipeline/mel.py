"""Mel bands: the one set of triangles that every front end sums powers with."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def mel_bands(
    *, num_mels: int, fft_size: int, sample_rate_hz: int, low_hz: float, high_hz: float
) -> npt.NDArray[np.float32]:
    """Return (fft_size/2 + 1, num_mels) float32 triangles, equally spaced in HTK mel."""

    def mel(hz: npt.ArrayLike) -> npt.NDArray[np.float64]:
        return np.asarray(2595.0 * np.log10(1.0 + np.asarray(hz) / 700.0))

    edges = np.linspace(float(mel(low_hz)), float(mel(high_hz)), num_mels + 2)
    bins = mel(np.arange(fft_size // 2 + 1) * sample_rate_hz / fft_size)[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)
