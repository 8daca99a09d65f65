"""The synthesis of scenes as steps of shard_line.py's line: what a worker opens, makes and counts.

Beam's metrics are an extra: they may count twice, or not at all.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

import apache_beam as beam
from apache_beam.metrics import Metrics

from beam_jobs import output_state
from beam_jobs.bank_store import open_bank
from beam_jobs.job import SynthesisJob
from beam_jobs.manifest_writer import build_manifest, close
from beam_jobs.shard_line import ShardMaker, shard_line
from beam_jobs.shard_writer import RecordKind, read_shard, write_shard
from pipeline.example_codec import decode_example
from pipeline.scene_source import SceneSource
from pipeline.shard_counts import ShardCounts
from schemas.dataset import ShardReport, ShardSpec

_SCENES = RecordKind(
    decode=decode_example,
    counts=ShardCounts,
    count_made=lambda counts, example: counts.add(
        example.scene.audio, example.plan.sample_rate_hz, example.events
    ),
    count_stored=lambda counts, stored: counts.add(
        stored.audio, stored.sample_rate_hz, stored.events
    ),
)


class SynthesizeScenes(beam.PTransform):
    """A pipeline's beginning → the folder of the closed generation."""

    def __init__(self, job: SynthesisJob) -> None:
        super().__init__()
        self._job = job

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:
        """Add the line of steps."""
        return shard_line(
            begin, self._job.shards, make=MakeShard(self._job), close=CloseDataset(self._job)
        )


class MakeShard(ShardMaker):
    """ShardSpec → ShardReport. Opens the bank once a worker."""

    def __init__(self, job: SynthesisJob) -> None:
        super().__init__(job.out)
        self._job = job
        self._sources: dict[str, SceneSource] = {}

    def setup(self) -> None:
        """Open what all shards of this worker share."""
        self._bank = open_bank(self._job.bank, self._job.bank_digest)

    def read(self, spec: ShardSpec) -> ShardReport:
        """Report on a shard that is there."""
        return read_shard(
            spec, out=self._job.out, recipe_digest=self._job.recipe_digest, kind=_SCENES
        )

    def write(self, spec: ShardSpec) -> ShardReport:
        """Render a shard's scenes."""
        output_state.require_ours(self._job)
        if spec.split not in self._sources:
            self._sources[spec.split] = SceneSource(self._job.recipe, self._bank, spec.split)
        return write_shard(spec, out=self._job.out, source=self._sources[spec.split], kind=_SCENES)

    def measure(self, report: ShardReport) -> None:
        """Add what a scene is."""
        super().measure(report)
        Metrics.counter("wakebeam", "scenes").inc(report.num_examples)
        Metrics.counter("wakebeam", "scenes_rejected").inc(len(report.rejects))
        for kind, number in report.counts.get("events_by_kind", {}).items():
            Metrics.counter("wakebeam", f"events_{kind}").inc(number)
        for snr_db, number in report.counts.get("snr_db", {}).items():
            for _ in range(number):
                Metrics.distribution("wakebeam", "snr_db").update(int(snr_db))
        if report.num_examples and not report.reused:
            ms_each = round(1000 * report.seconds / report.num_examples)
            Metrics.distribution("wakebeam", "ms_a_scene").update(ms_each)


class CloseDataset(beam.DoFn):
    """All ShardReports → manifest.json, or failures.json."""

    def __init__(self, job: SynthesisJob) -> None:
        self._job = job

    def process(self, reports: Iterable[ShardReport]) -> Iterator[str]:
        """Write the file that closes the data set and yield its folder."""
        output_state.require_ours(self._job)
        reports = list(reports)
        now_s = time.time()
        manifest = build_manifest(
            reports,
            job=self._job,
            bank=open_bank(self._job.bank, self._job.bank_digest),
            run={
                "finished_unix_s": round(now_s, 3),
                "duration_s": round(now_s - self._job.started_unix_s, 3),
                "shards_reused": sum(report.reused for report in reports),
            },
        )
        limit = self._job.recipe.dataset.max_reject_fraction
        close(self._job.out, reports, manifest, max_reject_fraction=limit)
        yield self._job.out
