"""A job that makes shards, as a Beam pipeline: one straight line, which every engine does right.

    shard specs → Reshuffle → whole shard (temporary name, rename) → ShardReport → manifest last

A bundle is one whole shard, and only reports travel between workers. What the data set is, is said
by the reports alone: Beam's metrics may count twice, or not at all. A failure that may pass is
tried again; what remains of them is reported by the shard's name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import apache_beam as beam
from apache_beam.io.filesystem import BeamIOError
from apache_beam.metrics import Metrics

from beam_jobs import files
from beam_jobs.gathering import as_list
from schemas.dataset import ShardReport, ShardSpec
from schemas.errors import DatasetError, WakebeamError

_MAY_PASS = (OSError, BeamIOError)


def shard_line(
    begin: beam.pvalue.PBegin,
    shards: Sequence[ShardSpec],
    *,
    make: ShardMaker,
    close: beam.DoFn,
) -> beam.PCollection:
    """Add the line of steps; `close` gets the list of all reports."""
    return (
        begin
        | "Shard specs" >> beam.Create(shards)  # ShardSpec
        | "Spread" >> beam.Reshuffle()
        | "Make shards" >> beam.ParDo(make)  # ShardReport
        | "Gather reports" >> beam.CombineGlobally(as_list).without_defaults()
        | "Close" >> beam.ParDo(close)  # folder
    )


class ShardMaker(beam.DoFn):
    """ShardSpec → ShardReport; a shard that is there is checked and kept.

    Args:
        out: folder or URI of the shards.
    """

    def __init__(self, out: str) -> None:
        self._out = out

    def read(self, spec: ShardSpec) -> ShardReport:
        """Report on a shard that is there, or raise DatasetError."""
        raise NotImplementedError

    def write(self, spec: ShardSpec) -> ShardReport:
        """Make a shard."""
        raise NotImplementedError

    def process(self, spec: ShardSpec) -> Iterator[ShardReport]:
        """Make, or check and keep, one shard; a failure is tried again before it is reported."""
        for again in (True, True, False):
            try:
                report = self._kept(spec) or self.write(spec)
            except Exception as error:
                if again and isinstance(error, _MAY_PASS):
                    continue
                text = str(error) if isinstance(error, WakebeamError) else repr(error)
                yield ShardReport(spec.name, spec.split, spec.shard_index, "failed", error=text)
                return
            self.measure(report)
            yield report
            return

    def measure(self, report: ShardReport) -> None:
        """Count with Beam's own counters, an extra that some engines don't have."""
        Metrics.counter("wakebeam", "shards_reused" if report.reused else "shards_made").inc()
        Metrics.counter("wakebeam", "bytes").inc(report.num_bytes)

    def _kept(self, spec: ShardSpec) -> ShardReport | None:
        if not files.exists(files.join(self._out, spec.name)):
            return None
        try:
            return self.read(spec)
        except DatasetError:
            return None  # damaged: made again under the same name
