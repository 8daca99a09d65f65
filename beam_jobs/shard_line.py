"""A job that makes shards, as a Beam pipeline: one straight line, which every engine does right.

    shard specs → Reshuffle → whole shard (temporary name, rename) → ShardReport
      → Reshuffle → what failed, once more → all reports → manifest last

An element is one whole shard, and only reports travel between workers. What the data set is, is
said by the reports alone, each held against the plan: Beam's metrics may count twice, or not at
all. A failure that may pass is tried again by the same worker, then by another; what remains of
them is reported by the shard's name.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics

from beam_jobs import files, output_state
from beam_jobs.gathering import as_list
from beam_jobs.job import ClosingManifest, ShardJob
from beam_jobs.manifest_writer import close
from beam_jobs.report_check import differences, one_each
from beam_jobs.shard_writer import RecordKind, made_or_reason, read_shard, write_shard
from schemas.dataset import ShardReport, ShardSpec
from schemas.errors import DatasetError, WakebeamError
from schemas.scene import example_id

_PAUSES_S = (0.1, 0.5)
"""Before a worker's second and third try."""


class ShardLine(beam.PTransform):
    """A pipeline's beginning → the folder of the closed data set.

    Args:
        shards: all of them.
        make: makes or keeps each.
        close: writes what closes the data set.
        first: instead of `shards`: a pipeline's beginning → ShardSpec, or ShardReport of what went
            before.
    """

    def __init__(
        self,
        shards: Sequence[ShardSpec],
        *,
        make: ShardMaker,
        close: SetCloser,
        first: beam.PTransform | None = None,
    ) -> None:
        super().__init__()
        self._first = first or beam.Create(shards)
        self._make, self._close = make, close

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:
        """Add the line of steps."""
        return (
            begin
            | "Shard specs" >> self._first  # ShardSpec
            | "Spread" >> beam.Reshuffle()
            | "Make shards" >> beam.ParDo(self._make)  # ShardReport
            | "Spread again" >> beam.Reshuffle()
            | "Make what failed" >> beam.ParDo(_MakeAgain(self._make))  # ShardReport
            | "Gather reports" >> beam.CombineGlobally(as_list).without_defaults()
            | "Close" >> beam.ParDo(self._close)  # folder
        )


class ShardMaker(beam.DoFn):
    """ShardSpec → ShardReport; a shard that is there is checked and kept.

    Args:
        job: whose shards.

    Attributes:
        kind: what they hold.
    """

    kind: RecordKind

    def __init__(self, job: ShardJob) -> None:
        self._job: Any = job
        self._sources: dict[str, Sequence[Any]] = {}
        self._failing = False  # the last shard failed: the next is tried once, or all would wait

    def source(self, split: str) -> Sequence[Any]:
        """Return a split's examples, each a function of its index; asked for once a worker."""
        raise NotImplementedError

    def read(self, spec: ShardSpec) -> ShardReport:
        """Report on a shard that is there, or raise DatasetError."""
        digest = self._job.recipe_digest
        wanted = [(example_id(spec.split, i), digest) for i in range(spec.start, spec.stop)]

        def why_missing(place: int) -> str:
            made = made_or_reason(self._source_of(spec.split), spec.start + place)
            return made if isinstance(made, str) else ""

        return read_shard(
            spec, out=self._job.out, kind=self.kind, wanted=wanted, why_missing=why_missing
        )

    def write(self, spec: ShardSpec) -> ShardReport:
        """Make a shard."""
        return write_shard(
            spec,
            out=self._job.out,
            source=self._source_of(spec.split),
            kind=self.kind,
            require=self.require_ours,
        )

    def specs(self) -> dict[str, ShardSpec]:
        """Return the job's shards by name."""
        return {spec.name: spec for spec in self._job.shards}

    def require_ours(self) -> None:
        """Raise DatasetError where another job has taken over."""
        output_state.require_ours(self._job)

    def process(self, spec: ShardSpec | ShardReport) -> Iterator[ShardReport]:
        """Make, or check and keep, one shard; a failure is tried again before it is reported."""
        if isinstance(spec, ShardReport):
            yield spec
            return
        for pause_s in (*(() if self._failing else _PAUSES_S), None):
            try:
                report = self._kept(spec)
                if report is None:
                    self.require_ours()
                    report = self.write(spec)
            except Exception as error:
                if pause_s is not None and not isinstance(error, WakebeamError):
                    time.sleep(pause_s)
                    continue
                self._failing = True
                yield failed(error, spec.name, spec.split, spec.shard_index)
                return
            self._failing = False
            self.measure(report)
            yield report
            return

    def measure(self, report: ShardReport) -> None:
        """Count with Beam's own counters, an extra that some engines don't have."""
        Metrics.counter("wakebeam", "shards_reused" if report.reused else "shards_made").inc()
        Metrics.counter("wakebeam", "bytes").inc(report.num_bytes)

    def _source_of(self, split: str) -> Sequence[Any]:
        if split not in self._sources:
            self._sources[split] = self.source(split)
        return self._sources[split]

    def _kept(self, spec: ShardSpec) -> ShardReport | None:
        if not files.exists(files.join(self._job.out, spec.name)):
            return None
        try:
            return self.read(spec)
        except DatasetError:
            return None  # damaged: made again under the same name


class _MakeAgain(beam.DoFn):
    """ShardReport → ShardReport: what failed is made once more, by whatever worker has it now.

    No local engine tries a failed element again, and one machine whose disk is full would fail
    every shard that it is given.
    """

    def __init__(self, make: ShardMaker) -> None:
        self._make = make
        self._specs: dict[str, ShardSpec] = {}

    def process(self, report: ShardReport) -> Iterator[ShardReport]:
        """Pass on what is there."""
        if report.status != "failed" or not report.split:
            yield report
            return
        try:
            if not self._specs:
                self._make.setup()
                self._specs = self._make.specs()
        except Exception as error:  # no clip bank here, say
            yield failed(error, report.name, report.split, report.shard_index)
            return
        yield from self._make.process(self._specs[report.name])


class SetCloser(beam.DoFn):
    """All ShardReports → manifest.json, or failures.json; yields the folder.

    Attributes:
        needs_records: a data set without any is a failure.
    """

    needs_records = False

    def __init__(self, job: ShardJob) -> None:
        self._job: Any = job

    def manifest(self, reports: Sequence[ShardReport]) -> ClosingManifest:
        """Return what closes the data set where all went well."""
        raise NotImplementedError

    def process(self, reports: Iterable[ShardReport]) -> Iterator[str]:
        """Write the file that closes the data set and yield its folder."""
        output_state.require_ours(self._job)
        reports = one_each(reports)
        close(
            self._job.out,
            reports,
            lambda: self.manifest(reports),
            max_reject_fraction=self._job.max_reject_fraction,
            needs_records=self.needs_records,
            differences=differences(self._job, reports),
        )
        yield self._job.out


def failed(error: Exception, name: str, split: str, index: int) -> ShardReport:
    """Return the report of what could not be made."""
    text = str(error) if isinstance(error, WakebeamError) else repr(error)
    return ShardReport(name, split, index, "failed", error=text)
