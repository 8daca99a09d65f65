"""Effects on one clip: small pure functions of (waveform, parameter), same bytes each time.

The only effect so far is `speed`, tape-like: 1.1 plays 10 % faster and 10 % higher. Speeds are
multiples of 0.01, so resampling is rational, and the length is known without touching audio.
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt
from scipy import signal

FloatArray = npt.NDArray[np.float32]
_STEPS = 100
_ZERO_CROSSINGS = 16
_KAISER_BETA = 7.0
_TAP_DECIMALS = 9


def stretched_length(num_samples: int, speed: float) -> int:
    """Return the length of a clip after `change_speed`: ceil(num_samples / speed), at least 1."""
    percent = round(speed * _STEPS)
    return max(1, -(-num_samples * _STEPS // percent))


def change_speed(x: FloatArray, speed: float) -> FloatArray:
    """Resample `x` by 1/speed with a Kaiser-windowed sinc.

    Args:
        x: (num_samples,) float32, at least one sample.
        speed: a multiple of 0.01 in [0.5, 2].

    Returns:
        (stretched_length(num_samples, speed),) float32.
    """
    percent = round(speed * _STEPS)
    if percent == _STEPS:
        return np.asarray(x)
    length = stretched_length(len(x), speed)
    taps = _low_pass(percent)
    half = (len(taps) - 1) // 2
    # upfirdn's output starts half a filter early; pad the input so that the delay is whole.
    filtered = signal.upfirdn(taps, x, up=_STEPS, down=percent)
    first = half // percent
    out: FloatArray = filtered[first : first + length].astype(np.float32)
    return np.asarray(np.pad(out, (0, length - len(out))), dtype=np.float32)


@functools.cache
def _low_pass(percent: int) -> npt.NDArray[np.float32]:
    """Interpolation filter for up 100, down `percent`; its delay is a multiple of `percent`.

    Taps are rounded to nine decimals before use, so that the last bit of a CPU's own sine
    can't reach the audio.
    """
    widest = max(_STEPS, percent)
    half = -(-_ZERO_CROSSINGS * widest // percent) * percent
    t = np.arange(-half, half + 1) / widest
    taps = np.sinc(t) * np.kaiser(2 * half + 1, _KAISER_BETA) * (_STEPS / widest)
    return np.asarray(np.round(taps, _TAP_DECIMALS), dtype=np.float32)
