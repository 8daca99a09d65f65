"""One shard: make each of its examples and write it as a stream, then rename.

Memory holds one example at a time, whatever the size of the shard. The report that comes back is
all that anyone else learns of the shard; totals are made from reports alone. An example that can't
be made is left out and named in the report; the job decides whether that may be (CloseDataset).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Protocol

from apache_beam.io.filesystem import BeamIOError

from beam_jobs import files
from pipeline.tfrecord import RecordReader, RecordWriter
from schemas.dataset import SceneReject, ShardEntry, ShardReport, ShardSpec
from schemas.errors import DatasetError, WakebeamError
from schemas.scene import example_id

_LONGEST_REASON = 300
_NOT_THE_SCENES_FAULT = (OSError, BeamIOError, MemoryError, DatasetError)
"""What another try may not meet again: the shard's failure, never a reject of the scene."""


class Counts(Protocol):
    """Counts that are made one example after another."""

    def to_json(self) -> Mapping[str, Mapping[str, int]]:
        """Return {name: {key: number}}."""
        ...


def check_address(example: Any, entry: ShardEntry, manifest: Any) -> None:
    """Refuse an example of another recipe or split.

    Raises:
        DatasetError: it is one.
    """
    if example.recipe_digest != manifest.recipe_digest:
        raise DatasetError(f"{example.example_id} was made from another recipe")
    if not example.example_id.startswith(f"{entry.split}/"):
        raise DatasetError(f"{example.example_id} lies in split {entry.split}")


@dataclass(frozen=True)
class RecordKind:
    """What shards hold: scenes, pairs of texts.

    Attributes:
        decode: from a record to what it stores: `example_id`, `recipe_digest` and more.
        counts: an empty count.
        count_made: adds an example of the source; its record's data are its `pieces`.
        count_stored: adds what `decode` returned; the same numbers as for the example.
        name_of: what `decode` returned → what tells it from all other records of all data sets.
        check: refuses what `decode` returned where its shard and manifest don't allow it.
    """

    decode: Callable[[bytes], Any]
    counts: Callable[[], Counts]
    count_made: Callable[[Any, Any], None]
    count_stored: Callable[[Any, Any], None]
    name_of: Callable[[Any], Any] = attrgetter("example_id", "recipe_digest")
    check: Callable[[Any, ShardEntry, Any], None] = check_address


def write_shard(
    spec: ShardSpec,
    *,
    out: str,
    source: Sequence[Any],
    kind: RecordKind,
    require: Callable[[], None],
) -> ShardReport:
    """Write one shard under its final name, or leave nothing there.

    Args:
        spec: which examples.
        out: the data set's folder or URI.
        source: the examples of the shard's split.
        kind: what they are.
        require: called before the shard gets its name; raises where it may not any more.

    Raises:
        OSError, BeamIOError, MemoryError, DatasetError: what it needs can't be read or written.
    """
    began_s = time.monotonic()
    counts, rejects = kind.counts(), []
    with files.replace_atomically(files.join(out, spec.name), require) as file:
        writer = RecordWriter(file)
        for index in range(spec.start, spec.stop):
            example = made_or_reason(source, index)
            if isinstance(example, str):
                rejects.append(SceneReject(example_id(spec.split, index), example))
                continue
            writer.write(*example.pieces)
            kind.count_made(counts, example)
    return ShardReport(
        name=spec.name,
        split=spec.split,
        shard_index=spec.shard_index,
        status="done",
        num_examples=writer.num_records,
        num_bytes=writer.num_bytes,
        crc32c=writer.crc32c,
        counts_json=json.dumps(counts.to_json(), separators=(",", ":")),
        rejects=tuple(rejects),
        seconds=time.monotonic() - began_s,
    )


def made_or_reason(source: Sequence[Any], index: int) -> Any | str:
    """Return an example, or why it can't be made, which a second try must say too.

    Raises:
        OSError, BeamIOError, MemoryError, DatasetError: nothing that the example is to blame for.
    """
    reason = ""
    for _ in range(2):
        try:
            return source[index]
        except _NOT_THE_SCENES_FAULT:
            raise
        except Exception as error:
            reason = _reason(error)
    return reason


def read_shard(
    spec: ShardSpec,
    *,
    out: str,
    kind: RecordKind,
    wanted: Sequence[Any],
    why_missing: Callable[[int], str] = lambda _: "",
) -> ShardReport:
    """Report on a shard that is already there, checking every record of it.

    Args:
        spec: which.
        out: the data set's folder or URI.
        kind: what it holds.
        wanted: what `kind.name_of` says of each of its examples.
        why_missing: from a place in `wanted` to why that example can't be made; empty if it can.

    Raises:
        DatasetError: damaged, or not these examples.
    """
    counts, place = kind.counts(), 0
    missing: list[int] = []
    with files.open_bytes(files.join(out, spec.name)) as file:
        reader = RecordReader(file, spec.name)
        for record in reader:
            example = kind.decode(record)
            name = kind.name_of(example)
            while place < len(wanted) and wanted[place] != name:
                missing.append(place)
                place += 1
            if place == len(wanted):
                raise _other(f"record {reader.num_records - 1} of {spec.name} is {name}")
            kind.count_stored(counts, example)
            place += 1
    rejects = []
    for lacking in (*missing, *range(place, len(wanted))):
        reason = why_missing(lacking)
        if not reason:
            raise _other(f"{spec.name} lacks {wanted[lacking]}")
        rejects.append(SceneReject(example_id(spec.split, spec.start + lacking), reason))
    return ShardReport(
        name=spec.name,
        split=spec.split,
        shard_index=spec.shard_index,
        status="done",
        num_examples=reader.num_records,
        num_bytes=reader.num_bytes,
        crc32c=reader.crc32c,
        counts_json=json.dumps(counts.to_json(), separators=(",", ":")),
        rejects=tuple(rejects),
        reused=True,
    )


def _other(what: str) -> DatasetError:
    return DatasetError(
        what,
        expected="the examples of this recipe and material, in order",
        fix="delete the shard and run the same command again",
    )


def _reason(error: Exception) -> str:
    text = str(error) if isinstance(error, WakebeamError) else repr(error)
    return text[:_LONGEST_REASON]
