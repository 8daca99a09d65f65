"""The date network: its size, what is shared, where its attention lies; how answers are counted."""

from __future__ import annotations

import random

import numpy as np
import pytest
import tensorflow as tf

from models.date_evaluation import judged, report_text
from models.date_translator import Translator
from models.zoo.date_attention import attention_of, build_date_network
from pipeline.inputs.text_pairs import Vocabulary
from schemas.recipe_dates import DateAttention

CLASSIC = DateAttention(longest_text=30, masked=False, energy="relu")
ENGLISH = "".join(sorted("0123456789 ./abcdefghijlmnoprstuvwy"))
TEXTS = ["3 may 1979", "saturday may 9 2018", "5 april 09", "1 march 2001"]


def translator(config: DateAttention = CLASSIC) -> Translator:
    random.seed(3)  # tf-keras seeds its initialisers from here
    vocabulary = Vocabulary(ENGLISH)
    return Translator(
        config, vocabulary, build_date_network(config, vocabulary_size=vocabulary.size)
    )


def require_attention(weights: np.ndarray) -> None:
    """(texts, 10, Tx) weights that sum to 1 over time and differ between positions."""
    np.testing.assert_allclose(weights.sum(axis=-1), 1.0, atol=1e-5)
    assert weights.std(axis=-1).min() > 1e-6


def test_R72_classic_network_has_52_960_parameters_and_ten_outputs() -> None:
    network = translator().network
    assert network.count_params() == 52_960
    sizes = {layer.name: layer.count_params() for layer in network.layers if layer.weights}
    assert sizes == {
        "encoder": 17_920, "energy_hidden": 1_290, "energy": 11, "decoder": 33_024,
        "character": 715,
    }  # fmt: skip
    outputs = network([tf.zeros([3, 30, 37]), tf.zeros([3, 64]), tf.zeros([3, 64])])
    assert [output.shape for output in outputs] == [(3, 11)] * 10
    np.testing.assert_allclose(np.sum(outputs, axis=-1), 1.0, atol=1e-5)


def test_R72_all_ten_steps_share_their_layers() -> None:
    network = translator().network
    names = [weight.name for weight in network.weights]
    assert len(names) == len(set(names)) == 15
    assert sum("decoder" in name for name in names) == 3  # kernel, recurrent kernel, bias
    inputs = [
        tf.random.stateless_uniform([1, 30, 37], [1, 2]),
        tf.zeros([1, 64]),
        tf.zeros([1, 64]),
    ]
    before = [output.numpy() for output in network(inputs)]
    decoder = network.get_layer("decoder")
    decoder.set_weights([weight * 2.0 for weight in decoder.get_weights()])
    after = [output.numpy() for output in network(inputs)]
    assert all(np.abs(a - b).max() > 0 for a, b in zip(after, before, strict=True))


@pytest.mark.parametrize("energy", ["relu", "linear"])
def test_R73_attention_sums_to_1_over_30_positions_and_is_not_constant(energy: str) -> None:
    made = translator(CLASSIC.model_copy(update={"energy": energy}))
    weights = np.stack([made.attention(text) for text in TEXTS])
    assert weights.shape == (4, 10, 30)
    require_attention(weights)


def test_R73_a_softmax_over_the_last_axis_is_found_out() -> None:
    energies = tf.random.stateless_normal([4, 10, 30, 1], [1, 2])
    require_attention(tf.nn.softmax(energies, axis=2).numpy()[..., 0])
    with pytest.raises(AssertionError):
        require_attention(tf.nn.softmax(energies, axis=-1).numpy()[..., 0])  # every weight is 1
    with pytest.raises(AssertionError):
        require_attention(np.full([4, 10, 30], 1 / 30))  # what silenced energies give


def test_masked_padding_has_no_weight_and_no_influence() -> None:
    config = DateAttention(longest_text=30, encoder_units=8, decoder_units=8)
    short = translator(config.model_copy(update={"longest_text": 20}))
    long = Translator(
        config,
        short.vocabulary,
        build_date_network(config, vocabulary_size=short.vocabulary.size),
    )
    long.network.set_weights(short.network.get_weights())
    text = TEXTS[1]
    weights = long.attention(text)
    np.testing.assert_allclose(weights[:, len(text) :], 0.0, atol=1e-8)
    np.testing.assert_allclose(weights[:, :20], short.attention(text), atol=1e-5)
    assert np.isfinite(long.attention("")).all()


def test_R74_any_text_is_answered() -> None:
    made = translator()
    answers = made.answers(["k", "é", "", "x" * 60, "Saturday, May 9 2018"])
    assert [len(answer) for answer in answers] == [10] * 5
    assert made.answers(["SATURDAY May 9, 2018"]) == answers[4:]
    assert made.answers([]) == []


def test_the_same_weights_come_back(tmp_path) -> None:
    made = translator()
    made.save(tmp_path, {"name": "d"})
    again = Translator.load(tmp_path)
    assert again.vocabulary == made.vocabulary and again.config == made.config
    np.testing.assert_array_equal(again.attention(TEXTS[0]), made.attention(TEXTS[0]))
    assert len(attention_of(again.network).outputs) == 10


def test_R76_exact_matches_are_counted_by_locale_and_format() -> None:
    pairs = {
        "text": ["a", "b", "c", "d"],
        "date": ["2000-01-01", "2000-01-01", "2000-01-02", "2000-01-03"],
        "locale": ["en_US", "de_DE", "en_US", "en_US"],
        "format": ["long", "long", "short", "long"],
    }
    values = judged(pairs, ["2000-01-01", "2000-01-02", "2000-01-02", "2000-01-03"])
    found = values["accuracy"]
    assert (found["count"], found["total"], found["days"]) == (3, 4, 3)
    low, high = found["interval"]
    assert 0 < low < 0.75 < high < 1
    assert {k: v["share"] for k, v in values["by_locale"].items()} == {
        "de_DE": 0.0, "en_US": 1.0,
    }  # fmt: skip
    assert values["by_format"]["en_US long"]["total"] == 2
    assert values["mistakes"] == [{"text": "b", "answer": "2000-01-02", "date": "2000-01-01"}]
    assert "75.0 %" in report_text(values | {"trials": []})
