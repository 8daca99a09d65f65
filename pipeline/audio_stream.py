"""Sound files of any length at a rate of one's own, block by block, in bounded memory."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soxr

from pipeline.audio_file import FloatArray, open_audio, to_mono


def stream_audio(path: Path, rate_hz: int, *, block_s: float = 1.0) -> Iterator[FloatArray]:
    """Yield a file of any length as mono blocks at `rate_hz`, in bounded memory.

    Yields:
        (num_samples,) float32 in ±1; blocks of about `block_s` seconds.

    Raises:
        AudioError: as `read_audio`; may come after some blocks.
    """
    with open_audio(path, block_s=block_s) as (rate, blocks):
        mono = (to_mono(block)[:, np.newaxis] for block in blocks)
        yield from (block[:, 0] for block in _resampled(mono, rate, rate_hz))


def stream_channels(path: Path, rate_hz: int, *, block_s: float = 1.0) -> Iterator[FloatArray]:
    """Yield a file as `stream_audio` does, its channels apart: (num_samples, num_channels)."""
    with open_audio(path, block_s=block_s) as (rate, blocks):
        yield from _resampled(blocks, rate, rate_hz)


def _resampled(blocks: Iterator[FloatArray], from_hz: int, to_hz: int) -> Iterator[FloatArray]:
    """Blocks (num_samples, num_channels), of which there is one, at another rate."""
    if from_hz == to_hz:
        yield from blocks
        return
    first = next(blocks)
    how = {"dtype": "float32", "quality": "HQ"}
    resampler = soxr.ResampleStream(from_hz, to_hz, first.shape[1], **how)
    for block in itertools.chain([first], blocks):
        out = resampler.resample_chunk(block)
        if len(out):
            yield np.asarray(out, dtype=np.float32)
    rest = resampler.resample_chunk(first[:0], last=True)
    if len(rest):
        yield np.asarray(rest, dtype=np.float32)
