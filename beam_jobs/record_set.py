"""Any job that makes small records: from keyed records to shards, and a manifest that closes them.

    (key, item) → GroupByKey → whole shard (temporary name, rename) → ShardReport → manifest last

A task's own step makes the keyed records; the rest of the line is here. A key is the name of a
shard, and its items are (id, record): each shard is sorted by id, so it has the same bytes however
many workers there were and in whatever order they came. Two items of one id are one record; the
second is a reject. The key REJECTED has items (place, JSON of reason and detail): a line each in
`rejects.jsonl`, counted in the manifest by reason. The key FAILED has items (place, why): one of
them and the job has failed.

Records must be small: those of a shard are in memory together. A killed job starts anew; what it
left is never taken for a set, since a set is what a manifest closes.
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import apache_beam as beam

from beam_jobs import files, output_state
from beam_jobs.gathering import as_list
from beam_jobs.runners import DEFAULT_NUM_WORKERS, Engine
from pipeline.splits import group_position
from pipeline.tfrecord import RecordWriter
from schemas.dataset import MANIFEST_NAME, ShardEntry, ShardReport, ShardSpec
from schemas.errors import DatasetError, RequestError, WakebeamError
from schemas.record_set import RecordSet

REJECTED, FAILED = "rejected", "failed"
Item = tuple[str, bytes]
Keyed = tuple[str, Item]
Tally = Callable[[bytes], str]
"""A record → what it is counted as in the manifest; a function of a module."""


@dataclass(frozen=True)
class RecordJob:
    """What workers must know to close a set.

    Attributes:
        out: folder or URI.
        made_from: digest of all that decides the records.
        splits: in the manifest's order; each is a folder.
        tally: what records are counted as.
        about: goes into the manifest.
    """

    out: str
    made_from: str
    splits: tuple[str, ...]
    tally: Tally
    about: Mapping[str, Any] = field(default_factory=dict)

    def identity(self) -> dict[str, Any]:
        """Return what `job.json` holds."""
        return {"made_from": self.made_from}


def shard_of(name: str, split: str, num_shards: int) -> str:
    """Return the shard of a split into which all records of one origin go: its hash decides."""
    index = int(group_position(f"shard {name}") * num_shards)
    return ShardSpec(split, index, num_shards, 0, 0).name


def rejected(place: str, reason: str, detail: str = "") -> Keyed:
    """Return what a step yields for a record that it leaves out.

    Args:
        place: file and number of the record.
        reason: one of a few; they are counted.
        detail: what was found.
    """
    return REJECTED, (place, json.dumps({"reason": reason, "detail": detail}).encode())


def failed(place: str, error: Exception) -> Keyed:
    """Return what a step yields where it can't go on."""
    text = str(error) if isinstance(error, WakebeamError) else repr(error)
    return FAILED, (place, text.encode())


def make_record_set(
    job: RecordJob,
    step: beam.PTransform,
    *,
    num_parts: int,
    places: Sequence[str],
    beam_arguments: list[str] | None = None,
    num_workers: int = DEFAULT_NUM_WORKERS,
    overwrite: bool = False,
) -> tuple[RecordSet, bool]:
    """Make a set, or find it complete.

    Args:
        job: what is made and where.
        step: a pipeline's beginning → Keyed.
        num_parts: pieces of work that the step has.
        places: all that it reads.
        beam_arguments: options for Beam.
        num_workers: local processes, where no runner is named.
        overwrite: replace a set of something else.

    Returns:
        The set, and whether it was there already.

    Raises:
        RequestError: the folder holds something else.
        DatasetError: the job failed, or no record is left.
    """
    engine = Engine(
        beam_arguments or [],
        num_workers=num_workers,
        num_shards=num_parts,
        places=(*places, job.out),
    )
    with output_state.alone(job.out):
        if _is_complete(job, overwrite):
            return read_record_set(job.out), True
        _begin(job)
        engine.run(engine.pipeline(_Line(job, step)))
        path = files.join(job.out, output_state.FAILURES_NAME)
        if files.exists(path):
            failures = json.loads(files.read_text(path))
            place, reason = next(iter(failures.items()))
            more = f"; {len(failures) - 1} more failed" if len(failures) > 1 else ""
            raise DatasetError(f"the data set is not complete: {place}: {reason}{more}")
        if not files.exists(files.join(job.out, MANIFEST_NAME)):
            raise DatasetError("no record was found", expected="files with records in them")
        return read_record_set(job.out), False


def read_record_set(out: str) -> RecordSet:
    """Read a complete set.

    Raises:
        DatasetError: it isn't complete.
    """
    return RecordSet.read(out, lambda path: files.read_text(path) if files.exists(path) else None)


class _Line(beam.PTransform):
    """A pipeline's beginning → the folder of the closed set."""

    def __init__(self, job: RecordJob, step: beam.PTransform) -> None:
        super().__init__()
        self._job, self._step = job, step

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:
        return (
            begin
            | "Records" >> self._step  # Keyed
            | "By shard" >> beam.GroupByKey()  # (key, items)
            | "Write" >> beam.ParDo(_WriteShard(self._job))  # ShardReport
            | "Gather" >> beam.CombineGlobally(as_list).without_defaults()
            | "Close" >> beam.ParDo(_Close(self._job))  # folder
        )


class _WriteShard(beam.DoFn):
    """(key, items) → ShardReport; its rejects are the second ones of an id."""

    def __init__(self, job: RecordJob) -> None:
        self._job = job

    def process(self, keyed: tuple[str, Iterable[Item]]) -> Iterator[tuple[ShardReport, list[Any]]]:
        """Write a shard, or pass on what is none."""
        output_state.require_ours(self._job)
        key, items = keyed[0], sorted(keyed[1])
        if key in (REJECTED, FAILED):
            rows = [(place, data.decode()) for place, data in items]
            yield ShardReport(key, "", 0, "done"), rows
            return
        counts: Counter[str] = Counter()
        twice = []
        with files.replace_atomically(files.join(self._job.out, key)) as file:
            writer = RecordWriter(file)
            last = None
            for name, record in items:
                if name == last:
                    twice.append((name, rejected(name, "there twice")[1][1].decode()))
                    continue
                writer.write(record)
                counts[self._job.tally(record)] += 1
                last = name
        split = key.partition("/")[0]
        yield (
            ShardReport(
                name=key,
                split=split,
                shard_index=0,
                status="done",
                num_examples=writer.num_records,
                num_bytes=writer.num_bytes,
                crc32c=writer.crc32c,
                counts={split: dict(counts)},
            ),
            twice,
        )


class _Close(beam.DoFn):
    """All reports → manifest.json, or failures.json."""

    def __init__(self, job: RecordJob) -> None:
        self._job = job

    def process(self, reports: list[tuple[ShardReport, list[Any]]]) -> Iterator[str]:
        """Write the file that closes the set and yield its folder."""
        output_state.require_ours(self._job)
        out, splits = self._job.out, self._job.splits
        failures = {p: why for report, rows in reports if report.name == FAILED for p, why in rows}
        rows = sorted(row for report, rows in reports if report.name != FAILED for row in rows)
        rejects = [{"place": place, **json.loads(text)} for place, text in rows]
        if rejects:
            lines = "".join(json.dumps(reject, ensure_ascii=False) + "\n" for reject in rejects)
            files.write_text(files.join(out, output_state.REJECTS_NAME), lines)
        shards = sorted(
            (report for report, _ in reports if report.split),
            key=lambda report: (splits.index(report.split), report.name),
        )
        if not shards and not failures:
            why = (
                f"{rejects[0]['place']}: {rejects[0]['reason']}" if rejects else "nothing is there"
            )
            failures = {"no record can be used": f"{why} ({len(rejects)} were rejected)"}
        if failures:
            text = json.dumps(failures, indent=1, sort_keys=True) + "\n"
            files.write_text(files.join(out, output_state.FAILURES_NAME), text)
            yield out
            return
        counts: dict[str, Counter[str]] = {split: Counter() for split in splits}
        for report in shards:
            counts[report.split].update(report.counts[report.split])
        made = RecordSet(
            location=out,
            entries=tuple(
                ShardEntry(r.name, r.split, r.num_examples, r.num_bytes, r.crc32c) for r in shards
            ),
            counts={split: dict(sorted(found.items())) for split, found in counts.items()},
            rejects=dict(sorted(Counter(reject["reason"] for reject in rejects).items())),
            about=self._job.about,
        )
        files.write_text(files.join(out, MANIFEST_NAME), made.to_json())
        yield out


def _is_complete(job: RecordJob, overwrite: bool) -> bool:
    path = files.join(job.out, output_state.JOB_NAME)
    if not files.exists(path):
        output_state.refuse_strangers(job.out)
        return False
    try:
        found = json.loads(files.read_text(path))
    except ValueError:
        found = {}
    if found != job.identity():
        if overwrite:
            return False
        raise RequestError(
            f"{job.out} holds a data set made from something else",
            expected="a data set of this recipe and these files, or an empty folder",
            fix="--overwrite replaces it, data.out names another folder",
        )
    with contextlib.suppress(DatasetError):
        made = read_record_set(job.out)
        there = {p: n for split in job.splits for p, n in _shards(job.out, split).items()}
        return all(
            there.get(f"{e.split}/{files.name_of(e.name)}") == e.num_bytes for e in made.entries
        )
    return False


def _begin(job: RecordJob) -> None:
    """Leave nothing of another set, the manifest gone first, then say whose folder it is."""
    closing = (MANIFEST_NAME, output_state.FAILURES_NAME, output_state.REJECTS_NAME)
    files.delete([files.join(job.out, name) for name in closing])
    for split in job.splits:
        files.delete([files.join(job.out, name) for name in _shards(job.out, split)])
    files.make_folder(job.out)
    identity = json.dumps(job.identity(), indent=1, sort_keys=True) + "\n"
    files.write_text(files.join(job.out, output_state.JOB_NAME), identity)
    for split in job.splits:
        files.make_folder(files.join(job.out, split))


def _shards(out: str, split: str) -> dict[str, int]:
    """{name in the set: bytes} of all files of a split's shards, whole or not."""
    found = files.sizes(files.join(out, split), f"{split}-")
    return {f"{split}/{files.name_of(path)}": size for path, size in found.items()}
