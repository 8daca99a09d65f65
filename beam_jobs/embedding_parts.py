"""Files of clips to parts, a worker for each: JSON, AudioSet's TFRecords and sound, all alike.

A part is some files. What they hold is written as records (pipeline/embedding_records.py), sorted
by the shard that they will go to, with an index behind it: where each shard's records begin, their
ids, and what was left out. The index is written last, so a part that a killed job had made is kept.

A clip's split and shard follow from its video alone, so no video is in two of them; what is
unlabelled is kept apart, in a split of its own. A record that is no clip is a reject, by name and
reason; a file that can't be read through is a failure of the job, because nobody knows what was in
the rest of it.

No worker loads TensorFlow.
"""

from __future__ import annotations

import io
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import apache_beam as beam

from beam_jobs import files, output_state
from beam_jobs.gathering import as_list
from beam_jobs.job import ShardJob
from beam_jobs.material_files import AnyFiles
from beam_jobs.shard_line import failed
from pipeline import log_mel_statistics
from pipeline.audio_file import AUDIO_SUFFIXES, read_audio, resample, to_mono
from pipeline.embedding_parity import shuffled_split
from pipeline.embedding_records import BadClip, clip_of_json, clip_of_sequence, encode_clip
from pipeline.material import listed
from pipeline.splits import group_position, split_of
from pipeline.tfrecord import RecordReader, RecordWriter
from schemas.dataset import RecordReject, ShardReport, ShardSpec
from schemas.embedding import UNLABELLED, EmbeddedClip
from schemas.errors import AudioError, DatasetError, MaterialError
from schemas.recipe_embeddings import ClipData, ClipMaterial, ClipSplits

JSON_SUFFIXES, RECORD_SUFFIXES = (".json",), (".tfrecord", ".tfrecords")
_MOST_FILES, _MOST_BYTES = 64, 32 * 2**20
_LONGEST_S = 60.0
Record = tuple[str, bytes]
"""Clip id and what a shard stores."""


@dataclass(frozen=True, slots=True)
class Part:
    """Files that one worker reads: (path, name in messages), and the index of their material."""

    index: int
    material: int
    files: tuple[tuple[str, str], ...]

    @property
    def name(self) -> str:
        """Path inside the data set while it is made."""
        return f"{output_state.PARTS_NAME}/part-{self.index:05d}"


def list_parts(data: ClipData, base_dir: str | Path) -> tuple[list[Part], list[Any], int]:
    """Return the parts, what tells that a file has changed, and the bytes of all files.

    Raises:
        MaterialError: a path doesn't exist, or has no file that can be read.
    """
    system = AnyFiles()
    suffixes = (*JSON_SUFFIXES, *RECORD_SUFFIXES, *AUDIO_SUFFIXES)
    parts: list[Part] = []
    fingerprint: list[Any] = []
    total = 0
    for index, material in enumerate(data.material):
        root, found = listed(material.path, base_dir, system, what="data.material")
        found = sorted(
            (f for f in found if f.relative.lower().endswith(suffixes)), key=lambda f: f.relative
        )
        if not found:
            raise MaterialError(
                f"data.material {material.path!r} has no file that can be read",
                expected="names that end in .json, .tfrecord or like sound",
            )
        prefix = "" if files.name_of(root) == found[0].relative else f"{system.true_name(root)}/"
        batch: list[tuple[str, str]] = []
        size = 0
        for file in found:
            if batch and (len(batch) == _MOST_FILES or size + file.num_bytes > _MOST_BYTES):
                parts.append(Part(len(parts), index, tuple(batch)))
                batch, size = [], 0
            batch.append((file.path, prefix + file.relative))
            size += file.num_bytes
            total += file.num_bytes
            fingerprint.append([index, file.relative, file.num_bytes, file.stamp])
        parts.append(Part(len(parts), index, tuple(batch)))
    return parts, fingerprint, total


class ReadParts(beam.PTransform):
    """A pipeline's beginning → the reports of all parts and, if all are there, the ShardSpecs."""

    def __init__(self, parts: Sequence[Part], read: MakePart, shards: Sequence[ShardSpec]) -> None:
        super().__init__()
        self._parts, self._read, self._shards = parts, read, shards

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:
        """Add the steps."""
        return (
            begin
            | "Parts" >> beam.Create(self._parts)  # Part
            | "Spread parts" >> beam.Reshuffle()
            | "Make parts" >> beam.ParDo(self._read)  # ShardReport
            | "Gather parts" >> beam.CombineGlobally(as_list).without_defaults()
            | "To shards" >> beam.FlatMap(_then, self._shards)  # ShardReport or ShardSpec
        )


def _then(reports: list[ShardReport], shards: Sequence[ShardSpec]) -> list[ShardReport | ShardSpec]:
    failures = [report for report in reports if report.status == "failed"]
    return [*failures] if failures else [*reports, *shards]


class MakePart(beam.DoFn):
    """Part → ShardReport without a split, when the part's records and its index are there.

    Args:
        job: what it is part of.
        data_json: the recipe's section.
        num_shards: of each split.
    """

    def __init__(self, job: ShardJob, data_json: str, num_shards: int) -> None:
        self._job = job
        self._data_json = data_json
        self._num_shards = num_shards

    def setup(self) -> None:
        """Parse the section once a worker."""
        self._data = ClipData.model_validate_json(self._data_json)
        self._system = AnyFiles()

    def process(self, part: Part) -> Iterator[ShardReport]:
        """Make a part, unless it is there."""
        if not files.exists(files.join(self._job.out, _index_name(part))):
            failures = self._make(part)
            if failures:
                yield from failures
                return
        rejects = tuple(RecordReject(**row) for row in read_index(self._job.out, part)["rejects"])
        yield ShardReport(part.name, "", part.index, "done", rejects=rejects)

    def _make(self, part: Part) -> list[ShardReport]:
        """Read all files and write what they hold; return reports of those that can't be read."""
        output_state.require_ours(self._job)
        material = self._data.material[part.material]
        by_shard: dict[str, list[Record]] = defaultdict(list)
        rejects: list[RecordReject] = []
        failures: list[ShardReport] = []
        for path, name in part.files:
            try:
                for place, split, found in self._read(path, name, material):
                    if isinstance(found, BadClip):
                        rejects.append(RecordReject(place, found.reason, found.detail))
                    else:
                        by_shard[self._shard(split, found)].append(
                            (found.clip_id, encode_clip(found))
                        )
            except (DatasetError, OSError, ValueError) as error:
                failures.append(failed(error, name, "", part.index))
        if failures:
            return failures
        index: dict[str, Any] = {}
        with files.replace_atomically(files.join(self._job.out, part.name)) as file:
            writer = RecordWriter(file)
            for shard, records in sorted(by_shard.items()):
                start = writer.num_bytes
                for _, record in records:
                    writer.write(record)
                ids = [clip_id for clip_id, _ in records]
                index[shard] = {"start": start, "stop": writer.num_bytes, "ids": ids}
        rows = {"shards": index, "rejects": [asdict(reject) for reject in rejects]}
        files.write_text(files.join(self._job.out, _index_name(part)), json.dumps(rows))
        return []

    def _shard(self, split: str | None, clip: EmbeddedClip) -> str:
        """The shard that all clips of a video go to: its hash decides."""
        if clip.label is None:
            split = UNLABELLED
        split = split or split_of_video(clip.video_id, self._data.splits)
        index = int(group_position(f"shard {clip.video_id}") * self._num_shards)
        return ShardSpec(split, index, self._num_shards, 0, 0).name

    def _read(
        self, path: str, name: str, material: ClipMaterial
    ) -> Iterator[tuple[str, str | None, EmbeddedClip | BadClip]]:
        """Yield (place, split where it isn't the video's, clip or why there is none)."""
        if path.lower().endswith(JSON_SUFFIXES):
            records = json.loads(files.read_text(path))
            if not isinstance(records, list):
                raise DatasetError(f"{name} holds {type(records).__name__}", expected="a list")
            held_out: set[int] = set()
            if self._data.splits.rule == "shuffled":
                held_out = set(shuffled_split(len(records))[1].tolist())
            for i, record in enumerate(records):
                split = None
                if self._data.splits.rule == "shuffled":
                    split = "validation" if i in held_out else "train"
                clip = _or_bad(clip_of_json, record, self._data.label_field)
                yield f"{name}#{i}", split, _labelled(clip, material)
        elif path.lower().endswith(RECORD_SUFFIXES):
            positive = self._data.positive_labels
            with files.open_bytes(path) as file:
                for i, record in enumerate(RecordReader(file, name)):
                    clip = _or_bad(clip_of_sequence, record, positive)
                    yield f"{name}#{i}", None, _labelled(clip, material)
        else:
            yield name, None, _or_bad(self._embedded, path, name, material)

    def _embedded(self, path: str, name: str, material: ClipMaterial) -> EmbeddedClip:
        source = name.rpartition(".")[0]
        if material.source_pattern is not None:
            match = re.search(material.source_pattern, name)
            if match is None or not match[1]:
                raise BadClip("no source", "source_pattern does not match the path")
            source = match[1]
        try:
            with self._system.local_copy(path) as copy:
                x, rate_hz = read_audio(copy)
        except AudioError as error:
            raise BadClip("not sound", str(error)) from error
        length_s = len(x) / rate_hz
        if length_s > _LONGEST_S:
            raise BadClip("too long", f"{length_s:.0f} s; cut it into clips of up to 60 s")
        frames = log_mel_statistics.embed(
            resample(to_mono(x), rate_hz, log_mel_statistics.RATE_HZ),
            frame_s=self._data.frame_s,
            hop_s=self._data.hop_s,
        )
        label = material.label
        if material.positive_pattern is not None:
            label = 1 if re.search(material.positive_pattern, name) else 0
        return EmbeddedClip(name, source, 0.0, length_s, label, frames)


def read_index(out: str, part: Part) -> dict[str, Any]:
    """Return a part's `shards`: {name: start and stop in bytes, ids}, and its `rejects`."""
    return dict(json.loads(files.read_text(files.join(out, _index_name(part)))))


def read_records(out: str, part: Part, where: dict[str, Any]) -> list[Record]:
    """Return the records of a part that go to one shard; `where` is its row in the index."""
    with files.open_bytes(files.join(out, part.name)) as file:
        file.seek(where["start"])
        data = file.read(where["stop"] - where["start"])
    return list(zip(where["ids"], RecordReader(io.BytesIO(data), part.name), strict=True))


def split_of_video(video_id: str, splits: ClipSplits) -> str:
    """Return the split that a video's clips go to, by its name alone."""
    if splits.test_pattern is None:
        return split_of(video_id, splits)
    if re.search(splits.test_pattern, video_id):
        return "test"
    rest = splits.train + splits.validation
    shares = {"train": splits.train / rest, "validation": 1 - splits.train / rest, "test": 0.0}
    return split_of(video_id, splits.model_copy(update=shares))


def _or_bad(make: Callable[..., EmbeddedClip], *given: Any) -> EmbeddedClip | BadClip:
    try:
        return make(*given)
    except BadClip as error:
        return error


def _labelled(clip: EmbeddedClip | BadClip, material: ClipMaterial) -> EmbeddedClip | BadClip:
    """The material's label stands above the file's."""
    if isinstance(clip, BadClip) or material.label is None:
        return clip
    return replace(clip, label=material.label)


def _index_name(part: Part) -> str:
    return f"{part.name}.json"
