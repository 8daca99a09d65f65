"""Writing a sound file so that it is there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy.typing as npt
import soundfile


def write_wav(path: Path, samples: npt.NDArray[Any], sample_rate_hz: int) -> None:
    """Write 16-bit WAV under a temporary name and rename it; folders are made.

    Args:
        path: ends in `.wav`.
        samples: (num_samples,) int16, or float in ±1.
        sample_rate_hz: their rate.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".writing")
    soundfile.write(temporary, samples, sample_rate_hz, subtype="PCM_16", format="WAV")
    os.replace(temporary, path)
