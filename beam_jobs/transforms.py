"""The job as a Beam pipeline: one straight line, since that is what every engine does right.

    shard specs → Reshuffle → whole shard (temporary name, rename) → ShardReport → manifest last

A bundle is one whole shard. No audio travels between workers. What the data set is, is said by the
reports alone: Beam's metrics may count twice, or not at all.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

import apache_beam as beam
from apache_beam.io.filesystem import BeamIOError
from apache_beam.metrics import Metrics

from beam_jobs import files, output_state
from beam_jobs.bank_store import open_bank
from beam_jobs.gathering import as_list
from beam_jobs.job import SynthesisJob
from beam_jobs.manifest_writer import build_manifest, close
from beam_jobs.shard_writer import read_shard, write_shard
from pipeline.scene_source import SceneSource
from schemas.dataset import ShardReport, ShardSpec
from schemas.errors import DatasetError, WakebeamError

_MAY_PASS = (OSError, BeamIOError)


class SynthesizeScenes(beam.PTransform):
    """A pipeline's beginning → the folder of the closed generation."""

    def __init__(self, job: SynthesisJob) -> None:
        super().__init__()
        self._job = job

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:
        """Add the line of steps."""
        return (
            begin
            | "Shard specs" >> beam.Create(self._job.shards)  # ShardSpec
            | "Spread" >> beam.Reshuffle()
            | "Make shards" >> beam.ParDo(MakeShard(self._job))  # ShardReport
            | "Gather reports" >> beam.CombineGlobally(as_list).without_defaults()
            | "Close" >> beam.ParDo(CloseDataset(self._job))  # folder
        )


class MakeShard(beam.DoFn):
    """ShardSpec → ShardReport. Opens the bank once a worker; renders nothing that is there."""

    def __init__(self, job: SynthesisJob) -> None:
        self._job = job
        self._sources: dict[str, SceneSource] = {}

    def setup(self) -> None:
        """Open what all shards of this worker share."""
        self._bank = open_bank(self._job.bank, self._job.bank_digest)

    def process(self, spec: ShardSpec) -> Iterator[ShardReport]:
        """Make, or check and keep, one shard; a failure is tried again before it is reported."""
        for again in (True, True, False):
            try:
                report = self._kept(spec) or self._made(spec)
            except Exception as error:
                if again and isinstance(error, _MAY_PASS):
                    continue
                text = str(error) if isinstance(error, WakebeamError) else repr(error)
                yield ShardReport(spec.name, spec.split, spec.shard_index, "failed", error=text)
                return
            _measure(report)
            yield report
            return

    def _kept(self, spec: ShardSpec) -> ShardReport | None:
        if not files.exists(files.join(self._job.out, spec.name)):
            return None
        try:
            return read_shard(spec, out=self._job.out, recipe_digest=self._job.recipe_digest)
        except DatasetError:
            return None  # damaged: made again under the same name

    def _made(self, spec: ShardSpec) -> ShardReport:
        output_state.require_ours(self._job)
        if spec.split not in self._sources:
            self._sources[spec.split] = SceneSource(self._job.recipe, self._bank, spec.split)
        return write_shard(spec, out=self._job.out, source=self._sources[spec.split])


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


def _measure(report: ShardReport) -> None:
    """Beam's own counters, an extra: they may count twice and some engines have none."""
    Metrics.counter("wakebeam", "shards_reused" if report.reused else "shards_made").inc()
    Metrics.counter("wakebeam", "scenes").inc(report.num_examples)
    Metrics.counter("wakebeam", "scenes_rejected").inc(len(report.rejects))
    Metrics.counter("wakebeam", "bytes").inc(report.num_bytes)
    for kind, number in report.counts.get("events_by_kind", {}).items():
        Metrics.counter("wakebeam", f"events_{kind}").inc(number)
    for snr_db, number in report.counts.get("snr_db", {}).items():
        for _ in range(number):
            Metrics.distribution("wakebeam", "snr_db").update(int(snr_db))
    if report.num_examples and not report.reused:
        ms_each = round(1000 * report.seconds / report.num_examples)
        Metrics.distribution("wakebeam", "ms_a_scene").update(ms_each)
