"""The clip bank: all usable material as one int16 pack and an index, named by its digest.

Everything is converted on the way in: mono, the recipe's rate, int16; keywords and negatives cut
to their active region (unless material.trim is false), backgrounds kept whole, impulse responses
begun at their direct sound. What can't be used is listed with its reason and
never stops the build. The digest covers settings and the content of every clip, not where or when
it was built; a bank is written to a temporary folder and renamed, so it is whole or not there.

Opening a bank and planning from it reads the index only; the pack is mapped when samples are asked
for.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.activity import SETTINGS_VERSION, active_level_dbfs, find_active
from pipeline.audio_file import read_audio, resample, to_int16, to_mono
from pipeline.material import SourceFile, list_material, material_fingerprint
from pipeline.scratch_folder import scratch_folder
from schemas.canonical import digest
from schemas.clips import Clip, Reject
from schemas.errors import AudioError, DatasetError, MaterialError
from schemas.recipe import Material, Recipe
from schemas.units import FULL_SCALE

Pcm = npt.NDArray[np.int16]
FloatArray = npt.NDArray[np.float32]
Progress = Callable[[int, int], None]
BANK_VERSION = 3
INDEX_NAME = "index.json"
_PACK = "clips.pcm16"
_REJECTS, _SOURCES = "rejects.json", "sources.json"
_SHORTEST_BACKGROUND_S = 0.5
_LONGEST_ROOM_S = 2.0
_KEYWORD_PARTS = {"first half": (0.0, 0.5), "last half": (0.5, 1.0), "two thirds": (0.0, 0.65)}
_SHORTEST_PART_S = 0.1
_SHORTEST_CLIP_SAMPLES = 2
_MAX_SOURCES = 50
_NUM_THREADS = 2


@dataclass(frozen=True)
class ClipBank:
    """A bank on disk.

    Attributes:
        directory: holds the pack and the index.
        digest: SHA-256 of settings and content.
        sample_rate_hz: of all clips.
        clips: sorted by clip id.
        rejects: files that can't be used, with reasons.
    """

    directory: Path
    digest: str
    sample_rate_hz: int
    clips: tuple[Clip, ...]
    rejects: tuple[Reject, ...]

    @classmethod
    def open(cls, directory: Path) -> ClipBank:
        """Read a bank's index.

        Raises:
            DatasetError: not a bank, or the pack doesn't belong to the index.
        """
        try:
            index = json.loads((directory / INDEX_NAME).read_text(encoding="utf-8"))
            if index["version"] != BANK_VERSION:
                raise ValueError(f"version {index['version']} is not known")
            clips = tuple(Clip(**row) for row in index["clips"])
            rejects = tuple(Reject(**row) for row in _read_json(directory / _REJECTS, []))
            if (directory / _PACK).stat().st_size != 2 * sum(c.num_samples for c in clips):
                raise ValueError("the pack has another size than the index says")
            return cls(directory, index["digest"], index["sample_rate_hz"], clips, rejects)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DatasetError(
                f"{directory} is not a clip bank that this release can read ({error})",
                fix="delete the folder and run the same command again",
            ) from error

    def clip(self, clip_id: str) -> Clip:
        """Return the clip of that id.

        Raises:
            DatasetError: it isn't in this bank.
        """
        try:
            return self._by_id[clip_id]
        except KeyError:
            raise DatasetError(
                f"clip {clip_id!r} is not in bank {self.digest[:16]}",
                fix="use the clip bank that the plan was made from",
            ) from None

    def samples(self, clip: Clip) -> Pcm:
        """Return (clip.num_samples,) int16, read-only, mapped from disk."""
        return self._pack[clip.first_sample : clip.first_sample + clip.num_samples]

    @cached_property
    def _by_id(self) -> dict[str, Clip]:
        return {clip.clip_id: clip for clip in self.clips}

    @cached_property
    def _pack(self) -> Pcm:
        return np.memmap(self.directory / _PACK, dtype="<i2", mode="r")


def open_or_build_bank(
    recipe: Recipe, *, base_dir: Path, bank_root: Path, progress: Progress | None = None
) -> tuple[ClipBank, bool]:
    """Return the bank of a recipe's material, and whether an earlier one could be used.

    Raises:
        MaterialError: a path is missing, or no keyword or background can be used.
    """
    fingerprint = digest([BANK_VERSION, SETTINGS_VERSION, material_fingerprint(recipe, base_dir)])
    sources: dict[str, Any] = _read_json(bank_root / _SOURCES, {})
    known = sources.get(fingerprint)
    if known is not None and (bank_root / known["bank"] / INDEX_NAME).exists():
        rejects = [Reject(**row) for row in known["rejects"]]
        return _with_rejects(bank_root / known["bank"], rejects), True
    bank = build_bank(recipe, base_dir=base_dir, bank_root=bank_root, progress=progress)
    rows = [reject.to_json() for reject in bank.rejects]
    sources[fingerprint] = {"bank": bank.directory.name, "rejects": rows}
    kept = dict(list(sources.items())[-_MAX_SOURCES:])
    _replace_text(bank_root / _SOURCES, json.dumps(kept, indent=1))
    return bank, False


def build_bank(
    recipe: Recipe, *, base_dir: Path, bank_root: Path, progress: Progress | None = None
) -> ClipBank:
    """Decode all material into a new bank.

    Args:
        recipe: names the material and the rate.
        base_dir: where its relative paths start.
        bank_root: the bank becomes a folder in it.
        progress: called with (files done, files in all).

    Raises:
        MaterialError: a path is missing, or no keyword or background can be used.
    """
    files = list_material(recipe, base_dir)
    rate = recipe.sample_rate_hz
    with scratch_folder(bank_root, "building") as scratch:
        clips: list[Clip] = []
        rejects: list[Reject] = []
        hashes: list[str] = []
        position = 0
        with (scratch / _PACK).open("wb") as pack:
            for done, (file, result) in enumerate(
                _decode_all(files, rate, recipe.material), start=1
            ):
                if isinstance(result, str):
                    rejects.append(Reject(file.clip_id, result))
                else:
                    for clip, samples in [result, *_parts(*result, recipe)]:
                        data = samples.astype("<i2").tobytes()
                        pack.write(data)
                        hashes.append(hashlib.sha256(data).hexdigest())
                        clips.append(_moved(clip, position))
                        position += len(samples)
                if progress is not None:
                    progress(done, len(files))
        _require_usable(recipe, clips, rejects)
        order = sorted(range(len(clips)), key=lambda i: clips[i].clip_id)
        clips, hashes = [clips[i] for i in order], [hashes[i] for i in order]
        rows = [clip.to_json() for clip in clips]
        bank_digest = digest([BANK_VERSION, SETTINGS_VERSION, rate, rows, hashes])
        index = {
            "version": BANK_VERSION,
            "digest": bank_digest,
            "sample_rate_hz": rate,
            "clips": rows,
        }
        (scratch / INDEX_NAME).write_text(json.dumps(index, indent=0), encoding="utf-8")
        target = _publish(scratch, bank_root / bank_digest[:16])
    return _with_rejects(target, rejects)


def _decode_all(
    files: list[SourceFile], rate: int, material: Material
) -> Iterator[tuple[SourceFile, tuple[Clip, Pcm] | str]]:
    """Decode in a few threads, in order, a batch at a time so that memory stays small."""
    with ThreadPoolExecutor(_NUM_THREADS) as pool:
        remaining = iter(files)
        while batch := tuple(islice(remaining, 64)):
            yield from zip(
                batch, pool.map(lambda f: _decode(f, rate, material), batch), strict=True
            )


def _decode(file: SourceFile, rate: int, material: Material) -> tuple[Clip, Pcm] | str:
    if file.reject:
        return file.reject
    try:
        x, file_rate = read_audio(file.path)
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
    except MemoryError:
        return "too large for this machine's memory"
    content = _file_digest(file.path)
    peak = int(np.abs(samples.astype(np.int32)).max())
    clip = Clip(
        clip_id=file.clip_id,
        role=file.role,
        kind=file.kind,
        label=file.label,
        group=file.group or f"file {content}",
        licence=file.licence,
        first_sample=0,
        num_samples=len(samples),
        level_dbfs=round(level, 4),
        peak=peak,
        content_sha256=content,
        shared=file.shared,
    )
    return clip, samples


def _parts(clip: Clip, samples: Pcm, recipe: Recipe) -> Iterator[tuple[Clip, Pcm]]:
    """Halves and a prefix of a keyword take, as near misses of its own group."""
    if clip.role != "keyword" or not recipe.material.keyword_parts:
        return
    for name, (start, stop) in _KEYWORD_PARTS.items():
        part = samples[round(start * len(samples)) : round(stop * len(samples))]
        x = part.astype(np.float32) / np.float32(FULL_SCALE)
        level = active_level_dbfs(x, recipe.sample_rate_hz, silent=-np.inf)
        if len(part) >= _SHORTEST_PART_S * recipe.sample_rate_hz and np.isfinite(level):
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


def _moved(clip: Clip, first_sample: int) -> Clip:
    return replace(clip, first_sample=first_sample)


def _require_usable(recipe: Recipe, clips: list[Clip], rejects: list[Reject]) -> None:
    wanted = [("keyword", label) for label in recipe.labels] + [("background", None)]
    for role, label in wanted:
        found = any(c.role == role and label in (None, c.label) for c in clips)
        if not found:
            named = [r for r in rejects if r.path.startswith(f"{role}/")]
            reasons = "; ".join(f"{r.path}: {r.reason}" for r in named[:3])
            raise MaterialError(
                f"no usable {role} recording{f' for {label!r}' if label else ''}; "
                f"{len(named)} files were rejected{': ' + reasons if reasons else ''}",
                expected="at least one",
                fix="check the folder that the recipe names",
            )


def _publish(scratch: Path, target: Path) -> Path:
    try:
        scratch.rename(target)
    except OSError:
        if not (target / INDEX_NAME).exists():  # a build beside ours was first, else a real error
            raise
    return target


def _with_rejects(directory: Path, rejects: list[Reject]) -> ClipBank:
    """Open a bank, with the rejects of the material that it was asked for.

    They are no part of its content: the same clips may come with and without a broken file.
    """
    text = json.dumps([reject.to_json() for reject in rejects], indent=0)
    path = directory / _REJECTS
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        _replace_text(path, text)
    return ClipBank.open(directory)


def _read_json(path: Path, otherwise: Any) -> Any:
    """What a file of ours holds; `otherwise` where it is missing, damaged or of another kind."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return otherwise
    return value if isinstance(value, type(otherwise)) else otherwise


def _replace_text(path: Path, text: str) -> None:
    with tempfile.NamedTemporaryFile(
        "w", dir=path.parent, prefix=".writing-", delete=False, encoding="utf-8"
    ) as file:
        file.write(text)
    os.replace(file.name, path)


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
