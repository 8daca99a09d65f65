"""What an output folder holds, and whether a job may go on in it.

`job.json` is written before the first shard and says which data set is being made there;
`manifest.json` is written last. So a folder is empty, ours and unfinished, ours and complete, or
something else; nothing is ever mixed and nothing foreign is ever overwritten.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from beam_jobs import files
from beam_jobs.job import ShardJob
from pipeline.lock_file import held_alone
from schemas.dataset import FOLDERS, MANIFEST_NAME
from schemas.errors import DatasetError, RequestError
from schemas.recipe import SPLITS
from schemas.stored_dataset import generation_folder

JOB_NAME = "job.json"
FAILURES_NAME = "failures.json"
REJECTS_NAME = "rejects.jsonl"
LOCK_NAME = "job.lock"
PARTS_NAME = "parts"
"""Folder of what is made before the shards, in some jobs; gone when the data set is complete."""
_OURS = (LOCK_NAME, f"{JOB_NAME}{files.TEMPORARY_MARK}")  # of a job killed at its very beginning
_CLOSING_NAMES = (MANIFEST_NAME, FAILURES_NAME, REJECTS_NAME)
State = Literal["empty", "unfinished", "complete"]


def examine(job: ShardJob) -> State:
    """Say what the job's folder holds.

    Raises:
        RequestError: it holds another data set, or files that aren't ours.
    """
    out = job.out
    job_path, manifest_path = files.join(out, JOB_NAME), files.join(out, MANIFEST_NAME)
    if not files.exists(job_path):
        refuse_strangers(out)
        return "empty"
    try:
        found = json.loads(files.read_text(job_path))
    except ValueError:
        found = {}
    if found != job.identity:
        raise RequestError(
            f"{out} holds a data set made from something else: {_difference(job, found)}",
            expected="a data set of this recipe and material, or an empty folder",
            fix=job.how_to_replace,
        )
    if not files.exists(manifest_path):
        return "unfinished"
    manifest = job.manifest(files.read_text(manifest_path), where=manifest_path)
    there = existing_shards(job)
    whole = all(there.get(entry.name) == entry.num_bytes for entry in manifest.shards)
    return "complete" if whole else "unfinished"


def refuse_strangers(out: str) -> None:
    """Refuse a folder that no job has begun and that isn't empty.

    Raises:
        RequestError: it holds files that aren't ours.
    """
    strangers = _strangers(out)
    if strangers:
        raise RequestError(
            f"{out} holds what isn't a data set of ours ({strangers[0]}, …)",
            expected="an empty folder or a data set that wakebeam began",
            fix="choose another folder with --out or dataset.out",
        )


@contextlib.contextmanager
def alone(out: str) -> Iterator[None]:
    """Keep other jobs out of a local folder; a killed job keeps nobody out.

    Raises:
        RequestError: another job is at work there.
    """
    if files.is_uri(out):
        yield
        return
    files.make_folder(out)
    refusal = RequestError(
        f"another job is at work on {out}",
        fix="wait for it, or stop it; the same command goes on where it was",
    )
    with held_alone(Path(files.join(out, LOCK_NAME)), refusal):
        yield


def begin(job: ShardJob) -> None:
    """Prepare the folder: `job.json`, no manifest, no leftovers of killed workers."""
    out = job.out
    files.delete([files.join(out, name) for name in _CLOSING_NAMES])
    files.make_folder(out)
    for split in sorted({shard.split for shard in job.shards}):
        files.make_folder(files.join(out, split))
    leftovers = [path for split in FOLDERS for path in _in_split(out, split)]
    leftovers += files.sizes(files.join(out, PARTS_NAME))
    leftovers += [path for name in (JOB_NAME, *_CLOSING_NAMES) for path in files.sizes(out, name)]
    files.delete([path for path in leftovers if files.TEMPORARY_MARK in files.name_of(path)])
    identity = json.dumps(job.identity, indent=1, sort_keys=True)
    files.write_text(files.join(out, JOB_NAME), identity + "\n")


def require_ours(job: ShardJob) -> None:
    """Stop a worker whose job is over while another job is at work in the same folder.

    Where there are no locks, as in object stores, or where workers outlive the job that holds one.

    Raises:
        DatasetError: `job.json` is another job's, or gone.
    """
    path = files.join(job.out, JOB_NAME)
    if not files.exists(path) or json.loads(files.read_text(path)) != job.identity:
        raise DatasetError(
            f"another job has taken over {job.out}",
            fix="stop one of them; the same command goes on or says what is there",
        )


def clear(out: str) -> None:
    """Remove a data set, manifests first. Only files that wakebeam names are touched."""
    for number in range(_num_generations(out) - 1, 0, -1):
        folder = generation_folder(out, number)
        clear(folder)
        files.remove_empty([*(files.join(folder, split) for split in SPLITS), folder])
    files.delete([files.join(out, name) for name in _CLOSING_NAMES])
    files.delete(list(files.sizes(files.join(out, PARTS_NAME))))
    shards = [path for split in FOLDERS for path in _in_split(out, split)]
    files.delete([path for path in shards if ".tfrecord" in files.name_of(path)])
    files.delete([files.join(out, JOB_NAME)])


def bytes_written(out: str) -> int:
    """Return the bytes of all shards, whole or in the making; for progress only."""
    return sum(size for split in FOLDERS for size in _in_split(out, split).values())


def existing_shards(job: ShardJob) -> dict[str, int]:
    """Return {shard name: bytes} of the wanted shards that are there under their final names."""
    there: dict[str, int] = {}
    for split in sorted({shard.split for shard in job.shards}):
        for path, size in _in_split(job.out, split).items():
            there[f"{split}/{files.name_of(path)}"] = size
    return {shard.name: there[shard.name] for shard in job.shards if shard.name in there}


def _num_generations(out: str) -> int:
    """Up to the last that was begun; a gap of one is looked over."""
    number, missing = 1, 0
    while missing < 2:
        there = files.exists(files.join(generation_folder(out, number), JOB_NAME))
        missing = 0 if there else missing + 1
        number += 1
    return number - 2


def _in_split(out: str, split: str) -> dict[str, int]:
    return files.sizes(files.join(out, split), f"{split}-")


def _difference(job: ShardJob, found: Any) -> str:
    path = files.join(job.out, MANIFEST_NAME)
    if not files.exists(path):
        begun = found.get("num_examples", {}) if isinstance(found, dict) else {}
        asked = ", ".join(f"{split} {number}" for split, number in begun.items() if number)
        begun_with = f" (it was begun with {asked} scenes)" if asked else ""
        return f"another recipe, other material or another size{begun_with}"
    changes = job.changes_since(files.read_text(path), where=path)
    return "; ".join(changes[:5]) or "other material or other numbers of examples"


def _strangers(out: str) -> list[str]:
    """Names of all that lies in a folder that no job has begun; empty folders are no harm."""
    found = [
        name for path in files.sizes(out) if not (name := files.name_of(path)).startswith(_OURS)
    ]
    for folder in {*FOLDERS, *files.subfolders(out)}:
        inside = files.join(out, folder)
        there = [*files.sizes(inside), *files.subfolders(inside)]
        found += [f"{folder}/{files.name_of(path)}" for path in there]
    return sorted(found)
