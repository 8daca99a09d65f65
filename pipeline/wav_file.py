"""Writing a sound file so that it is there whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
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
    with replaced_wav(path) as temporary:
        soundfile.write(temporary, samples, sample_rate_hz, subtype="PCM_16", format="WAV")


@contextlib.contextmanager
def replaced_wav(path: Path) -> Iterator[Path]:
    """Yield a temporary name to write to; without an error it becomes `path`. Folders are made.

    A link that lies at either name is replaced, not followed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.writing")
    temporary.unlink(missing_ok=True)
    temporary.open("xb").close()
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
