"""Parts of a recording of any length and format, read block by block."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.audio_stream import stream_audio

FloatArray = npt.NDArray[np.float32]


def cut_spans(path: Path, rate_hz: int, spans: Sequence[tuple[int, int]]) -> list[FloatArray]:
    """Return the samples [start, stop) of each span, what lies outside the recording left out.

    Args:
        path: the recording.
        rate_hz: that it is read at, and that spans count in.
        spans: from 0 on, in any order; they may overlap.

    Raises:
        AudioError: it can't be read.
    """
    parts: list[list[FloatArray]] = [[] for _ in spans]
    position = 0
    for block in stream_audio(path, rate_hz) if spans else ():
        end = position + len(block)
        for (start, stop), into in zip(spans, parts, strict=True):
            if start < end and stop > position:
                into.append(block[max(0, start - position) : stop - position])
        position = end
    return [np.concatenate([*part, np.zeros(0, np.float32)]) for part in parts]
