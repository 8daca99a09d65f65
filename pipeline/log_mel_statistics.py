"""A frozen embedding of sound that needs no training: what a second sounds like, in 128 numbers.

Frame t covers samples [t·hop, t·hop + length). In it, the log energies of 64 mel bands (60 Hz to
7.8 kHz at 16 kHz, HTK scale; Hann windows of 25 ms every 10 ms; natural logarithm of the power plus
1e-6) are summed up by their 64 means and their 64 standard deviations: how loud each band is, and
how much it changes. Nothing here was learnt, so no recording has leaked into it; an embedding that
was learnt on much sound, such as AudioSet's own, tells more.

A clip's end that fills no whole frame is left out; a clip shorter than a frame is one frame, padded
with silence behind. The same samples give the same numbers; no part of them is random.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from pipeline.mel import mel_bands
from schemas.units import seconds_to_samples

RATE_HZ = 16000
VERSION = 1
"""Raised whenever the same sound gives other numbers."""

_NUM_BANDS = 64
_LOW_HZ, _HIGH_HZ = 60.0, 7800.0
_WINDOW, _HOP, _FFT = 400, 160, 512
_FLOOR = 1e-6


def embed(x: npt.NDArray[np.float32], *, frame_s: float, hop_s: float) -> npt.NDArray[np.float32]:
    """Return (num_frames, 128) float32 of a sound.

    Args:
        x: (num_samples,) in ±1 at RATE_HZ.
        frame_s: what a frame stands for.
        hop_s: between the beginnings of two frames.
    """
    length = max(1, (seconds_to_samples(frame_s, RATE_HZ) - _WINDOW) // _HOP + 1)
    hop = max(1, round(seconds_to_samples(hop_s, RATE_HZ) / _HOP))
    least = _WINDOW + _HOP * (length - 1)
    if len(x) < least:
        x = np.pad(x, (0, least - len(x)))
    windows = np.lib.stride_tricks.sliding_window_view(x, _WINDOW)[::_HOP]
    spectrum = np.fft.rfft(windows * np.hanning(_WINDOW), _FFT)
    energies = np.log((spectrum.real**2 + spectrum.imag**2) @ _bands() + _FLOOR)
    frames = np.lib.stride_tricks.sliding_window_view(energies, length, axis=0)[::hop]
    statistics = [frames.mean(axis=2), frames.std(axis=2)]
    return np.concatenate(statistics, axis=1, dtype=np.float32, casting="same_kind")


@lru_cache(maxsize=1)
def _bands() -> npt.NDArray[np.float64]:
    return mel_bands(
        num_mels=_NUM_BANDS, fft_size=_FFT, sample_rate_hz=RATE_HZ, low_hz=_LOW_HZ, high_hz=_HIGH_HZ
    ).astype(np.float64)
