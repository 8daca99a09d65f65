"""The table of networks: what each says of itself, its sizes and what it costs."""

from __future__ import annotations

import importlib
from typing import get_args

import pytest
import tensorflow as tf
import tf_keras as keras

from models.detector import Detector
from models.stream_layers import CausalConv2D, CausalDepthwise, unroll
from models.zoo import NETWORKS, build_network
from models.zoo.bc_resnet import FrequencyTaps
from models.zoo.cost import count_multiply_adds, multiply_adds_per_step
from schemas.errors import TrainingError
from schemas.recipe import BcResnet, Crnn, LogMel, Model, SedCrnn, Specgram, StreamTcn, TriggerGru

SECTIONS = get_args(get_args(Model)[0])


def test_every_section_of_the_recipe_has_its_network() -> None:
    families = {section.model_fields["family"].default for section in SECTIONS}
    assert families == set(NETWORKS)
    assert len(families) >= 4


@pytest.mark.parametrize("family", sorted(NETWORKS))
def test_docstrings_say_what_a_user_has_to_know(family: str) -> None:
    text = importlib.import_module(NETWORKS[family].__module__).__doc__ or ""
    for word in ("Input (B, T, ", "output", "Receptive field:", "Latency:", "Source:"):
        assert word in text, f"{family} doesn't say: {word}"
    section = next(s for s in SECTIONS if s.model_fields["family"].default == family)
    features = 40 if "log_mel" in section.made_for else 101
    count = build_network(section(), num_features=features, num_labels=1).count_params()
    assert f"{count:,} parameters" in " ".join(text.split())


@pytest.mark.parametrize(
    ("config", "parameters"),
    [
        (BcResnet(channels=8), 10_705),
        (BcResnet(channels=54), 243_649),
        (Crnn(filters=8, units=28), 10_309),
        (Crnn(filters=40, units=128), 220_369),
        (SedCrnn(filters=16), 59_617),
        (SedCrnn(filters=32, units=128), 235_969),
    ],
)
def test_small_detectors_go_from_ten_to_250_thousand(config, parameters: int) -> None:
    assert build_network(config, num_features=40, num_labels=1).count_params() == parameters


@pytest.mark.parametrize("num_features", [20, 33, 64])
@pytest.mark.parametrize(
    "config",
    [BcResnet(channels=8), Crnn(filters=4, units=4), SedCrnn(filters=4, units=4), StreamTcn()],
)
def test_networks_take_any_number_of_bands(config, num_features: int) -> None:
    network = build_network(config, num_features=num_features, num_labels=3)
    steps = network(tf.zeros([2, 24, num_features])).shape
    assert steps == (2, 24 // network.frames_per_step, 3)
    zeros = [tf.zeros([2, *shape]) for shape in network.state_shapes()]
    logits, new = network.stream(tf.zeros([2, 8, num_features]), zeros)
    assert logits.shape == (2, 8 // network.frames_per_step, 3)
    assert [s.shape for s in new] == [s.shape for s in zeros]


def _gru(reset_after: bool):
    gru = keras.layers.GRU(16, return_sequences=True, reset_after=reset_after)
    gru(tf.zeros([1, 2, 10]))
    return lambda x, h: unroll(gru, x, h)[0]


def _stepped(layer, shape):
    layer(tf.zeros([1, 4, *shape]))
    return lambda x, state: layer.stream(x, state)[0]


CASES = {
    "dense": lambda: (keras.layers.Dense(7), [(1, 3, 10)], 3 * 10 * 7),
    "conv1d": lambda: (keras.layers.Conv1D(6, 15, 4), [(1, 27, 5)], 4 * 6 * 15 * 5),
    "conv2d": lambda: (
        _stepped(CausalConv2D(16, (4, 5), (2, 2), name="c"), (40, 1)),
        [(1, 8, 40, 1), (1, 2, 40, 1)],
        4 * 20 * 16 * (4 * 5 * 1 + 1),  # and one for the norm
    ),
    "depthwise": lambda: (keras.layers.DepthwiseConv2D(3), [(1, 8, 9, 4)], 6 * 7 * 4 * 9),
    "taps in time": lambda: (
        _stepped(CausalDepthwise(5, 2, name="d"), (12,)),
        [(1, 4, 12), (1, 8, 12)],
        4 * 12 * 5,
    ),
    "taps in frequency": lambda: (FrequencyTaps(2, name="f"), [(1, 4, 20, 6)], 4 * 10 * 6 * 3),
    # three gates; then h·z, candidate·(1 − z) and r·h or r·(U h)
    "gru": lambda: (_gru(True), [(1, 3, 10), (1, 16)], 3 * (3 * 16 * (10 + 16) + 3 * 16)),
    "old gru": lambda: (_gru(False), [(1, 3, 10), (1, 16)], 3 * (3 * 16 * (10 + 16) + 3 * 16)),
    "norm": lambda: (keras.layers.BatchNormalization(), [(1, 3, 10)], 3 * 10),
    "relu": lambda: (keras.layers.ReLU(), [(1, 3, 10)], 0),
}


@pytest.mark.parametrize("name", CASES)
def test_a_layer_costs_what_is_counted_by_hand(name: str) -> None:
    function, shapes, expected = CASES[name]()
    for shape in shapes[:1] if isinstance(function, keras.layers.Layer) else []:
        function(tf.zeros(shape))
    specs = [tf.TensorSpec(shape, tf.float32) for shape in shapes]
    assert count_multiply_adds(lambda *x: function(*x), specs) == expected


def test_what_cannot_be_counted_is_refused() -> None:
    spec = [tf.TensorSpec([1, 4], tf.float32)]
    with pytest.raises(TrainingError, match="While"):
        count_multiply_adds(
            lambda x: tf.while_loop(lambda y: tf.reduce_sum(y) < 9, lambda y: [y + 1], [x]), spec
        )
    with pytest.raises(TrainingError, match="shape"):
        count_multiply_adds(lambda x: tf.boolean_mask(x, x > 0)[None] * 2.0, spec)


def test_multiply_adds_a_second_by_hand_for_the_reference_network() -> None:
    """Of one step: conv, norm, GRU, norm, GRU, norm, dense; 44,100/320 steps a second."""
    conv = 15 * 101 * 196 + 196
    grus = 3 * 128 * (196 + 128) + 3 * 128 + 3 * 128 * (128 + 128) + 3 * 128
    step = conv + grus + 128 + 128 + 128
    network = build_network(TriggerGru(), num_features=101, num_labels=1)
    assert multiply_adds_per_step(network, 101) == step
    detector = Detector(Specgram(), TriggerGru(), sample_rate_hz=44100, labels=("a",))
    assert detector.multiply_adds_per_second() == round(step * 44100 / 320)


def test_a_narrower_network_costs_less() -> None:
    costs = [
        Detector(
            LogMel(), BcResnet(channels=c), sample_rate_hz=16000, labels=("a",)
        ).multiply_adds_per_second()
        for c in (8, 16, 24)
    ]
    assert costs == sorted(costs)
    assert costs[0] * 3 < costs[2]
