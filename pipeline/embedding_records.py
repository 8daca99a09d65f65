"""Clips of embeddings from the forms that they are published in, and as records of our own.

Two forms are read: a JSON record (`vid_id`, start and end in seconds, a label, `audio_embedding`:
a list of frames) and AudioSet's `tf.train.SequenceExample` (`video_id`, `start_time_seconds`,
`end_time_seconds`, `labels`; `audio_embedding`: 128 bytes a frame). The same clip gives the same
record both ways. Numbers are kept as float32, never rounded to integers.

What isn't a clip is refused by one of a few reasons (`BadClip`), so that they can be counted.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from pipeline import tf_example_pb2
from schemas import embedding as names
from schemas.embedding import NUM_DIMENSIONS, EmbeddedClip
from schemas.errors import DatasetError

_VIDEO, _START, _END = "video_id", "start_time_seconds", "end_time_seconds"
_JSON_VIDEO = "vid_id"
_JSON_START = "start_time_seconds_youtube_clip"
_JSON_END = "end_time_seconds_youtube_clip"
_EMBEDDING = "audio_embedding"
_LABELS = {None: names.UNLABELLED, 0: "negative", 1: "positive"}


class BadClip(DatasetError):
    """A record is no clip.

    Attributes:
        reason: one of a few.
        detail: what was found.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason, self.detail = reason, detail


def clip_of_json(record: Any, label_field: str) -> EmbeddedClip:
    """Return the clip of a JSON record.

    Args:
        record: as parsed.
        label_field: the key that holds 0 or 1; without it the clip is unlabelled.

    Raises:
        BadClip: it isn't one.
    """
    if not isinstance(record, Mapping):
        raise BadClip("not a record", f"{type(record).__name__} instead of an object")
    missing = [k for k in (_JSON_VIDEO, _JSON_START, _JSON_END, _EMBEDDING) if k not in record]
    if missing:
        raise BadClip("missing field", ", ".join(missing))
    label = record.get(label_field)
    if label is not None and (not isinstance(label, int) or label not in (0, 1)):
        raise BadClip("wrong label", f"{label_field} is {label!r}, neither 0 nor 1")
    rows = record[_EMBEDDING]
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise BadClip("wrong dimensions", f"{_EMBEDDING} is no list of frames")
    lengths = sorted({len(row) for row in rows} - {NUM_DIMENSIONS})
    if lengths:
        raise BadClip("wrong dimensions", f"a frame of {lengths[0]} numbers")
    if any(isinstance(x, bool) or not isinstance(x, int | float) for row in rows for x in row):
        raise BadClip("not a number", _EMBEDDING)
    return _checked(record[_JSON_VIDEO], record[_JSON_START], record[_JSON_END], label, rows)


def clip_of_sequence(data: bytes, positive_labels: Collection[int]) -> EmbeddedClip:
    """Return the clip of a serialised `tf.train.SequenceExample` of AudioSet.

    Args:
        data: the record.
        positive_labels: AudioSet's numbers of the sound. A clip has label 1 if it has one of them,
            0 if it has others only, and is unlabelled if it has none at all.

    Raises:
        BadClip: it isn't one.
    """
    message = tf_example_pb2.SequenceExample()
    try:
        message.ParseFromString(data)
    except DecodeError as error:
        raise BadClip("not a record", str(error)) from error
    context, lists = message.context.feature, message.feature_lists.feature_list
    missing = [name for name in (_VIDEO, _START, _END) if name not in context]
    missing += [] if _EMBEDDING in lists else [_EMBEDDING]
    if missing:
        raise BadClip("missing field", ", ".join(missing))
    labels = set(context["labels"].int64_list.value) if "labels" in context else set()
    rows = [b"".join(feature.bytes_list.value) for feature in lists[_EMBEDDING].feature]
    wrong = sorted({len(row) for row in rows} - {NUM_DIMENSIONS})
    if wrong:
        raise BadClip("wrong dimensions", f"a frame of {wrong[0]} bytes")
    video = b"".join(context[_VIDEO].bytes_list.value).decode("utf-8", "backslashreplace")
    start, end = (_only_number(context[name]) for name in (_START, _END))
    frames = np.frombuffer(b"".join(rows), np.uint8).reshape(-1, NUM_DIMENSIONS)
    label = int(bool(labels & set(positive_labels))) if labels else None
    return _checked(video, start, end, label, frames)


def encode_clip(clip: EmbeddedClip) -> bytes:
    """Serialise a clip as a `tf.train.Example`; the same clip gives the same bytes."""
    example = tf_example_pb2.Example()
    feature = example.features.feature
    feature[names.CLIP_ID].bytes_list.value.append(clip.clip_id.encode())
    feature[names.VIDEO_ID].bytes_list.value.append(clip.video_id.encode())
    feature[names.START_S].float_list.value.append(clip.start_s)
    feature[names.END_S].float_list.value.append(clip.end_s)
    feature[names.LABEL].int64_list.value.extend([] if clip.label is None else [clip.label])
    feature[names.NUM_FRAMES].int64_list.value.append(len(clip.frames))
    feature[names.VALUES].float_list.value.extend(clip.frames.ravel())
    return bytes(example.SerializeToString(deterministic=True))


def decode_clip(data: bytes) -> EmbeddedClip:
    """Parse a record of ours.

    Raises:
        DatasetError: it isn't one.
    """
    example = tf_example_pb2.Example()
    try:
        example.ParseFromString(data)
        get = example.features.feature
        label = list(get[names.LABEL].int64_list.value)
        values = np.array(get[names.VALUES].float_list.value, np.float32)
        return EmbeddedClip(
            clip_id=get[names.CLIP_ID].bytes_list.value[0].decode(),
            video_id=get[names.VIDEO_ID].bytes_list.value[0].decode(),
            start_s=get[names.START_S].float_list.value[0],
            end_s=get[names.END_S].float_list.value[0],
            label=label[0] if label else None,
            frames=values.reshape(get[names.NUM_FRAMES].int64_list.value[0], NUM_DIMENSIONS),
        )
    except (DecodeError, IndexError, ValueError) as error:
        raise DatasetError(f"a record is no embedded clip of ours: {error}") from error


class ClipCounts:
    """What a shard of clips holds, in counts that add up."""

    def __init__(self) -> None:
        self._labels: Counter[str] = Counter()

    def add(self, clip: EmbeddedClip) -> None:
        """Count a clip as `positive`, `negative` or `unlabelled`."""
        self._labels[_LABELS[clip.label]] += 1

    def to_json(self) -> dict[str, dict[str, int]]:
        """Return {name: {key: number}}."""
        return {"labels": dict(sorted(self._labels.items()))}


def _checked(video: Any, start: Any, end: Any, label: int | None, rows: Any) -> EmbeddedClip:
    if not isinstance(video, str) or not video.isprintable() or not video.strip():
        raise BadClip("wrong video id", repr(video)[:80])
    for second in (start, end):
        if isinstance(second, bool) or not isinstance(second, int | float):
            raise BadClip("not a number", f"a time of {second!r}")
    try:
        start, end = float(start), float(end)
        with np.errstate(over="ignore"):  # what float32 can't hold becomes infinite
            frames = np.asarray(rows, np.float32).reshape(len(rows), NUM_DIMENSIONS)
    except OverflowError as error:
        raise BadClip("not finite", str(error)) from error
    if not (math.isfinite(start) and math.isfinite(end) and start < end):
        raise BadClip("wrong times", f"from {start} to {end} s")
    if not len(frames):
        raise BadClip("no frames")
    if not np.isfinite(frames).all():
        raise BadClip("not finite", "a number is NaN or infinite")
    return EmbeddedClip(f"{video}@{start:g}", video, start, end, label, frames)


def _only_number(feature: Any) -> float | None:
    values = [*feature.float_list.value, *feature.int64_list.value]
    return values[0] if len(values) == 1 else None
