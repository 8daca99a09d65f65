"""A job that makes shards, as a Beam pipeline: one straight line, which every engine does right.

    shard specs → Reshuffle → whole shard (temporary name, rename) → ShardReport → manifest last

A bundle is one whole shard, and only reports travel between workers. What the data set is, is said
by the reports alone: Beam's metrics may count twice, or not at all. A failure that may pass is
tried again; what remains of them is reported by the shard's name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics

from beam_jobs import files, output_state
from beam_jobs.gathering import as_list
from beam_jobs.job import ClosingManifest, ShardJob
from beam_jobs.manifest_writer import close
from beam_jobs.shard_writer import RecordKind, read_shard, write_shard
from schemas.dataset import ShardReport, ShardSpec
from schemas.errors import DatasetError, WakebeamError
from schemas.scene import example_id


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

    def source(self, split: str) -> Sequence[Any]:
        """Return a split's examples, each a function of its index; asked for once a worker."""
        raise NotImplementedError

    def read(self, spec: ShardSpec) -> ShardReport:
        """Report on a shard that is there, or raise DatasetError."""
        digest = self._job.recipe_digest
        wanted = [(example_id(spec.split, i), digest) for i in range(spec.start, spec.stop)]
        return read_shard(spec, out=self._job.out, kind=self.kind, wanted=wanted)

    def write(self, spec: ShardSpec) -> ShardReport:
        """Make a shard."""
        if spec.split not in self._sources:
            self._sources[spec.split] = self.source(spec.split)
        source = self._sources[spec.split]
        return write_shard(spec, out=self._job.out, source=source, kind=self.kind)

    def process(self, spec: ShardSpec | ShardReport) -> Iterator[ShardReport]:
        """Make, or check and keep, one shard; a failure is tried again before it is reported."""
        if isinstance(spec, ShardReport):
            yield spec
            return
        for again in (True, True, False):
            try:
                report = self._kept(spec)
                if report is None:
                    output_state.require_ours(self._job)
                    report = self.write(spec)
            except Exception as error:
                if again and not isinstance(error, WakebeamError):
                    continue
                yield failed(error, spec.name, spec.split, spec.shard_index)
                return
            self.measure(report)
            yield report
            return

    def measure(self, report: ShardReport) -> None:
        """Count with Beam's own counters, an extra that some engines don't have."""
        Metrics.counter("wakebeam", "shards_reused" if report.reused else "shards_made").inc()
        Metrics.counter("wakebeam", "bytes").inc(report.num_bytes)

    def _kept(self, spec: ShardSpec) -> ShardReport | None:
        if not files.exists(files.join(self._job.out, spec.name)):
            return None
        try:
            return self.read(spec)
        except DatasetError:
            return None  # damaged: made again under the same name


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
        reports = list(reports)
        close(
            self._job.out,
            reports,
            lambda: self.manifest(reports),
            max_reject_fraction=self._job.max_reject_fraction,
            needs_records=self.needs_records,
        )
        yield self._job.out


def failed(error: Exception, name: str, split: str, index: int) -> ShardReport:
    """Return the report of what could not be made."""
    text = str(error) if isinstance(error, WakebeamError) else repr(error)
    return ShardReport(name, split, index, "failed", error=text)
