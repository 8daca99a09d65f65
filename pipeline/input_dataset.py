"""Scenes for a network: read from shards or rendered live, decoded, labelled.

    shards (order by seed and epoch) → interleave → shuffle → (inputs.source.batches)
      → parse → decode → augment → features (the model's own front end) and labels from events

Keras is not imported; the front end is handed in.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from pipeline.augmentation import Augmenter
from pipeline.frame_labels import LabelRule
from pipeline.inputs.source import Prepare
from pipeline.inputs.step_labels import Events, step_labels
from pipeline.scene_source import SceneSource
from schemas import example as names
from schemas.detection import ReferenceEvent
from schemas.errors import DatasetError
from schemas.stored_dataset import ShardedSet, StoredDataset
from schemas.units import FULL_SCALE

_CYCLE = 8
_SPEC = {
    names.EXAMPLE_ID: tf.io.FixedLenFeature([], tf.string),
    names.AUDIO_ENCODED: tf.io.FixedLenFeature([], tf.string),
    names.EVENTS_ONSET_SAMPLES: tf.io.RaggedFeature(tf.int64),
    names.EVENTS_OFFSET_SAMPLES: tf.io.RaggedFeature(tf.int64),
    names.EVENTS_LABEL: tf.io.RaggedFeature(tf.string),
    names.EVENTS_KIND: tf.io.RaggedFeature(tf.string),
    names.EVENTS_SOURCE: tf.io.RaggedFeature(tf.string),
    names.EVENTS_SNR_DB: tf.io.RaggedFeature(tf.float32),
}


def read_dataset(data: str) -> StoredDataset:
    """Read what a data set at a path or URI holds.

    Raises:
        DatasetError: it isn't complete.
    """
    return StoredDataset.read(data, read_text)


def read_text(path: str) -> str | None:
    """Return the contents of a small file at a path or URI, or None where there is none."""
    know_stores(path)
    try:
        if not tf.io.gfile.exists(path):
            return None
        with tf.io.gfile.GFile(path) as file:
            return str(file.read())
    except tf.errors.OpError as error:
        raise DatasetError(
            f"TensorFlow can't read {path}: {str(error.message).strip()[:300]}",
            fix="docs/scale.md says what it needs for each store; hdfs:// needs Hadoop's libhdfs",
        ) from error


def know_stores(path: str) -> None:
    """Let tf.io.gfile open s3:// and hdfs://, which come with tensorflow-io.

    Its S3 client has variables of its own; where AWS's name another endpoint it follows them.
    """
    if path.split("://", 1)[0] not in ("s3", "hdfs"):
        return
    import tensorflow_io  # noqa: F401  registers them

    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        os.environ.setdefault("S3_ENDPOINT", endpoint)
        os.environ.setdefault("S3_USE_HTTPS", str(int(endpoint.startswith("https"))))
        os.environ.setdefault("S3_VERIFY_SSL", str(int(endpoint.startswith("https"))))


def shard_paths(stored: ShardedSet, split: str) -> list[str]:
    """Return the paths of a split's shards, of all generations.

    Raises:
        DatasetError: a shard isn't there or has another size, or the split has no example.
    """
    wanted = stored.shards(split)
    for path, shard in wanted:
        there = tf.io.gfile.stat(path).length if tf.io.gfile.exists(path) else None
        if there != shard.num_bytes:
            raise DatasetError(
                f"{path} is missing" if there is None else f"{path} has {there} bytes",
                expected=f"{shard.num_bytes} bytes, as the manifest says",
                fix="run `wakebeam synth` to make such shards anew",
            )
    if not wanted:
        raise DatasetError(f"{stored.location} has no {split} examples")
    return [path for path, _ in wanted]


class ShardSource:
    """The records of a data set's split: shards in an order by seed and epoch, mixed as they come.

    Args:
        stored: a complete data set.
        split: which examples.
        seed: with the epoch it decides the order.
        shuffle_buffer: examples that are mixed.
    """

    def __init__(
        self, stored: ShardedSet, split: str, *, seed: int, shuffle_buffer: int = 64
    ) -> None:
        self.num_examples = stored.num_examples(split)
        self._paths = tf.constant(shard_paths(stored, split))
        self._seed = seed
        self._buffer = shuffle_buffer

    def records(self, epoch: tf.Tensor) -> tf.data.Dataset:
        """Return () string records, each a `tf.train.Example`."""
        key = tf.stack([tf.constant(self._seed, tf.int64), epoch])
        order = tf.random.experimental.stateless_shuffle(self._paths, seed=key)
        records = tf.data.Dataset.from_tensor_slices(order).interleave(
            tf.data.TFRecordDataset,
            cycle_length=_CYCLE,
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
        mixing = tf.random.stateless_uniform([], key, None, None, tf.int64)
        return records.shuffle(self._buffer, seed=mixing, reshuffle_each_iteration=False)


class LiveSource:
    """The same records without shards, rendered on the way.

    An example's place in an epoch is a pure function of (seed, epoch), another one than
    `ShardSource` has.
    """

    def __init__(self, scenes: SceneSource, *, seed: int) -> None:
        self.num_examples = len(scenes)
        self._scenes = scenes
        self._seed = seed

    def records(self, epoch: tf.Tensor) -> tf.data.Dataset:
        """Return () string records, each a `tf.train.Example`."""
        key = tf.stack([tf.constant(self._seed, tf.int64), epoch])
        indices = tf.range(self.num_examples, dtype=tf.int64)
        order = tf.random.experimental.stateless_shuffle(indices, seed=key)

        def record(index: np.int64) -> bytes:
            return self._scenes[int(index)].record

        return tf.data.Dataset.from_tensor_slices(order).map(
            lambda index: tf.ensure_shape(tf.numpy_function(record, [index], tf.string), [])
        )


def prepare_scenes(
    feature_fn: Callable[[tf.Tensor], tf.Tensor],
    rule: LabelRule,
    *,
    encoding: str,
    example_samples: int,
    augmenter: Augmenter | None = None,
) -> Prepare:
    """Return what makes training batches of scene records.

    Args:
        feature_fn: (B, num_samples) float32 → (B, frames, features), e.g. the model's front end.
        rule: how events become labels.
        encoding: of the audio.
        example_samples: of every example.
        augmenter: changes sounds, events and features; for mixup the records come in pairs.

    Returns:
        (B,) records → ((B, frames, features), (B, steps, labels), (B, steps)) float32.
    """

    def heard(records: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, Events]:
        parsed = tf.io.parse_example(records, _SPEC)
        audio = _decode(parsed[names.AUDIO_ENCODED], encoding, example_samples)
        return parsed[names.EXAMPLE_ID], audio, Events.of(parsed)

    def prepare(batch: Any, epoch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        records, *others = batch if isinstance(batch, tuple) else (batch,)
        ids, audio, events = heard(records)
        if augmenter is None:
            return feature_fn(audio), *step_labels(events, rule)
        keys = augmenter.keys(ids, epoch)
        before = heard(others[0])[1:] if others else None
        audio, events = augmenter.sounds(keys, audio, events, before)
        return augmenter.features(keys, feature_fn(audio)), *step_labels(events, rule)

    return prepare


def judged_examples(
    stored: StoredDataset, *, split: str, batch_size: int
) -> Iterator[tuple[list[str], Any, list[tuple[ReferenceEvent, ...]]]]:
    """Yield (example ids, audio (B, num_samples) float32, events of each) in stored order."""
    paths = shard_paths(stored, split)
    batches = tf.data.TFRecordDataset(paths).batch(batch_size).prefetch(2)
    rate = stored.sample_rate_hz
    for batch in batches:
        parsed = tf.io.parse_example(batch, _SPEC)
        audio = _decode(parsed[names.AUDIO_ENCODED], stored.encoding, stored.example_samples)
        columns = (
            parsed[names.EVENTS_ONSET_SAMPLES].to_list(),
            parsed[names.EVENTS_OFFSET_SAMPLES].to_list(),
            parsed[names.EVENTS_LABEL].to_list(),
            parsed[names.EVENTS_KIND].to_list(),
            parsed[names.EVENTS_SNR_DB].to_list(),
            parsed[names.EVENTS_SOURCE].to_list(),
        )
        events = [
            tuple(
                ReferenceEvent(
                    on / rate, off / rate, label.decode(), kind.decode(), snr, s.decode()
                )
                for on, off, label, kind, snr, s in zip(*row, strict=True)
            )
            for row in zip(*columns, strict=True)
        ]
        ids = [name.decode() for name in parsed[names.EXAMPLE_ID].numpy()]
        yield ids, audio, events


def backgrounds_of(stored: StoredDataset, split: str) -> dict[str, str]:
    """Return {example id: the recording that lies under it}; of several the first."""
    spec = {
        names.EXAMPLE_ID: tf.io.FixedLenFeature([], tf.string),
        names.BACKGROUND_SOURCE: tf.io.RaggedFeature(tf.string),
    }
    found: dict[str, str] = {}
    for batch in tf.data.TFRecordDataset(shard_paths(stored, split)).batch(64):
        parsed = tf.io.parse_example(batch, spec)
        sources = parsed[names.BACKGROUND_SOURCE].to_list()
        for name, under in zip(parsed[names.EXAMPLE_ID].numpy(), sources, strict=True):
            found[name.decode()] = under[0].decode() if under else ""
    return found


def _decode(encoded: tf.Tensor, encoding: str, num_samples: int) -> tf.Tensor:
    """(B,) bytes → (B, num_samples) float32 in ±1."""
    if encoding == "pcm16":
        pcm = tf.io.decode_raw(encoded, tf.int16, little_endian=True)
    else:
        import tensorflow_io as tfio

        def one(data: tf.Tensor) -> tf.Tensor:
            return tfio.audio.decode_flac(data, dtype=tf.int16)[:, 0]

        pcm = tf.map_fn(one, encoded, fn_output_signature=tf.TensorSpec([None], tf.int16))
    audio = tf.cast(tf.ensure_shape(pcm, [None, num_samples]), tf.float32)
    return audio / FULL_SCALE
