"""Clips of embeddings to shards, as a Beam job: from files in any of three forms to one set.

    parts (embedding_parts.py) → shards, each of all parts' records that its hash calls → manifest

A shard is sorted by clip id, so it has the same bytes however the files were cut into parts. Two
records of one id are one; the second is a reject. Records must be small: those of a shard are in
memory together.

A killed job goes on: parts that are there are not read again, shards that are there are checked and
kept. Parts lie in the set's own folder until it is complete.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from beam_jobs import files, output_state
from beam_jobs.embedding_parts import (
    JSON_SUFFIXES,
    MakePart,
    Part,
    ReadParts,
    Record,
    list_parts,
    read_index,
    read_records,
)
from beam_jobs.record_set import CloseRecords, RecordJob, make_record_set
from beam_jobs.runners import DEFAULT_NUM_WORKERS
from beam_jobs.shard_line import ShardLine, ShardMaker
from beam_jobs.shard_writer import RecordKind, read_shard, write_shard
from pipeline import log_mel_statistics
from pipeline.embedding_records import ClipCounts, decode_clip
from schemas.canonical import digest
from schemas.dataset import FOLDERS, RecordReject, ShardEntry, ShardReport, ShardSpec
from schemas.embedding import UNLABELLED, EmbeddedClip
from schemas.errors import DatasetError, RequestError
from schemas.recipe_embeddings import EmbeddingsRecipe
from schemas.record_set import RecordSet


def _check_clip(clip: EmbeddedClip, entry: ShardEntry, _manifest: Any) -> None:
    if (clip.label is None) != (entry.split == UNLABELLED):
        raise DatasetError(f"{clip.clip_id} has the label {clip.label} and lies in {entry.split}")


CLIPS = RecordKind(
    decode=decode_clip,
    counts=ClipCounts,
    count_made=lambda counts, example: counts.add(example.clip),
    count_stored=lambda counts, clip: counts.add(clip),
    name_of=lambda clip: (clip.clip_id, clip.label is None),
    check=_check_clip,
)


def make_embedding_set(
    recipe: EmbeddingsRecipe,
    out: str,
    *,
    base_dir: str | Path,
    beam_arguments: list[str] | None = None,
    num_workers: int = DEFAULT_NUM_WORKERS,
    overwrite: bool = False,
) -> tuple[RecordSet, bool]:
    """Make the shards of a recipe's clips, go on with half-made ones, or find them complete.

    Args:
        recipe: what to read.
        out: folder or URI.
        base_dir: where the recipe's relative paths start.
        beam_arguments: options for Beam.
        num_workers: local processes, where no runner is named.
        overwrite: replace a set of something else.

    Returns:
        The set, and whether it was there already.

    Raises:
        MaterialError: a path doesn't exist, or has no file that can be read.
        RequestError: the folder holds something else, or the splits can't be made so.
        DatasetError: a file is damaged, or no record can be used.
    """
    data = recipe.data
    parts, fingerprint, num_bytes = list_parts(data, base_dir)
    if data.splits.rule == "shuffled" and not (
        len(parts) == len(parts[0].files) == 1 and parts[0].files[0][0].endswith(JSON_SUFFIXES)
    ):
        raise RequestError(
            "data.splits.rule shuffled, which shuffles the records of one JSON file",
            expected="one material that is one JSON file",
            fix="rule video takes any number of files of any kind",
        )
    num_shards = max(1, -(-num_bytes // data.shard_bytes))
    job = RecordJob(
        out=files.absolute(out),
        task=recipe.task,
        name=recipe.name,
        recipe_json=recipe.model_dump_json(by_alias=True),
        recipe_content=recipe.content(),
        beside={"embedding": log_mel_statistics.VERSION, "files": digest(fingerprint)},
        shards=tuple(
            ShardSpec(split, index, num_shards, 0, 0)
            for split in FOLDERS
            for index in range(num_shards)
        ),
        counted=tuple(ClipCounts().to_json()),
        max_reject_fraction=1.0,
        out_key="data.out",
    )
    line = ShardLine(
        job.shards,
        first=ReadParts(parts, MakePart(job, data.model_dump_json(), num_shards), job.shards),
        make=MakeClipShard(job, parts),
        close=CloseRecords(job),
    )
    made = make_record_set(
        job,
        line,
        beam_arguments=beam_arguments,
        num_workers=num_workers if len(parts) > 1 else 1,
        reads=[path for part in parts for path, _ in part.files],
        overwrite=overwrite,
    )
    files.remove_folder(files.join(job.out, output_state.PARTS_NAME))
    return made


@dataclass(frozen=True)
class StoredClip:
    """A clip's record."""

    record: bytes

    @property
    def pieces(self) -> tuple[bytes]:
        """The record, as a shard's writer takes it."""
        return (self.record,)

    @cached_property
    def clip(self) -> EmbeddedClip:
        """The clip."""
        return decode_clip(self.record)


class MakeClipShard(ShardMaker):
    """ShardSpec → ShardReport, once all parts are there."""

    kind = CLIPS

    def __init__(self, job: RecordJob, parts: Sequence[Part]) -> None:
        super().__init__(job)
        self._parts = parts
        self._indices: list[dict[str, Any]] | None = None

    def read(self, spec: ShardSpec) -> ShardReport:
        """Report on a shard that is there, if it has the clips that the parts have for it."""
        ids = sorted(clip_id for _, where in self._places(spec) for clip_id in where["ids"])
        wanted = [(clip_id, spec.split == UNLABELLED) for clip_id in dict.fromkeys(ids)]
        report = read_shard(spec, out=self._job.out, kind=self.kind, wanted=wanted)
        return replace(report, rejects=_there_twice(ids))

    def write(self, spec: ShardSpec) -> ShardReport:
        """Write a shard; one without a record isn't there."""
        records: list[Record] = []
        for part, where in self._places(spec):
            records += read_records(self._job.out, part, where)
        records.sort()
        if not records:
            return ShardReport(spec.name, spec.split, spec.shard_index, "done")
        first = dict(reversed(records))  # of equal ids the least record
        clips = [StoredClip(first[clip_id]) for clip_id in sorted(first)]
        whole = replace(spec, stop=len(clips))
        report = write_shard(
            whole,
            out=self._job.out,
            source=clips,
            kind=self.kind,
            require=self.require_ours,
        )
        return replace(report, rejects=_there_twice([clip_id for clip_id, _ in records]))

    def _places(self, spec: ShardSpec) -> list[tuple[Part, dict[str, Any]]]:
        """Where each part has records of a shard."""
        if self._indices is None:
            self._indices = [read_index(self._job.out, part)["shards"] for part in self._parts]
        return [
            (part, index[spec.name])
            for part, index in zip(self._parts, self._indices, strict=True)
            if spec.name in index
        ]


def _there_twice(ids: Sequence[str]) -> tuple[RecordReject, ...]:
    """Rejects of all but the first of equal ids, which stand side by side."""
    return tuple(
        RecordReject(clip_id, "there twice")
        for before, clip_id in zip(ids, ids[1:], strict=False)
        if before == clip_id
    )
