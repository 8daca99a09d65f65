"""Clips of embeddings for a network: records to padded frames, mask, label and weight.

    shards (order by seed and epoch) → filled up to whole batches → parse → pad → weights

Frames are float32 as stored, padded with zeros behind; the mask says which are real, so a clip of
six frames is the same clip however long its batch is. `reference` padding is that of
pipeline/embedding_parity.py: in front, cast to integers, and unmasked.

An epoch's last batch is filled up with empty records instead of being left out: they have no
unmasked frame and weight 0, and the others' weights are raised so that the mean is over real clips.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pipeline.input_dataset import ShardSource, read_text, shard_paths
from pipeline.inputs.source import Prepare
from schemas import embedding as names
from schemas.embedding import NUM_DIMENSIONS
from schemas.record_set import RecordSet

Padding = Literal["behind", "reference"]
_MOST_MIXED = 20_000
_READ_AT_ONCE = 512
_NO_LABEL = -1
_SPEC = {
    names.CLIP_ID: tf.io.FixedLenFeature([], tf.string, ""),
    names.VIDEO_ID: tf.io.FixedLenFeature([], tf.string, ""),
    names.LABEL: tf.io.FixedLenFeature([], tf.int64, _NO_LABEL),
    names.NUM_FRAMES: tf.io.FixedLenFeature([], tf.int64, 0),
    names.VALUES: tf.io.RaggedFeature(tf.float32),
}


@dataclass(frozen=True)
class Clips:
    """A split's clips, in stored order.

    Attributes:
        clip_ids, video_ids: of each.
        frames: (N, num_frames, 128) float32.
        mask: (N, num_frames) float32, 1 where a frame is to be looked at.
        labels: (N,) int64, −1 where there is none.
    """

    clip_ids: tuple[str, ...]
    video_ids: tuple[str, ...]
    frames: npt.NDArray[np.float32]
    mask: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]

    def statistics(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return mean and variance, (128,) float32 each, of all unmasked frames."""
        real = self.frames[self.mask > 0].astype(np.float64)
        return real.mean(axis=0).astype(np.float32), real.var(axis=0).astype(np.float32)


class ClipSource:
    """The records of a split, in an order by seed and epoch, filled up to whole batches.

    Args:
        stored: a complete set.
        split: which clips.
        seed: with the epoch it decides the order.
        batch_size: of a global batch.
    """

    def __init__(self, stored: RecordSet, split: str, *, seed: int, batch_size: int) -> None:
        real = stored.num_examples(split)
        self.num_examples = -(-real // batch_size) * batch_size
        self._num_empty = self.num_examples - real
        mixed = max(1, min(real, _MOST_MIXED))
        self._real = ShardSource(stored, split, seed=seed, shuffle_buffer=mixed)

    def records(self, epoch: tf.Tensor) -> tf.data.Dataset:
        """Return () string records, the empty ones last."""
        empty = tf.data.Dataset.from_tensors(tf.constant(b"")).repeat(self._num_empty)
        return self._real.records(epoch).concatenate(empty)


def read_clip_set(data: str) -> RecordSet:
    """Read what a set at a path or URI holds.

    Raises:
        DatasetError: it isn't complete.
    """
    return RecordSet.read(data, read_text, task="embeddings")


def prepare_clips(
    *, num_frames: int, padding: Padding = "behind", positive_weight: float = 1.0
) -> Prepare:
    """Return what makes training batches of records.

    Args:
        num_frames: what clips are padded or cut to.
        padding: where, and how.
        positive_weight: of a clip with label 1.

    Returns:
        (B,) records → ((B, num_frames, 128), (B, num_frames)), (B, 1), (B,), all float32: frames
        and mask, labels, weights.
    """

    def prepare(batch: tf.Tensor, _epoch: tf.Tensor) -> tuple[tuple[tf.Tensor, ...], ...]:
        parsed = tf.io.parse_example(batch, _SPEC)
        labels = tf.cast(tf.maximum(parsed[names.LABEL], 0), tf.float32)
        real = tf.cast(parsed[names.LABEL] != _NO_LABEL, tf.float32)
        raised = tf.cast(tf.shape(real)[0], tf.float32) / tf.maximum(tf.reduce_sum(real), 1.0)
        weights = real * raised * (1.0 + labels * (positive_weight - 1.0))
        return _padded(parsed, num_frames, padding), labels[:, None], weights

    return prepare


def read_clips(
    stored: RecordSet, split: str, *, num_frames: int, padding: Padding = "behind"
) -> Clips:
    """Return all clips of a split.

    Raises:
        DatasetError: a shard isn't there, or the split has no clip.
    """
    columns: list[tuple[npt.NDArray[np.generic], ...]] = []
    records = tf.data.TFRecordDataset(shard_paths(stored, split)).batch(_READ_AT_ONCE)
    for batch in records:
        parsed = tf.io.parse_example(batch, _SPEC)
        frames, mask = _padded(parsed, num_frames, padding)
        columns.append(
            tuple(
                column.numpy()
                for column in (
                    parsed[names.CLIP_ID],
                    parsed[names.VIDEO_ID],
                    frames,
                    mask,
                    parsed[names.LABEL],
                )
            )
        )
    clip_ids, video_ids, frames, mask, labels = (
        np.concatenate(parts) for parts in zip(*columns, strict=True)
    )
    return Clips(
        tuple(name.decode() for name in clip_ids),
        tuple(name.decode() for name in video_ids),
        frames,
        mask,
        labels,
    )


def _padded(
    parsed: dict[str, tf.Tensor], num_frames: int, padding: Padding
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return (B, num_frames, 128) and (B, num_frames) float32: frames and mask."""
    lengths = parsed[names.NUM_FRAMES]
    values = parsed[names.VALUES]
    if padding == "behind":
        flat = values.to_tensor(shape=[None, num_frames * NUM_DIMENSIONS])
        frames = tf.reshape(flat, [-1, num_frames, NUM_DIMENSIONS])
        mask = tf.sequence_mask(tf.minimum(lengths, num_frames), num_frames, tf.float32)
        return frames, mask
    # The end of a clip is the beginning of the reversed one, so this too is padding behind.
    whole = values.to_tensor()
    whole = tf.reshape(whole, [tf.shape(lengths)[0], -1, NUM_DIMENSIONS])
    reversed_ = tf.reverse_sequence(whole, lengths, seq_axis=1)[:, :num_frames]
    missing = num_frames - tf.shape(reversed_)[1]
    frames = tf.reverse(tf.pad(reversed_, [[0, 0], [0, missing], [0, 0]]), [1])
    frames = tf.cast(tf.cast(frames, tf.int32), tf.float32)
    mask = tf.repeat(tf.cast(lengths > 0, tf.float32)[:, None], num_frames, axis=1)
    return tf.ensure_shape(frames, [None, num_frames, NUM_DIMENSIONS]), mask
