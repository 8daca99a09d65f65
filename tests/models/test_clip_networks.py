"""clip_birnn and clip_attention: sizes, the formula, and a mask that goes all the way through."""

from __future__ import annotations

import random

import numpy as np
import pytest
import tensorflow as tf

from models.zoo.clip_networks import ClipNetwork, StepAttention
from schemas.errors import TrainingError
from schemas.recipe_embeddings import ClipModel

FAMILIES = ("clip_birnn", "clip_attention")


def network(**config) -> ClipNetwork:
    random.seed(3)  # tf-keras seeds its initialisers from here
    made = ClipNetwork(ClipModel(**config))
    rng = np.random.default_rng(0)
    made.set_statistics(rng.uniform(-1, 1, 128), rng.uniform(0.5, 2, 128))
    return made


def clips(*lengths: int, padded_to: int = 10, behind: float = 0.0) -> tuple[tf.Tensor, tf.Tensor]:
    """Frames and mask; frame t of clip i is the same however long the batch is."""
    frames = np.random.default_rng(1).standard_normal((len(lengths), 40, 128)).astype("f4")
    mask = np.arange(padded_to) < np.array(lengths)[:, None]
    frames = np.where(mask[:, :, None], frames[:, :padded_to], np.float32(behind))
    return tf.constant(frames), tf.constant(mask.astype("f4"))


@pytest.mark.parametrize("normalisation", ["fitted", "batch"])
@pytest.mark.parametrize(
    ("family", "layers", "total"),
    [
        ("clip_birnn", {"norm": 512, "birnn": 198_144, "logit": 2_561}, 201_217),
        (
            "clip_attention",
            {"norm": 512, "birnn": 198_144, "attention": 266, "logit": 257},
            199_179,
        ),
    ],
)
def test_R52_parameters_layer_by_layer(family, layers, total, normalisation) -> None:
    made = network(family=family, normalisation=normalisation)
    assert {layer.name: layer.count_params() for layer in made.layers} == layers
    assert made.count_params() == total
    assert sum(int(tf.size(w)) for w in made.non_trainable_weights) == 256
    assert sum(int(tf.size(w)) for w in made.trainable_weights) == total - 256


def attention_by_the_formula(x, vector, bias, mask):
    u = np.tanh(x @ vector[:, 0] + bias)
    a = np.exp(u) * mask
    a = a / (a.sum(axis=1, keepdims=True) + 1e-7)
    return a, (a[:, :, None] * x).sum(axis=1)


def test_R53_attention_formula_against_numpy() -> None:
    rng = np.random.default_rng(2)
    made = network(family="clip_attention")
    layer = made.attention
    x = rng.standard_normal((5, 10, 256)).astype("f4")
    mask = (np.arange(10) < np.array([10, 6, 1, 0, 9])[:, None]).astype("f4")
    layer.bias.assign(rng.standard_normal(10))
    wanted, mean = attention_by_the_formula(x, layer.vector.numpy(), layer.bias.numpy(), mask)
    np.testing.assert_allclose(layer(x, mask=mask).numpy(), wanted, atol=1e-6)
    np.testing.assert_allclose(wanted.sum(axis=1), [1, 1, 1, 0, 1], atol=1e-6)
    made._steps = lambda *_: tf.constant(x)  # what the GRU would give
    logits, weights = made.logits_and_weights(tf.constant(x), tf.constant(mask))
    np.testing.assert_allclose(weights, wanted, atol=1e-6)
    np.testing.assert_allclose(logits, mean @ made.head.kernel.numpy(), atol=1e-5)
    assert not logits.numpy()[3].any()  # all masked: zeros, not NaN


def test_R53_ten_weights_lie_within_their_bounds_whatever_the_clip() -> None:
    layer = StepAttention(10, "step")
    x = np.zeros((2, 10, 4), "f4")
    x[0, 3], x[1, :] = 100.0, 100.0
    x[0, :3] = x[0, 4:] = x[1, 3] = -100.0
    mask = np.ones((2, 10), "f4")
    layer(x, mask=mask)
    layer.vector.assign(np.ones((4, 1)))
    weights = layer(x, mask=mask).numpy()
    assert weights[0, 3] == pytest.approx(0.4509, abs=5e-5)
    assert weights[1, 3] == pytest.approx(0.0148, abs=5e-5)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("normalisation", ["fitted", "batch"])
def test_R54_what_lies_behind_a_clips_end_changes_nothing(family, normalisation) -> None:
    made = network(family=family, normalisation=normalisation)
    one = made(clips(6, 10, 1)).numpy()
    for behind in (7.0, float("nan")):
        np.testing.assert_allclose(made(clips(6, 10, 1, behind=behind)).numpy(), one, atol=1e-6)
    moved = clips(7, 10, 1)
    assert abs(made(moved).numpy()[0] - one[0]) > 1e-4  # a seventh frame does


@pytest.mark.parametrize("bias", ["step", "relative", "none"])
def test_R54_a_clip_of_six_frames_is_the_same_clip_padded(bias) -> None:
    made = network(family="clip_attention", bias=bias)
    if made.attention.bias is not None:
        made.attention.bias.assign(np.random.default_rng(4).standard_normal(10))
    short, padded = clips(6, padded_to=6), clips(6, padded_to=10)
    np.testing.assert_allclose(made(short), made(padded), atol=1e-6)
    weights = made.logits_and_weights(*padded)[1].numpy()
    np.testing.assert_allclose(made.logits_and_weights(*short)[1], weights[:, :6], atol=1e-6)
    assert not weights[:, 6:].any()
    assert weights.sum() == pytest.approx(1, abs=1e-6)


def test_R54_training_statistics_leave_padding_out() -> None:
    """Keras' own batch normalisation in `batch` sees real frames alone."""
    made = network(family="clip_attention", normalisation="batch")
    made.set_statistics(np.zeros(128), np.ones(128))
    frames, mask = clips(6, 2, behind=1000.0)
    made((frames, mask), training=True)
    real = frames.numpy()[mask.numpy() > 0]
    np.testing.assert_allclose(made.norm.moving_mean, 0.02 * real.mean(axis=0), atol=1e-5)


@pytest.mark.parametrize("bias", ["relative", "none"])
def test_attention_without_a_bias_for_each_step_takes_clips_of_any_length(bias) -> None:
    made = network(family="clip_attention", bias=bias)
    assert made(clips(30, 25, padded_to=30)).shape == (2, 1)
    assert made.attention.count_params() == 256 + 10 * (bias == "relative")


def test_a_bias_for_each_step_and_flattening_refuse_other_lengths() -> None:
    with pytest.raises(TrainingError, match="clips of 12 frames"):
        network(family="clip_attention")(clips(12, padded_to=12))
    with pytest.raises(TrainingError, match="clips of 6 frames"):
        network(family="clip_birnn")(clips(6, padded_to=6))


def test_a_relative_bias_is_spread_over_the_clips_own_length() -> None:
    layer = StepAttention(10, "relative")
    mask = (np.arange(19) < np.array([19, 10, 4, 1])[:, None]).astype("f4")
    x = np.zeros((4, 19, 8), "f4")
    layer(x, mask=mask)
    layer.bias.assign(np.arange(10) / 10)
    for row, length in zip(layer._biases(tf.constant(mask)).numpy(), (19, 10, 4, 1), strict=True):
        wanted = np.linspace(0, 0.9, length) if length > 1 else [0.0]
        np.testing.assert_allclose(row[:length], wanted, atol=1e-6)
