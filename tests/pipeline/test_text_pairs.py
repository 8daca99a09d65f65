"""Characters to indices: what isn't known has an index too, padding lies behind."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from pipeline.date_pairs import encode_pair
from pipeline.inputs.text_pairs import DATE_CHARACTERS, Vocabulary, prepare_pairs
from schemas.errors import DatasetError
from schemas.pairs import DatePair

ENGLISH = "".join(sorted("0123456789 ./abcdefghijlmnoprstuvwy"))


def indices(*texts: str, length: int = 30) -> np.ndarray:
    return Vocabulary(ENGLISH).indices(tf.constant(texts), length).numpy()


def test_R74_unknown_characters_map_to_the_index_of_unk() -> None:
    vocabulary = Vocabulary(ENGLISH)
    assert (vocabulary.size, vocabulary.unknown, vocabulary.padding) == (37, 35, 36)
    for unknown in ("k", "é", "z", "日", "\U0001f4c5", "\x00"):
        row = indices(f"a{unknown}b")[0]
        assert row[:4].tolist() == [ENGLISH.index("a"), 35, ENGLISH.index("b"), 36]


def test_R74_empty_and_sixty_characters() -> None:
    rows = indices("", "3 may 1979" * 6, "3 may 1979")
    assert rows.shape == (3, 30)
    assert set(rows[0]) == {36}
    assert [ENGLISH[i] for i in rows[1]] == list("3 may 1979" * 3)
    assert [ENGLISH[i] for i in rows[2][:10]] == list("3 may 1979")
    assert set(rows[2][10:]) == {36}  # behind, not before


def test_every_character_has_its_own_index() -> None:
    assert indices(ENGLISH, length=35)[0].tolist() == list(range(35))


def test_a_vocabulary_is_sorted_and_not_empty() -> None:
    for wrong in ("", "ba", "aa"):
        with pytest.raises(DatasetError, match="sorted, each once"):
            Vocabulary(wrong)


def test_batches_are_one_hot_with_ten_targets() -> None:
    pair = DatePair("train/000000000", "3 may 1979", "1979-05-03", "en_GB", "long", "")
    prepare = prepare_pairs(Vocabulary(ENGLISH), longest_text=30, state_units=64)
    (x, s0, c0), targets = prepare(tf.constant([encode_pair(pair)] * 2), tf.constant(0, tf.int64))
    assert x.shape == (2, 30, 37)
    assert s0.shape == c0.shape == (2, 64)
    assert not s0.numpy().any() and not c0.numpy().any()
    np.testing.assert_array_equal(x.numpy().argmax(-1)[0], indices("3 may 1979")[0])
    assert x.numpy().sum() == 60
    assert [t.shape for t in targets] == [(2, 11)] * 10
    assert "".join(DATE_CHARACTERS[int(t.numpy()[0].argmax())] for t in targets) == "1979-05-03"
