"""The exercise's network: three styles, period files, fine-tuning, its figures."""

from __future__ import annotations

import json
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from models.detector import Detector
from models.features import SpecgramFrontEnd
from models.fitting import optimizer_of
from models.freezing import KINDS, freeze
from models.initial_weights import InitialWeights, hand_over, layer_weights
from models.learning_rates import learning_rate_of
from models.period_h5 import load_period_model
from models.zoo.digit_dense import DigitDense, functional_digits, sequential_digits
from models.zoo.trigger_gru import (
    TriggerGruNetwork,
    functional_trigger_gru,
    sequential_trigger_gru,
    trigger_gru_layers,
)
from pipeline.recipe_file import load_recipe
from schemas.errors import TrainingError
from schemas.recipe import LogMel, Specgram, StreamTcn, TriggerGru

ROOT = Path(__file__).resolve().parents[2]
SMALL = TriggerGru(filters=12, units=8)
STYLES = (sequential_trigger_gru, functional_trigger_gru, TriggerGruNetwork)


def _power(frames: int = 60, batch: int = 2, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((batch, frames, 101)).astype("f4")


def _shaken(network: keras.Model) -> keras.Model:
    """Random values everywhere, statistics too, so that no layer hides behind zeros."""
    rng = np.random.default_rng(1)
    drawn = [0.1 * rng.standard_normal(w.shape) for w in network.weights]
    pairs = zip(network.weights, drawn, strict=True)
    network.set_weights([abs(w) + 0.5 if "variance" in v.name else w for v, w in pairs])
    return network


@pytest.mark.parametrize("style", STYLES)
def test_R21_each_style_has_523_329_parameters_layer_by_layer(style) -> None:
    network = style(TriggerGru(), 101, 1)
    counts = [layer.count_params() for layer in network.layers if layer.weights]
    assert counts == [297_136, 784, 125_184, 512, 99_072, 512, 129]
    assert network.count_params() == sum(counts) == 523_329
    assert sum(int(tf.size(v)) for v in network.trainable_variables) == 522_425
    assert sum(int(tf.size(v)) for v in network.non_trainable_variables) == 904
    assert network(tf.zeros([1, 5511, 101])).shape == (1, 1375, 1)


@pytest.mark.parametrize("style", STYLES)
def test_R22_old_form_522_561_and_256_filters_in_each_style(style) -> None:
    assert style(TriggerGru(reset_after=False), 101, 1).count_params() == 522_561
    assert style(TriggerGru(filters=256), 101, 1).count_params() == 637_569
    both = TriggerGru(filters=256, reset_after=False)
    assert style(both, 101, 1).count_params() == 636_801


@pytest.mark.parametrize("reset_after", [True, False])
def test_R23_three_styles_give_the_same_output_for_the_same_weights(reset_after) -> None:
    config = SMALL.model_copy(update={"reset_after": reset_after})
    first, *others = [style(config, 101, 2) for style in STYLES]
    _shaken(first)
    expected = first(_power()).numpy()
    assert expected.std() > 1e-3
    for other in others:
        assert np.abs(other(_power()).numpy() - expected).max() > 1e-3
        hand_over(first, other)
        np.testing.assert_array_equal(other(_power()).numpy(), expected)


def test_R23_a_stream_runs_with_the_weights_of_any_style() -> None:
    detector = Detector(Specgram(), SMALL, sample_rate_hz=44100, labels=("a",))
    built = _shaken(functional_trigger_gru(SMALL, 101, 1))
    hand_over(built, detector.network)
    x = _power(frames=11 + 8 * 4, batch=1)
    zeros = [tf.zeros([1, *shape]) for shape in detector.network.state_shapes()]
    streamed, _ = detector.network.stream(tf.constant(x), zeros)
    np.testing.assert_allclose(streamed.numpy(), built(x).numpy(), atol=1e-5)


def test_hand_over_refuses_another_network_by_layer_and_shape() -> None:
    target = functional_trigger_gru(SMALL, 101, 1)
    before = target.get_weights()
    with pytest.raises(TrainingError, match=r"layer gru_0 holds \(12,27\).*\(12,24\)"):
        hand_over(sequential_trigger_gru(TriggerGru(filters=12, units=9), 101, 1), target)
    with pytest.raises(TrainingError, match="2 layers with weights.*gru_0"):
        part = keras.Sequential([keras.Input([None, 101]), *trigger_gru_layers(SMALL, 1)[:4]])
        hand_over(part, target)
    for old, new in zip(before, target.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def _period_model() -> keras.Model:
    """The exercise's network as it was built then, with its own kind of GRU."""
    config = TriggerGru(filters=12, units=8, reset_after=False)
    *stack, _ = trigger_gru_layers(config, 1)
    for layer in stack:
        layer._dtype_policy = keras.mixed_precision.Policy("float32")
    features = x = keras.Input([60, 101])
    for layer in stack:
        x = layer(x)
    x = keras.layers.TimeDistributed(keras.layers.Dense(1, activation="sigmoid"))(x)
    return _shaken(keras.Model(features, x))


def _written_then(network: keras.Model, path: Path, *, with_key: bool) -> Path:
    network.save(path, save_format="h5", include_optimizer=False)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        for layer in config["config"]["layers"]:
            if layer["class_name"] == "GRU":
                assert layer["config"]["recurrent_activation"] == "hard_sigmoid"
                if not with_key:
                    del layer["config"]["reset_after"]
        config["class_name"] = "Model"  # as Functional was called then
        file.attrs["model_config"] = json.dumps(config)
    return path


@pytest.mark.parametrize("with_key", [True, False])
def test_R24_period_h5_loads_with_equal_outputs(tmp_path, with_key) -> None:
    source = _period_model()
    path = _written_then(source, tmp_path / "period.h5", with_key=with_key)
    if not with_key:
        with pytest.raises(ValueError, match="reset_after"):
            keras.models.load_model(path, compile=False)
    loaded = load_period_model(path)
    np.testing.assert_array_equal(loaded(_power()).numpy(), source(_power()).numpy())
    grus = [layer for layer in loaded.layers if isinstance(layer, keras.layers.GRU)]
    assert [g.recurrent_activation.__name__ for g in grus] == ["hard_sigmoid"] * 2
    assert [g.reset_after for g in grus] == [False, False]


@pytest.mark.parametrize("kind", ["whole", "without the key", "weights alone", "keras"])
def test_R24_period_weights_go_into_our_network(tmp_path, kind) -> None:
    source = _period_model()
    path = tmp_path / "weights.h5"
    if kind == "weights alone":
        source.save_weights(path, save_format="h5")
    elif kind == "keras":
        source.save(path := tmp_path / "model.keras")
    else:
        _written_then(source, path, with_key=kind == "whole")
    ours = TriggerGruNetwork(TriggerGru(filters=12, units=8, reset_after=False), 101, 1)
    InitialWeights.of(path).put_into(ours)
    np.testing.assert_allclose(
        tf.sigmoid(ours(_power())).numpy(), source(_power()).numpy(), atol=1e-6
    )


def test_R24_what_does_not_fit_is_refused_by_name(tmp_path) -> None:
    path = _written_then(_period_model(), tmp_path / "period.h5", with_key=False)
    new_form = TriggerGruNetwork(SMALL, 101, 1)  # two bias rows
    with pytest.raises(TrainingError, match=r"layer gru_0 holds .*\(24,\).*\(2,24\)"):
        InitialWeights.of(path).put_into(new_form)
    for name, content, reason in (
        ("none.h5", None, "does not exist"),
        ("text.h5", b"no", "can't be read"),
        ("text.keras", b"no", "can't be loaded"),
        ("text.onnx", b"no", "of no kind"),
    ):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(TrainingError, match=reason):
            InitialWeights.of(tmp_path / name).put_into(new_form)
    with pytest.raises(TrainingError, match="holds no trained model"):
        InitialWeights.of(tmp_path)


def test_R24_a_file_with_python_code_in_it_is_refused(tmp_path) -> None:
    network = keras.Sequential([keras.Input([3]), keras.layers.Lambda(lambda x: x)])
    network.save(tmp_path / "code.h5", save_format="h5")
    with pytest.raises(TrainingError, match="Lambda"):
        load_period_model(tmp_path / "code.h5")


def test_R25_a_rate_of_0_8_drops_eighty_percent() -> None:
    drops = [x for x in trigger_gru_layers(TriggerGru(), 1) if isinstance(x, keras.layers.Dropout)]
    assert len(drops) == 4
    for layer in drops:
        out = layer(tf.ones([1, 1000, 100]), training=True).numpy()
        assert (out == 0).mean() == pytest.approx(0.8, abs=0.01)
        assert (layer(tf.ones([1, 10]), training=False).numpy() == 1).all()


def _recipe(*settings: str):
    return load_recipe(ROOT / "recipes" / "fine_tune_activate.yaml", settings)


@pytest.mark.parametrize(("step", "rate"), [(0, 1e-4), (5, 1e-4 / 1.05), (100, 5e-5)])
def test_R26_fine_tuning_rate_at_steps(step: int, rate: float) -> None:
    config = _recipe().training
    assert (config.optimizer, config.batch_size, config.epochs) == ("adam", 5, 1)
    assert (config.beta_2, config.clip_norm) == (0.999, None)
    schedule = learning_rate_of(config, 6)
    assert float(schedule(tf.constant(step, tf.int64))) == pytest.approx(rate, rel=1e-6)


def test_R27_learning_rate_is_what_was_asked_for_after_compile() -> None:
    config = _recipe().training
    network = functional_trigger_gru(SMALL, 101, 1)
    network.compile(optimizer=optimizer_of(config, learning_rate_of(config, 6)), loss="mse")
    assert float(network.optimizer.learning_rate) == pytest.approx(1e-4)
    assert float(network.optimizer.beta_2) == pytest.approx(0.999)


def test_R27_no_source_says_lr() -> None:
    """`lr=` only warns in tf-keras 2.17, and then the rate is 0.001."""
    pattern = re.compile(r"\blr\s*=")
    assert pattern.search("Adam(lr=1e-4)")
    sources = [p for d in ("models", "wakebeam", "recipes") for p in (ROOT / d).rglob("*.*")]
    texts = {p: p.read_text() for p in sources if p.suffix in {".py", ".yaml"}}
    assert len(texts) > 20
    assert [p for p, text in texts.items() if pattern.search(text)] == []


FROZEN = ("batch_size=16", "learning_rate=0.000001", "freeze=[batch_normalization]")


@pytest.mark.parametrize("style", STYLES)
def test_R26_and_R38_batch_norm_is_frozen_by_type(style) -> None:
    config = _recipe(*(f"training.{setting}" for setting in FROZEN)).training
    network = freeze(style(TriggerGru(), 101, 1), config.freeze)
    frozen = [layer.name for layer in network.layers if layer.weights and not layer.trainable]
    assert frozen == ["norm_0", "norm_1", "norm_2"]
    assert sum(int(tf.size(v)) for v in network.trainable_variables) == 521_521
    assert sum(int(tf.size(v)) for v in network.non_trainable_variables) == 1_808


def test_R38_numbers_differ_between_styles_so_types_choose() -> None:
    found = []
    for style in STYLES[:2]:
        layers = enumerate(style(SMALL, 101, 1).layers)
        found.append([i for i, x in layers if isinstance(x, KINDS["batch_normalization"])])
    assert found == [[1, 6, 9], [2, 7, 10]]


@pytest.mark.parametrize("style", STYLES)
def test_R26_frozen_statistics_are_used_and_kept_in_training(style) -> None:
    config = SMALL.model_copy(update={"dropout": 0.0})
    network = freeze(_shaken(style(config, 101, 1)), ["batch_normalization"])
    network.compile(optimizer=keras.optimizers.Adam(1e-3), loss="mse", run_eagerly=True)
    in_training = network(_power(), training=True).numpy()
    np.testing.assert_allclose(in_training, network(_power(), training=False).numpy(), atol=1e-6)
    before = layer_weights(network)
    network.fit(_power(), np.full((2, 12, 1), 3, "f4"), verbose=0)
    for old, new in zip(before, layer_weights(network), strict=True):
        same = all(np.array_equal(a, b) for a, b in zip(old.arrays, new.arrays, strict=True))
        assert same == old.name.startswith("norm_")


def test_freezing_what_is_not_there_is_refused() -> None:
    detector = Detector(LogMel(), StreamTcn(channels=8), sample_rate_hz=16000, labels=("a",))
    with pytest.raises(TrainingError, match="recurrent: stream_tcn has no such layer"):
        freeze(detector.network, ["recurrent"])


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("style", STYLES)
def test_R28_a_full_scale_tone_is_finite_in_mixed_precision(style, policy) -> None:
    tone = np.sign(np.sin(2 * np.pi * 1000 / 44100 * np.arange(8000)))[None].astype("f4")
    power = SpecgramFrontEnd(Specgram(), 44100)(tf.constant(tone))
    assert float(tf.reduce_max(power)) > 8.9e6 > np.finfo(np.float16).max
    keras.mixed_precision.set_global_policy(policy)
    try:
        network = style(SMALL, 101, 1)
        half = {x.name for x in network.layers if x.compute_dtype != "float32"}
        for training in (False, True):
            assert np.isfinite(tf.cast(network(power, training=training), tf.float32)).all()
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert {"gru_1", "logits"} <= half


def test_R29_the_last_of_1375_steps_ends_at_the_last_sample() -> None:
    detector = Detector(Specgram(), SMALL, sample_rate_hz=44100, labels=("a",))
    assert detector.times_s(441_000)[1374] * 44100 == pytest.approx(441_000)
    assert len(detector.times_s(441_000)) == 1375
    ends = detector.warmup_samples + detector.hop_samples * np.arange(1, 1376)
    np.testing.assert_array_equal(ends, 1320 + 320 * np.arange(1375))
    x = np.random.default_rng(0).standard_normal((1, 8000)).astype("f4") * 0.1
    before = detector.scores(tf.constant(x)).numpy()
    for i in (0, 7, 15):
        changed = x.copy()
        changed[:, 320 * i + 1320 :] *= -0.5
        after = detector.scores(tf.constant(changed)).numpy()
        np.testing.assert_array_equal(after[:, : i + 1], before[:, : i + 1])
        assert (after[:, i + 1 :] != before[:, i + 1 :]).any()


def test_R77_digit_classifier_has_203_530_parameters_in_three_styles() -> None:
    first, *others = sequential_digits(), functional_digits(), DigitDense()
    picture = np.random.default_rng(0).random((3, 28, 28)).astype("f4")
    expected = first(picture).numpy()
    assert expected.shape == (3, 10)
    np.testing.assert_allclose(expected.sum(axis=1), 1.0, rtol=1e-6)
    for network in (first, *others):
        assert network.count_params() == 203_530
        hand_over(first, network)
        np.testing.assert_array_equal(network(picture).numpy(), expected)
