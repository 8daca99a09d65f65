"""The data set of a task other than detection: the line, folder and rules that scenes have too.

A task says which shards there are and how one is made (shard_line.py); what is common to all tasks
is here: what workers must know, the manifest, and how a set is made, gone on with, or found there.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from beam_jobs.job import layout_digest
from beam_jobs.manifest_writer import entries, in_order
from beam_jobs.runners import Engine
from beam_jobs.running import run_job
from beam_jobs.shard_line import SetCloser, ShardLine
from beam_jobs.stored import text_or_none
from beam_jobs.watching import Progress
from pipeline.shard_counts import added
from pipeline.shard_counts import in_order as keys_in_order
from schemas.canonical import digest
from schemas.dataset import ShardReport, ShardSpec
from schemas.recipe import SPLITS
from schemas.record_set import RecordManifest, RecordSet

_SOFTWARE = ("wakebeam", "numpy", "protobuf", "apache-beam")


@dataclass(frozen=True)
class RecordJob:
    """What all workers must know; attributes and methods as in job.ShardJob.

    Attributes:
        task, name: of the recipe.
        recipe_json: the recipe.
        recipe_content: what of it decides the records.
        beside: what else does: files, versions.
        num_wanted: by split, the records that the recipe asks for; empty where it asks for none.
        counted: names of what is counted by shard.
        software: packages that the manifest names.
        out_key: what in the recipe names the folder.
    """

    out: str
    task: str
    name: str
    recipe_json: str
    recipe_content: Mapping[str, Any]
    beside: Mapping[str, Any]
    shards: tuple[ShardSpec, ...]
    counted: tuple[str, ...]
    num_wanted: Mapping[str, int] = field(default_factory=dict)
    max_reject_fraction: float = 0.0
    software: tuple[str, ...] = _SOFTWARE
    out_key: str = "dataset.out"
    started_unix_s: float = field(default_factory=time.time)

    @property
    def content(self) -> dict[str, Any]:
        """All that decides the records."""
        return {**self.recipe_content, **self.beside}

    @cached_property
    def recipe_digest(self) -> str:
        """Digest of the content."""
        return digest(self.content)

    @property
    def num_examples(self) -> int:
        """Records that the recipe asks for."""
        return sum(self.num_wanted.values())

    @property
    def how_to_replace(self) -> str:
        """What to do where the folder holds something else."""
        return f"--overwrite replaces it, {self.out_key} names another folder"

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What `job.json` holds."""
        return {
            "recipe_digest": self.recipe_digest,
            "shards_digest": layout_digest(self.shards),
            "num_examples": dict(self.num_wanted),
        }

    def manifest(self, text: str, *, where: str) -> RecordManifest:
        """Parse a manifest of records."""
        return RecordManifest.from_json(text, where=where)

    def changes_since(self, text: str, *, where: str) -> list[str]:
        """Name what in the recipe differs."""
        return self.manifest(text, where=where).changes(self.recipe_content)


def make_record_set(
    job: RecordJob,
    line: ShardLine,
    *,
    beam_arguments: list[str] | None,
    num_workers: int,
    reads: Sequence[str] = (),
    bytes_each: float = 1.0,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> tuple[RecordSet, bool]:
    """Make what is missing of a set; raises what running.run_job does.

    Args:
        job: what to make and where.
        line: the job as a step of a pipeline.
        beam_arguments: options for Beam.
        num_workers: local processes, where no runner is named.
        reads: all that workers read.
        bytes_each: about how long a record is, for progress.
        overwrite: replace what the folder holds if it is of another recipe.
        progress: called with (records done, records in all).

    Returns:
        The set, and whether it was there already.
    """
    engine = Engine(
        beam_arguments or [],
        num_workers=num_workers,
        num_shards=len(job.shards),
        places=(*reads, job.out),
    )
    made = run_job(
        job,
        engine,
        line,
        lock=job.out,
        bytes_each=bytes_each,
        overwrite=overwrite,
        progress=progress,
    )
    return read_record_set(job.out, job.task), not made


def read_record_set(out: str, task: str) -> RecordSet:
    """Read a complete set.

    Raises:
        DatasetError: it isn't complete, or is another task's.
    """
    return RecordSet.read(out, text_or_none, task=task)


class CloseRecords(SetCloser):
    """All ShardReports → manifest.json, or failures.json."""

    needs_records = True

    def manifest(self, reports: Sequence[ShardReport]) -> RecordManifest:
        """Return the manifest of the set."""
        job, ordered = self._job, in_order(reports)
        splits = dict.fromkeys([*SPLITS, *(shard.split for shard in job.shards)])
        return RecordManifest(
            task=job.task,
            name=job.name,
            recipe_digest=job.recipe_digest,
            content=job.content,
            shards=entries(ordered),
            counts={
                split: keys_in_order(
                    added((r.counts for r in ordered if r.split == split), job.counted)
                )
                for split in splits
            },
            rejects=dict(Counter(reject.reason for report in reports for reject in report.rejects)),
            software={name: importlib.metadata.version(name) for name in job.software},
            run={
                "python": platform.python_version(),
                "recipe": json.loads(job.recipe_json),
                "duration_s": round(time.time() - job.started_unix_s, 3),
                "shards_reused": sum(report.reused for report in ordered),
            },
        )
