"""Scene records made by hand, and a source of them in an order by seed and epoch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from schemas import example as names

Event = tuple[int, int, str, str]
"""Onset, offset, label, kind."""


def record(name: str, audio: np.ndarray, events: Sequence[Event] = ()) -> bytes:
    """Return a tf.train.Example of (n,) float audio in ±1."""

    def texts(values: Sequence[str]) -> tf.train.Feature:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[v.encode() for v in values]))

    def integers(values: Sequence[int]) -> tf.train.Feature:
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    pcm = np.rint(audio * 32768).clip(-32768, 32767).astype("<i2").tobytes()
    feature = {
        names.EXAMPLE_ID: texts([name]),
        names.AUDIO_ENCODED: tf.train.Feature(bytes_list=tf.train.BytesList(value=[pcm])),
        names.EVENTS_ONSET_SAMPLES: integers([e[0] for e in events]),
        names.EVENTS_OFFSET_SAMPLES: integers([e[1] for e in events]),
        names.EVENTS_LABEL: texts([e[2] for e in events]),
        names.EVENTS_KIND: texts([e[3] for e in events]),
        names.EVENTS_SOURCE: texts(["clip"] * len(events)),
        names.EVENTS_SNR_DB: tf.train.Feature(
            float_list=tf.train.FloatList(value=[0.0] * len(events))
        ),
    }
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


class Records:
    """An ExampleSource of records in memory."""

    def __init__(self, records: Sequence[bytes], seed: int = 0) -> None:
        self.num_examples = len(records)
        self._records, self._seed = tf.constant(list(records)), seed

    def records(self, epoch: tf.Tensor) -> tf.data.Dataset:
        key = tf.stack([tf.constant(self._seed, tf.int64), epoch])
        order = tf.random.experimental.stateless_shuffle(self._records, seed=key)
        return tf.data.Dataset.from_tensor_slices(order)
