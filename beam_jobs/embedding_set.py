"""Clips of embeddings to shards, as a Beam job: JSON, AudioSet's TFRecords and sound, all alike.

    parts (files of one kind) → Reshuffle → read → clip or reject → split by video → record_set.py

All three forms become the same records (pipeline/embedding_records.py). A clip's split follows from
its video alone, so no video is in two of them; what is unlabelled is kept apart, in a split of its
own. A record that is no clip is a reject, by name and reason; a file that can't be read through is
a failure of the job, because nobody knows what was in the rest of it.

No worker loads TensorFlow.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import apache_beam as beam

from beam_jobs import files
from beam_jobs.material_files import AnyFiles
from beam_jobs.record_set import Keyed, RecordJob, failed, make_record_set, rejected, shard_of
from beam_jobs.runners import DEFAULT_NUM_WORKERS
from pipeline import log_mel_statistics
from pipeline.audio_file import AUDIO_SUFFIXES, read_audio, resample, to_mono
from pipeline.embedding_parity import shuffled_split
from pipeline.embedding_records import BadClip, clip_of_json, clip_of_sequence, encode_clip, tally
from pipeline.material import path_from
from pipeline.splits import split_of
from pipeline.tfrecord import RecordReader
from schemas.canonical import digest
from schemas.embedding import UNLABELLED, EmbeddedClip
from schemas.errors import AudioError, DatasetError, MaterialError, RequestError
from schemas.recipe import SPLITS
from schemas.recipe_embeddings import ClipData, ClipMaterial, ClipSplits
from schemas.record_set import RecordSet

_JSON_SUFFIXES, _RECORD_SUFFIXES = (".json",), (".tfrecord", ".tfrecords")
_MOST_FILES, _MOST_BYTES = 64, 32 * 2**20
_LONGEST_S = 60.0


@dataclass(frozen=True, slots=True)
class Part:
    """Files that one worker reads: (path, name in messages), and the index of their material."""

    material: int
    files: tuple[tuple[str, str], ...]


def make_embedding_set(
    data: ClipData,
    *,
    base_dir: str | Path,
    beam_arguments: list[str] | None = None,
    num_workers: int = DEFAULT_NUM_WORKERS,
    overwrite: bool = False,
) -> tuple[RecordSet, bool]:
    """Make the shards of a recipe's clips, or find them complete.

    Args:
        data: the recipe's section.
        base_dir: where its relative paths start.
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
    parts, fingerprint, num_bytes = _listed(data, base_dir)
    if data.splits.rule == "shuffled" and not (
        len(parts) == len(parts[0].files) == 1 and parts[0].files[0][0].endswith(_JSON_SUFFIXES)
    ):
        raise RequestError(
            "data.splits.rule shuffled, which shuffles the records of one JSON file",
            expected="one material that is one JSON file",
            fix="rule video takes any number of files of any kind",
        )
    settings = data.model_dump(mode="json", exclude={"out"})
    job = RecordJob(
        out=files.absolute(path_from(base_dir, data.out)),
        made_from=digest([log_mel_statistics.VERSION, settings, fingerprint]),
        splits=(*SPLITS, UNLABELLED),
        tally=tally,
        about={"data": settings},
    )
    read = ReadPart(data.model_dump_json(), max(1, -(-num_bytes // data.shard_bytes)))
    return make_record_set(
        job,
        _ReadParts(parts, read),
        num_parts=len(parts),
        places=[path for part in parts for path, _ in part.files],
        beam_arguments=beam_arguments,
        num_workers=num_workers if len(parts) > 1 else 1,
        overwrite=overwrite,
    )


class _ReadParts(beam.PTransform):
    """A pipeline's beginning → Keyed."""

    def __init__(self, parts: list[Part], read: ReadPart) -> None:
        super().__init__()
        self._parts, self._read = parts, read

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:
        return (
            begin
            | "Parts" >> beam.Create(self._parts)  # Part
            | "Spread" >> beam.Reshuffle()
            | "Read" >> beam.ParDo(self._read)  # Keyed
        )


class ReadPart(beam.DoFn):
    """Part → Keyed: a record for each clip, a reject for what is none.

    Args:
        data_json: the recipe's section.
        num_shards: that each split may have.
    """

    def __init__(self, data_json: str, num_shards: int) -> None:
        self._data_json = data_json
        self._num_shards = num_shards

    def setup(self) -> None:
        """Parse the section once a worker."""
        self._data = ClipData.model_validate_json(self._data_json)
        self._system = AnyFiles()

    def process(self, part: Part) -> Iterator[Keyed]:
        """Read all files of a part."""
        material = self._data.material[part.material]
        for path, name in part.files:
            try:
                for place, split, found in self._read(path, name, material):
                    yield self._keyed(place, split, found)
            except (DatasetError, OSError, ValueError) as error:
                yield failed(name, error)

    def _keyed(self, place: str, split: str | None, found: EmbeddedClip | BadClip) -> Keyed:
        if isinstance(found, BadClip):
            return rejected(place, found.reason, found.detail)
        if found.label is None:
            split = UNLABELLED
        split = split or split_of_video(found.video_id, self._data.splits)
        shard = shard_of(found.video_id, split, self._num_shards)
        return shard, (found.clip_id, encode_clip(found))

    def _read(
        self, path: str, name: str, material: ClipMaterial
    ) -> Iterator[tuple[str, str | None, EmbeddedClip | BadClip]]:
        """Yield (place, split where it isn't the video's, clip or why there is none)."""
        if path.lower().endswith(_JSON_SUFFIXES):
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
        elif path.lower().endswith(_RECORD_SUFFIXES):
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


def _listed(data: ClipData, base_dir: str | Path) -> tuple[list[Part], list[Any], int]:
    """Return the parts, what tells that a file has changed, and the bytes of all files."""
    system = AnyFiles()
    suffixes = (*_JSON_SUFFIXES, *_RECORD_SUFFIXES, *AUDIO_SUFFIXES)
    parts: list[Part] = []
    fingerprint: list[Any] = []
    total = 0
    for index, material in enumerate(data.material):
        root = path_from(base_dir, material.path)
        try:
            found = system.listing(root)
        except FileNotFoundError as error:
            raise MaterialError(
                f"data.material {material.path!r} does not exist (looked at {root})",
                fix="correct the path; relative ones start at the recipe's folder",
            ) from error
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
                parts.append(Part(index, tuple(batch)))
                batch, size = [], 0
            batch.append((file.path, prefix + file.relative))
            size += file.num_bytes
            total += file.num_bytes
            fingerprint.append([index, file.relative, file.num_bytes, file.stamp])
        parts.append(Part(index, tuple(batch)))
    return parts, fingerprint, total
