"""Pairs of texts for a network: the records of shards as rows of character indices.

    records → parse → code points → cut or padded behind to a fixed length → indices → one-hot

The vocabulary is the sorted characters of the training texts, then `<unk>`, then `<pad>`. Training
and inference go through the same function. Keras is not imported.
"""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from pipeline.input_dataset import read_text, shard_paths
from pipeline.inputs.source import Prepare
from schemas.errors import DatasetError
from schemas.pairs import DATE, EXAMPLE_ID, FORMAT, LOCALE, TEXT
from schemas.record_set import RecordSet

DATE_CHARACTERS = "-0123456789"
DATE_LENGTH = 10
_SPEC = {
    name: tf.io.FixedLenFeature([], tf.string) for name in (EXAMPLE_ID, TEXT, DATE, LOCALE, FORMAT)
}
_END = -1  # no code point


@dataclass(frozen=True)
class Vocabulary:
    """Which characters a network knows.

    Attributes:
        characters: sorted, no two alike, at least one.
    """

    characters: str

    def __post_init__(self) -> None:
        if not self.characters or list(self.characters) != sorted(set(self.characters)):
            raise DatasetError(
                f"a vocabulary of the characters {self.characters!r}",
                expected="one or more, sorted, each once",
            )

    @property
    def unknown(self) -> int:
        """Index of `<unk>`."""
        return len(self.characters)

    @property
    def padding(self) -> int:
        """Index of `<pad>`."""
        return len(self.characters) + 1

    @property
    def size(self) -> int:
        """Indices in all."""
        return len(self.characters) + 2

    def indices(self, texts: tf.Tensor, length: int) -> tf.Tensor:
        """Return what stands where: (B,) UTF-8 texts → (B, length) int32."""
        points = tf.strings.unicode_decode(texts, "UTF-8")
        points = points.to_tensor(_END, shape=[None, length])  # cut, or padded behind
        known = tf.constant([ord(c) for c in self.characters], tf.int32)
        place = tf.minimum(tf.searchsorted(known, tf.reshape(points, [-1])), len(known) - 1)
        place = tf.reshape(place, tf.shape(points))
        found = tf.where(tf.gather(known, place) == points, place, self.unknown)
        return tf.ensure_shape(tf.where(points == _END, self.padding, found), [None, length])


def read_pairs(data: str) -> RecordSet:
    """Read what a data set of pairs at a path or URI holds.

    Raises:
        DatasetError: it isn't complete, or holds something else.
    """
    return RecordSet.read(data, read_text, task="dates")


def characters_of(stored: RecordSet) -> str:
    """Return all characters of the training texts, sorted."""
    return "".join(sorted(stored.counts["train"]["characters"]))


def prepare_pairs(vocabulary: Vocabulary, *, longest_text: int, state_units: int) -> Prepare:
    """Return what makes training batches of pairs.

    Args:
        vocabulary: of the texts.
        longest_text: Tx, in characters.
        state_units: of the decoder, which starts from zeros.

    Returns:
        (B,) records → ((X (B, Tx, vocabulary), s0 (B, units), c0 (B, units)), ten targets
        (B, 11)), all one-hot or zero, float32.
    """
    outputs = Vocabulary(DATE_CHARACTERS)

    def prepare(batch: tf.Tensor, _epoch: tf.Tensor) -> tuple[tuple[tf.Tensor, ...], ...]:
        parsed = tf.io.parse_example(batch, {name: _SPEC[name] for name in (TEXT, DATE)})
        target = tf.one_hot(outputs.indices(parsed[DATE], DATE_LENGTH), len(DATE_CHARACTERS))
        inputs = network_inputs(
            parsed[TEXT], vocabulary, longest_text=longest_text, state_units=state_units
        )
        return inputs, tuple(tf.unstack(target, axis=1))

    return prepare


def network_inputs(
    texts: tf.Tensor, vocabulary: Vocabulary, *, longest_text: int, state_units: int
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Return X, s0 and c0 of `prepare_pairs` for (B,) texts."""
    x = tf.one_hot(vocabulary.indices(texts, longest_text), vocabulary.size)
    state = tf.zeros([tf.shape(texts)[0], state_units])
    return x, state, state


def stored_pairs(stored: RecordSet, split: str) -> dict[str, list[str]]:
    """Return {text, date, locale, format: one for each pair of a split}, in stored order."""
    found: dict[str, list[str]] = {name: [] for name in (TEXT, DATE, LOCALE, FORMAT)}
    for batch in tf.data.TFRecordDataset(shard_paths(stored, split)).batch(1000):
        parsed = tf.io.parse_example(batch, _SPEC)
        for name, values in found.items():
            values += [value.decode() for value in parsed[name].numpy()]
    return found
