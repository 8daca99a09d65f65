"""Building a clip bank, as a Beam job: the files of the material fan out in parts.

    list of the material → parts → decode, check, pack (temporary name, rename) → index.json last

Parts that an earlier, killed build left are kept. What can't be used is in `rejects.json`, with
reasons, and never stops the build. A single part is made here, without starting workers.

While a bank is built its parts lie in `building-…` beside it, each with its rows (`part-…json`,
written after the pack). When all are there the packs move to a folder named by the bank's digest
and the index, written last, makes it one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import apache_beam as beam
import google_crc32c
from apache_beam.options.pipeline_options import PipelineOptions

from beam_jobs import files
from beam_jobs.bank_store import is_bank, open_bank
from beam_jobs.dataflow import names_dataflow
from beam_jobs.material_files import AnyFiles
from beam_jobs.runners import DEFAULT_NUM_WORKERS, Engine
from beam_jobs.watching import Progress, watched
from pipeline.activity import SETTINGS_VERSION
from pipeline.bank_part import BankPart, decode_files, plan_parts
from pipeline.clip_bank import BANK_VERSION, INDEX_NAME, REJECTS_NAME, ClipBank, Pack, bank_index
from pipeline.lock_file import held_alone
from pipeline.material import SourceFile, list_material, material_fingerprint
from schemas.canonical import digest
from schemas.clips import Clip, Reject
from schemas.errors import DatasetError, MaterialError
from schemas.recipe import Recipe

_SOURCES, _LOCK = "sources.json", "bank.lock"
_BUILDING = "building-"
_MAX_SOURCES = 50


class MakePart(beam.DoFn):
    """Index of a part → the same, when its pack and its rows are there."""

    def __init__(self, recipe_json: str, folder: str) -> None:
        self._recipe_json = recipe_json
        self._folder = folder

    def process(self, index: int, progress: Progress | None = None) -> Iterator[int]:
        """Decode the files of one part, unless that is done."""
        rows_path = files.join(self._folder, _rows_name(index))
        if not files.exists(rows_path):
            listing = json.loads(files.read_text(files.join(self._folder, _listing_name(index))))
            rows = self._make(index, [SourceFile(**row) for row in listing], progress)
            files.write_text(rows_path, json.dumps(rows))
        yield index

    def _make(
        self, index: int, sources: Sequence[SourceFile], progress: Progress | None
    ) -> dict[str, Any]:
        recipe = Recipe.model_validate_json(self._recipe_json)
        clips: list[dict[str, Any]] = []
        hashes: list[str] = []
        rejects: list[dict[str, Any]] = []
        position = crc = 0
        with files.replace_atomically(files.join(self._folder, _pack_name(index))) as pack:
            decoded = decode_files(
                sources,
                rate_hz=recipe.sample_rate_hz,
                material=recipe.material,
                system=AnyFiles(),
            )
            for done, (found, rejected) in enumerate(decoded, start=1):
                rejects += [reject.to_json() for reject in rejected]
                for clip, samples in found:
                    data = samples.astype("<i2").tobytes()
                    pack.write(data)
                    crc = google_crc32c.extend(crc, data)
                    hashes.append(hashlib.sha256(data).hexdigest())
                    place = {"pack": _pack_name(index), "first_sample": position}
                    clips.append(clip.to_json() | place)
                    position += len(samples)
                if progress is not None:
                    progress(done, len(sources))
        written = asdict(Pack(2 * position, f"{crc:08x}"))
        return {"clips": clips, "hashes": hashes, "rejects": rejects, "pack": written}


class _MakeParts(beam.PTransform):
    """A pipeline's beginning → the indices of the parts that are there."""

    def __init__(self, indices: list[int], make: MakePart) -> None:
        super().__init__()
        self._indices, self._make = indices, make

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:
        return (
            begin
            | "Parts" >> beam.Create(self._indices)
            | "Spread" >> beam.Reshuffle()
            | "Make parts" >> beam.ParDo(self._make)
        )


def open_or_build_bank(
    recipe: Recipe,
    *,
    base_dir: str | Path,
    bank_root: str | Path,
    beam_arguments: list[str] | None = None,
    num_workers: int = DEFAULT_NUM_WORKERS,
    progress: Progress | None = None,
) -> tuple[ClipBank, bool]:
    """Return the bank of a recipe's material, and whether an earlier one could be used.

    Args:
        recipe: names the material and the rate.
        base_dir: where its relative paths start.
        bank_root: folder or URI; the bank becomes a folder in it.
        beam_arguments: options for Beam, where there is more than one part.
        num_workers: local processes, where no runner is named.
        progress: called with (files done, files in all).

    Raises:
        MaterialError: a path is missing, or no keyword or background can be used.
    """
    root = files.absolute(str(bank_root))
    files.use_options(PipelineOptions(beam_arguments or []))
    sources = list_material(recipe, base_dir, AnyFiles())
    fingerprint = _fingerprint(recipe, sources)
    known = _known(root).get(fingerprint)
    if known is not None and is_bank(files.join(root, known["bank"])):
        return _with_rejects(files.join(root, known["bank"]), known["rejects"]), True
    bank = _build(recipe, sources, root, beam_arguments or [], num_workers, progress)
    with _alone(root):
        rows = [reject.to_json() for reject in bank.rejects]
        found = _known(root)
        found[fingerprint] = {"bank": bank.location.rpartition("/")[2], "rejects": rows}
        kept = dict(list(found.items())[-_MAX_SOURCES:])
        files.write_text(files.join(root, _SOURCES), json.dumps(kept, indent=1))
    return bank, False


def build_bank(recipe: Recipe, *, base_dir: str | Path, bank_root: str | Path) -> ClipBank:
    """Decode all material into a bank; `open_or_build_bank` without looking for an earlier one."""
    sources = list_material(recipe, base_dir, AnyFiles())
    return _build(recipe, sources, files.absolute(str(bank_root)), [], DEFAULT_NUM_WORKERS, None)


def _build(
    recipe: Recipe,
    sources: Sequence[SourceFile],
    root: str,
    beam_arguments: list[str],
    num_workers: int,
    progress: Progress | None,
) -> ClipBank:
    parts = plan_parts(sources)
    cut = digest([_fingerprint(recipe, sources), [asdict(part) for part in parts]])
    folder = files.join(root, f"{_BUILDING}{cut[:16]}")
    with _alone(root):
        for other in files.subfolders(root):
            if other.startswith(_BUILDING) and files.join(root, other) != folder:
                files.remove_folder(files.join(root, other))  # of a killed build
        files.make_folder(folder)
        for part in parts:
            listing = [asdict(source) for source in sources[part.start : part.stop]]
            files.write_text(files.join(folder, _listing_name(part.index)), json.dumps(listing))
        make = MakePart(recipe.model_dump_json(by_alias=True), folder)
        if len(parts) > 1:
            places = (*(source.path for source in sources), root)
            engine = Engine(
                beam_arguments if all(map(files.is_uri, places)) else _here(beam_arguments),
                num_workers=num_workers,
                num_shards=len(parts),
                places=places,
            )
            with watched(progress, len(sources), folder, lambda: _num_done(folder, parts)):
                engine.run(engine.pipeline(_MakeParts([part.index for part in parts], make)))
        else:
            for part in parts:
                list(make.process(part.index, progress))
        try:
            bank = _close(recipe, root, folder, parts)
        except MaterialError:
            files.remove_folder(folder)
            raise
        files.remove_folder(folder)
        return bank


def _here(beam_arguments: list[str]) -> list[str]:
    """Dataflow's workers see nothing of this machine: what lies here is decoded here."""
    return [] if names_dataflow(beam_arguments) else beam_arguments


def _close(recipe: Recipe, root: str, folder: str, parts: Sequence[BankPart]) -> ClipBank:
    clips: list[Clip] = []
    hashes: list[str] = []
    rejects: list[Reject] = []
    packs: dict[str, Pack] = {}
    for part in parts:
        rows = json.loads(files.read_text(files.join(folder, _rows_name(part.index))))
        clips += [Clip(**row) for row in rows["clips"]]
        hashes += rows["hashes"]
        rejects += [Reject(**row) for row in rows["rejects"]]
        if rows["clips"]:
            packs[_pack_name(part.index)] = Pack(**rows["pack"])
    _require_usable(recipe, clips, rejects)
    index = bank_index(clips, hashes, rate_hz=recipe.sample_rate_hz, packs=packs)
    target = files.join(root, index["digest"][:16])
    if not is_bank(target):
        files.make_folder(target)
        for part in parts:
            name, source = _pack_name(part.index), files.join(folder, _pack_name(part.index))
            if files.exists(source):  # else the build that was killed had moved it
                if name in packs:
                    files.rename(source, files.join(target, name))
            elif name in packs and not files.exists(files.join(target, name)):
                files.delete([files.join(folder, _rows_name(part.index))])
                raise DatasetError(
                    f"{name} is neither in {folder} nor in {target}",
                    fix="somebody removed it: the same command makes that part again",
                )
        files.write_text(files.join(target, INDEX_NAME), json.dumps(index, indent=0))
    return _with_rejects(target, [reject.to_json() for reject in rejects])


def _require_usable(recipe: Recipe, clips: Sequence[Clip], rejects: Sequence[Reject]) -> None:
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


def _with_rejects(location: str, rejects: list[dict[str, Any]]) -> ClipBank:
    """Open a bank, with the rejects of the material that it was asked for.

    They are no part of its content: the same clips may come with and without a broken file.
    """
    path, text = files.join(location, REJECTS_NAME), json.dumps(rejects, indent=0)
    if not files.exists(path) or files.read_text(path) != text:
        files.write_text(path, text)
    return open_bank(location)


def _known(root: str) -> dict[str, Any]:
    """Which banks were made from which material; empty where that is missing or damaged."""
    path = files.join(root, _SOURCES)
    try:
        value = json.loads(files.read_text(path)) if files.exists(path) else {}
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


@contextlib.contextmanager
def _alone(root: str) -> Iterator[None]:
    """Wait until nobody else builds in a folder of this machine; the system frees what dies."""
    files.make_folder(root)
    if files.is_uri(root):
        yield
        return
    with held_alone(Path(root, _LOCK), None):
        yield


def _fingerprint(recipe: Recipe, sources: Sequence[SourceFile]) -> str:
    return digest([BANK_VERSION, SETTINGS_VERSION, material_fingerprint(recipe, sources)])


def _num_done(folder: str, parts: Sequence[BankPart]) -> int:
    there = {files.name_of(path) for path in files.sizes(folder, "part-")}
    return sum(part.stop - part.start for part in parts if _rows_name(part.index) in there)


def _listing_name(index: int) -> str:
    return f"files-{index:05d}.json"


def _rows_name(index: int) -> str:
    return f"part-{index:05d}.json"


def _pack_name(index: int) -> str:
    return f"clips-{index:05d}.pcm16"
