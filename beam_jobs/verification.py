"""`wakebeam verify`: is a data set what its manifest says, byte by byte?

*Checksums* (always): the length and data of every record against their own CRC32C, their number
and the CRC32C of the whole file against the manifest. Of a damaged file every damaged byte range is
named. *Deep*: every record is decoded as well and held against the schema, and the manifest's
counts against them. *Render*: a sample of scenes is made again from recipe and clip bank, and
compared byte by byte. Scenes and the records of other tasks are verified alike.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from beam_jobs import files
from beam_jobs.date_pairs import PAIRS
from beam_jobs.embedding_set import CLIPS
from beam_jobs.made_from import recipe_and_bank
from beam_jobs.shard_writer import Counts, RecordKind
from beam_jobs.stored import read_any
from beam_jobs.transforms import SCENES
from pipeline.example_codec import decode_example
from pipeline.scene_source import SceneSource
from pipeline.tfrecord import RecordReader
from pipeline.tfrecord_damage import find_damage
from schemas.dataset import FOLDERS, MANIFEST_NAME, Manifest, ShardEntry, plan_shards
from schemas.errors import DatasetError, RequestError
from schemas.recipe import PLAN_VERSION, Recipe
from schemas.record_set import RecordManifest, RecordSet
from schemas.stored_dataset import StoredDataset

Progress = Callable[[int, int], None]
NameHashes = npt.NDArray[np.uint64]
_Place = tuple[str, Any, ShardEntry]
_KINDS = {"dates": PAIRS, "embeddings": CLIPS}
"""What the records of each task are."""


@dataclass(frozen=True)
class Verification:
    """What was found.

    Attributes:
        stored: the data set.
        num_records: in the shards that are as the manifest says.
        num_decoded: decoded and held against the schema.
        num_rendered: made again and compared.
        problems: one sentence each; empty for a sound data set.
    """

    stored: StoredDataset | RecordSet
    num_records: int
    num_decoded: int
    num_rendered: int
    problems: tuple[str, ...]


def verify(
    out: str,
    *,
    deep: bool = False,
    render: int = 0,
    bank: str | None = None,
    progress: Progress | None = None,
) -> Verification:
    """Check a whole data set; every problem is reported, not only the first.

    Args:
        out: folder or URI of the data set.
        deep: decode every record.
        render: make so many examples again, spread over all, and compare their bytes.
        bank: the clip bank, if it isn't where the manifest says.
        progress: called with (bytes read, bytes in all) as it goes.

    Raises:
        DatasetError: there is no readable manifest; or no bank to render from.
        RequestError: `render` of what isn't scenes.
    """
    stored = read_any(out)
    if render and isinstance(stored, RecordSet):
        raise RequestError(
            f"--render with a data set of the task {stored.manifest.task}",
            expected="scenes, which can be made again one by one",
            fix="--deep decodes every record of any data set",
        )
    made: list[tuple[str, Manifest | RecordManifest]] = [*stored.generations()]
    entries: list[_Place] = [(*part, entry) for part in made for entry in part[1].shards]
    total = max(1, sum(entry.num_bytes for *_, entry in entries))
    problems = [text for part in made for text in _missing_and_extra(out, *part)]
    kind = _KINDS[stored.manifest.task] if isinstance(stored, RecordSet) else SCENES
    counts: defaultdict[tuple[str, str], Counts] = defaultdict(kind.counts)
    names: dict[str, NameHashes] = {}
    done = num_records = num_decoded = 0
    sound: list[_Place] = []
    for folder, manifest, entry in entries:
        path = files.join(folder, entry.name)
        if files.exists(path):
            found = _differences(path, entry)
            if not found:
                num_records += entry.num_examples
                sound.append((folder, manifest, entry))
            if deep:
                try:
                    hashes = _decode_all(path, entry, manifest, kind, counts[folder, entry.split])
                    num_decoded += len(hashes)
                    names[_name(out, folder, entry.name)] = hashes
                except DatasetError as error:
                    found += [] if found else [str(error)]
            problems += [f"{_name(out, folder, entry.name)}: {text}" for text in found]
        done += entry.num_bytes
        if progress is not None:
            progress(done, total)
    problems += _repeated(names)
    if deep and not problems:
        problems += _miscounted(out, made, counts)
    wrong, num_rendered = _render(out, sound, render, bank) if render else ([], 0)
    return Verification(stored, num_records, num_decoded, num_rendered, (*problems, *wrong))


def _name(out: str, folder: str, shard: str) -> str:
    """A shard's path inside the data set."""
    return f"{folder}/{shard}".removeprefix(out.rstrip("/") + "/")


def _differences(path: str, entry: ShardEntry) -> list[str]:
    """What differs from the manifest; for a damaged file, every damaged range."""
    with files.open_bytes(path) as file:
        reader = RecordReader(file, entry.name)
        try:
            for _ in reader:
                pass
        except DatasetError:
            size = file.seek(0, os.SEEK_END)
            return [str(damage) for damage in find_damage(file, size)]
    if (reader.num_bytes, reader.crc32c) != (entry.num_bytes, entry.crc32c):
        return [
            f"is whole but another file than the manifest says: {reader.num_bytes} bytes, CRC32C "
            f"{reader.crc32c} instead of {entry.num_bytes} and {entry.crc32c}"
        ]
    if reader.num_records != entry.num_examples:
        return [f"holds {reader.num_records} records, the manifest says {entry.num_examples}"]
    return []


def _missing_and_extra(out: str, folder: str, manifest: Manifest | RecordManifest) -> list[str]:
    wanted = {entry.name for entry in manifest.shards}
    there = {
        f"{split}/{files.name_of(path)}"
        for split in FOLDERS
        for path in files.sizes(files.join(folder, split))
        if path.endswith(".tfrecord")
    }
    planned = [
        f"{_name(out, folder, MANIFEST_NAME)}: {name} is planned and not in it"
        for name in _planned(manifest)
        if name not in wanted
    ]
    missing = [f"{_name(out, folder, name)} is missing" for name in sorted(wanted - there)]
    extra = [
        f"{_name(out, folder, name)} is not in the manifest" for name in sorted(there - wanted)
    ]
    return planned + missing + extra


def _planned(manifest: Manifest | RecordManifest) -> list[str]:
    """Names of the shards of scenes that a generation's recipe asks for."""
    if isinstance(manifest, RecordManifest) or manifest.content.get("plan_version") != PLAN_VERSION:
        return []
    try:
        recipe = Recipe.model_validate(manifest.run["recipe"])
    except (KeyError, ValidationError):  # no run section, or of another release
        return []
    return [spec.name for spec in plan_shards(recipe, manifest.first_example)]


def _decode_all(
    path: str, entry: ShardEntry, manifest: Any, kind: RecordKind, counts: Counts
) -> NameHashes:
    """Decode, check and count every record; return a hash of what names each."""
    names: set[Any] = set()
    with files.open_bytes(path) as file:
        for record in RecordReader(file, entry.name):
            example = kind.decode(record)
            kind.check(example, entry, manifest)
            name = kind.name_of(example)
            if name in names:
                raise DatasetError(f"{name[0]} is there twice")
            names.add(name)
            kind.count_stored(counts, example)
    if len(names) != entry.num_examples:
        raise DatasetError(f"holds {len(names)} records", expected=f"{entry.num_examples}")
    hashes = [hashlib.blake2b(repr(name).encode(), digest_size=8).digest() for name in names]
    return np.frombuffer(b"".join(hashes), dtype=np.uint64)


def _repeated(names: Mapping[str, NameHashes]) -> list[str]:
    """Say which shards hold examples that others hold too; eight bytes an example are kept."""
    every = np.concatenate([np.empty(0, np.uint64), *names.values()])
    values, times = np.unique(every, return_counts=True)
    twice = values[times > 1]
    shared = {name: int(np.isin(hashes, twice).sum()) for name, hashes in names.items()}
    return [
        f"{name}: {n} of its examples lie in another shard too" for name, n in shared.items() if n
    ]


def _miscounted(
    out: str, made: list[tuple[str, Any]], counts: defaultdict[tuple[str, str], Counts]
) -> list[str]:
    """Say where the manifest's sums aren't those of the records."""
    return [
        f"{_name(out, folder, MANIFEST_NAME)}: {split} has other counts of {name} than its records"
        for folder, manifest in made
        for split, stated in manifest.counts.items()
        for name in stated
        if stated[name] != counts[folder, split].to_json().get(name)
    ]


def _render(out: str, sound: list[_Place], count: int, bank: str | None) -> tuple[list[str], int]:
    """Make `count` examples of the sound shards again, evenly spread; name those that differ."""
    total = sum(entry.num_examples for *_, entry in sound)
    count = min(count, total)
    wanted = [(2 * j + 1) * total // (2 * count) for j in range(count)]
    problems: list[str] = []
    first = 0
    sources: dict[tuple[str, str], SceneSource] = {}
    for folder, manifest, entry in sound:
        inside = {w - first for w in wanted if first <= w < first + entry.num_examples}
        first += entry.num_examples
        if not inside:
            continue
        key = (folder, entry.split)
        if key not in sources:
            recipe, clips = recipe_and_bank(folder, manifest, bank)
            sources[key] = SceneSource(recipe, replace(clips, checked=True), entry.split)
        with files.open_bytes(files.join(folder, entry.name)) as file:
            for position, record in enumerate(RecordReader(file, entry.name)):
                if position not in inside:
                    continue
                example_id = decode_example(record).example_id
                try:
                    again = sources[key][int(example_id.rpartition("/")[2])].record
                except DatasetError as error:  # of the clip bank
                    return [*problems, str(error)], count
                if again != record:
                    problems.append(
                        f"{_name(out, folder, entry.name)}: {example_id} has other bytes than this "
                        "release makes"
                    )
    return problems, count
