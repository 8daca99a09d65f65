"""The job that writes dates as people do: from a recipe of the task `dates` to shards of pairs.

The same line, folder and rules as for scenes (shard_line.py, running.py): shards under temporary
names, renamed when whole; the manifest last; what an earlier run left is checked and kept; the same
bytes whatever runner and however many workers.
"""

from __future__ import annotations

import importlib.metadata
import platform
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import apache_beam as beam

from beam_jobs import files, output_state
from beam_jobs.manifest_writer import close, entries, in_order
from beam_jobs.runners import DEFAULT_NUM_WORKERS, Engine
from beam_jobs.running import run_job
from beam_jobs.shard_line import ShardMaker, shard_line
from beam_jobs.shard_writer import RecordKind, read_shard, write_shard
from beam_jobs.watching import Progress
from pipeline.date_pairs import DatePairSource, PairCounts, decode_pair
from pipeline.date_writing import require_unambiguous, writings_of
from schemas.canonical import digest
from schemas.dataset import MANIFEST_NAME, ShardReport, ShardSpec, divided
from schemas.pairs import PairManifest
from schemas.recipe import SPLITS
from schemas.recipe_dates import DatesRecipe

_PAIRS = RecordKind(
    decode=decode_pair,
    counts=PairCounts,
    count_made=lambda counts, example: counts.add(example.pair),
    count_stored=lambda counts, pair: counts.add(pair),
)
_BYTES_EACH = 270.0
_SOFTWARE = ("wakebeam", "babel", "protobuf", "apache-beam")


@dataclass(frozen=True)
class PairJob:
    """What all workers must know; attributes as in job.ShardJob."""

    recipe_json: str
    out: str
    started_unix_s: float = field(default_factory=time.time)
    how_to_replace: str = "--overwrite replaces it, dataset.out names another folder"

    @cached_property
    def recipe(self) -> DatesRecipe:
        """The recipe."""
        return DatesRecipe.model_validate_json(self.recipe_json)

    @cached_property
    def recipe_digest(self) -> str:
        """Content digest, which every record carries."""
        return digest(self.content())

    @cached_property
    def shards(self) -> tuple[ShardSpec, ...]:
        """All shards, in order of split and index."""
        data = self.recipe.dataset
        return divided(data.num_examples.model_dump(), data.examples_per_shard)

    @property
    def num_examples(self) -> int:
        """Pairs in all shards."""
        return sum(shard.stop - shard.start for shard in self.shards)

    def content(self) -> dict[str, Any]:
        """Return what decides the pairs, the version of the knowledge of formats included."""
        return self.recipe.content(importlib.metadata.version("babel"))

    def identity(self) -> dict[str, Any]:
        """Return what `job.json` holds."""
        return {
            "recipe_digest": self.recipe_digest,
            "shards_digest": digest([[s.name, s.start, s.stop] for s in self.shards]),
            "num_examples": self.recipe.dataset.num_examples.model_dump(),
        }

    def manifest(self, text: str, *, where: str) -> PairManifest:
        """Parse a manifest of pairs."""
        return PairManifest.from_json(text, where=where)


def write_date_pairs(
    recipe: DatesRecipe,
    out: str,
    *,
    beam_arguments: list[str] | None = None,
    num_workers: int = DEFAULT_NUM_WORKERS,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> tuple[PairManifest, bool]:
    """Make a data set of pairs, go on with a half-made one, or find it complete.

    Args:
        recipe: what to write.
        out: folder or URI.
        beam_arguments: options for Beam.
        num_workers: local processes, where no runner is named.
        overwrite: replace a data set of another recipe.
        progress: called with (pairs done, pairs in all) about twice a second.

    Returns:
        The manifest, and whether it was there already.

    Raises:
        RequestError: the recipe can't be met or `out` holds something else; nothing was written.
        DatasetError: shards failed; what was finished is kept and the same command goes on.
    """
    job = PairJob(recipe.model_dump_json(by_alias=True), files.absolute(out))
    engine = Engine(
        beam_arguments or [],
        num_workers=num_workers,
        num_shards=len(job.shards),
        places=(job.out,),
    )
    begun = files.exists(files.join(job.out, output_state.JOB_NAME))
    if overwrite or not begun:  # looks at every day, which takes seconds
        require_unambiguous(writings_of(recipe.dates), recipe.dates)
    for split in SPLITS:
        DatePairSource(recipe, split, job.recipe_digest)  # refuses what can't be
    made = run_job(
        job,
        engine,
        WriteDatePairs(job),
        lock=job.out,
        bytes_each=_BYTES_EACH,
        overwrite=overwrite,
        progress=progress,
    )
    where = files.join(job.out, MANIFEST_NAME)
    return job.manifest(files.read_text(where), where=where), not made


class WriteDatePairs(beam.PTransform):
    """A pipeline's beginning → the folder of the closed data set."""

    def __init__(self, job: PairJob) -> None:
        super().__init__()
        self._job = job

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:
        """Add the line of steps."""
        return shard_line(
            begin, self._job.shards, make=MakePairs(self._job), close=ClosePairs(self._job)
        )


class MakePairs(ShardMaker):
    """ShardSpec → ShardReport."""

    def __init__(self, job: PairJob) -> None:
        super().__init__(job.out)
        self._job = job
        self._sources: dict[str, DatePairSource] = {}

    def read(self, spec: ShardSpec) -> ShardReport:
        """Report on a shard that is there."""
        return read_shard(
            spec, out=self._job.out, recipe_digest=self._job.recipe_digest, kind=_PAIRS
        )

    def write(self, spec: ShardSpec) -> ShardReport:
        """Write a shard's pairs."""
        output_state.require_ours(self._job)
        if spec.split not in self._sources:
            self._sources[spec.split] = DatePairSource(
                self._job.recipe, spec.split, self._job.recipe_digest
            )
        return write_shard(spec, out=self._job.out, source=self._sources[spec.split], kind=_PAIRS)


class ClosePairs(beam.DoFn):
    """All ShardReports → manifest.json, or failures.json."""

    def __init__(self, job: PairJob) -> None:
        self._job = job

    def process(self, reports: Iterable[ShardReport]) -> Iterator[str]:
        """Write the file that closes the data set and yield its folder."""
        output_state.require_ours(self._job)
        manifest = _manifest(self._job, in_order(reports))
        close(self._job.out, list(reports), manifest, max_reject_fraction=0.0)
        yield self._job.out


def _manifest(job: PairJob, ordered: list[ShardReport]) -> PairManifest:
    return PairManifest(
        recipe_digest=job.recipe_digest,
        content=job.content(),
        name=job.recipe.name,
        shards=entries(ordered),
        counts={
            split: PairCounts.summed(r.counts for r in ordered if r.split == split)
            for split in SPLITS
        },
        software={name: importlib.metadata.version(name) for name in _SOFTWARE},
        run={
            "python": platform.python_version(),
            "duration_s": round(time.time() - job.started_unix_s, 3),
            "shards_reused": sum(report.reused for report in ordered),
        },
    )
