"""One part of a clip bank: some files of the material decoded, checked, cut and packed.

Everything is converted on the way in: mono, the recipe's rate, int16; keywords and negatives cut
to their active region (unless material.trim is false), backgrounds kept whole, impulse responses
begun at their direct sound. What can't be used is a Reject with its reason and never stops the
build; what this machine is to blame for is none, and does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.activity import active_level_dbfs, find_active
from pipeline.audio_file import read_audio, resample, to_int16, to_mono
from pipeline.material import SourceFile
from pipeline.material_files import MaterialFiles
from schemas.canonical import file_digest
from schemas.clips import Clip, Reject
from schemas.errors import AudioError, MaterialError
from schemas.recipe import Material
from schemas.units import FULL_SCALE

Pcm = npt.NDArray[np.int16]
FloatArray = npt.NDArray[np.float32]
PART_BYTES = 64 << 20
PART_FILES = 2000
_SHORTEST_BACKGROUND_S = 0.5
_LONGEST_ROOM_S = 2.0
_KEYWORD_PARTS = {"first half": (0.0, 0.5), "last half": (0.5, 1.0), "two thirds": (0.0, 0.65)}
_SHORTEST_PART_S = 0.1
_NUM_THREADS = 2
_BATCH = 64


@dataclass(frozen=True, slots=True)
class BankPart:
    """The files [start, stop) of the sorted material."""

    index: int
    start: int
    stop: int


def plan_parts(files: Sequence[SourceFile]) -> tuple[BankPart, ...]:
    """Divide the material by the size of its files; the same material gives the same parts."""
    parts: list[BankPart] = []
    start = size = 0
    for stop, file in enumerate(files, start=1):
        size += file.num_bytes
        if size >= PART_BYTES or stop - start >= PART_FILES or stop == len(files):
            parts.append(BankPart(len(parts), start, stop))
            start, size = stop, 0
    return tuple(parts)


def decode_files(
    files: Sequence[SourceFile], *, rate_hz: int, material: Material, system: MaterialFiles
) -> Iterator[tuple[list[tuple[Clip, Pcm]], list[Reject]]]:
    """Decode in a few threads, a batch at a time so that memory stays small.

    Yields:
        For each file, in order: its clips with their samples, or why there are none.
    """

    def decode(file: SourceFile) -> tuple[Clip, Pcm] | str:
        if file.reject:
            return file.reject
        with system.local_copy(file.path) as path:
            return _decode(file, path, rate_hz, material)

    with ThreadPoolExecutor(_NUM_THREADS) as pool:
        remaining = iter(files)
        while batch := tuple(islice(remaining, _BATCH)):
            for file, result in zip(batch, pool.map(decode, batch), strict=True):
                if isinstance(result, str):
                    yield [], [Reject(file.clip_id, result)]
                else:
                    yield [result, *_parts(*result, rate_hz, material)], []


def _decode(file: SourceFile, path: Path, rate: int, material: Material) -> tuple[Clip, Pcm] | str:
    try:
        x, file_rate = read_audio(path)
        mono = resample(x[:, 0] if material.channel == "first" else to_mono(x), file_rate, rate)
        if file.role == "background":
            if len(mono) < _SHORTEST_BACKGROUND_S * rate:
                raise AudioError(f"too short: {len(mono) / rate:.3f} s of background")
        elif file.role == "room":
            mono = _from_direct_sound(mono, rate)
        else:
            region = find_active(mono, rate)
            mono = mono[region.start : region.stop] if material.trim else mono
        samples = to_int16(mono)
        level = active_level_dbfs(samples.astype(np.float32) / np.float32(FULL_SCALE), rate)
    except AudioError as error:
        return error.received
    except MemoryError as error:  # no reject: a larger machine would have made another bank
        raise MaterialError(
            f"{file.clip_id} is too large for this machine's memory",
            fix="cut it, leave it out, or build the bank where there is more",
        ) from error
    content = file_digest(path)
    peak = int(np.abs(samples.astype(np.int32)).max())
    clip = Clip(
        clip_id=file.clip_id,
        role=file.role,
        kind=file.kind,
        label=file.label,
        group=file.group or f"file {content}",
        licence=file.licence,
        pack="",
        first_sample=0,
        num_samples=len(samples),
        level_dbfs=round(level, 4),
        peak=peak,
        content_sha256=content,
        shared=file.shared,
    )
    return clip, samples


def _parts(clip: Clip, samples: Pcm, rate: int, material: Material) -> Iterator[tuple[Clip, Pcm]]:
    """Halves and a prefix of a keyword take, as near misses of its own group."""
    if clip.role != "keyword" or not material.keyword_parts:
        return
    for name, (start, stop) in _KEYWORD_PARTS.items():
        part = samples[round(start * len(samples)) : round(stop * len(samples))]
        x = part.astype(np.float32) / np.float32(FULL_SCALE)
        level = active_level_dbfs(x, rate, silent=-np.inf)
        if len(part) >= _SHORTEST_PART_S * rate and np.isfinite(level):
            _, folder, rest = clip.clip_id.split("/", 2)
            yield (
                replace(
                    clip,
                    clip_id=f"negative/{folder} parts/{rest}#{name}",
                    role="negative",
                    kind="near_miss",
                    label="near_miss",
                    num_samples=len(part),
                    level_dbfs=round(level, 4),
                    peak=int(np.abs(part.astype(np.int32)).max()),
                ),
                part,
            )


def _from_direct_sound(response: FloatArray, rate: int) -> FloatArray:
    """An impulse response from its highest peak on, which becomes 1; two seconds at most."""
    start = int(np.argmax(np.abs(response)))
    if not len(response) or response[start] == 0.0:
        raise AudioError("silent: no impulse in it")
    cut = response[start : start + round(_LONGEST_ROOM_S * rate)]
    return np.asarray(cut / response[start], dtype=np.float32)
