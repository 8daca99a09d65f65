"""Families of features: oracles, stream = offline = export, float16, statistics."""

from __future__ import annotations

import random

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from pydantic import ValidationError
from scipy.fft import dct
from scipy.signal import lfilter

from models.detector import Detector
from models.feature_statistics import find_statistics
from models.features import Statistics, build_front_end
from models.pcen import Smoother
from models.step_conversion import float_forms
from models.step_model import FLOAT32_NAME
from schemas.recipe import Linear, LogMel, Mfcc, Pcen, Specgram, StreamTcn, TriggerGru
from tests.fakes import recipe

TCN = StreamTcn(channels=16, num_blocks=3)
FAMILIES = {
    "log_mel": LogMel(),
    "mfcc": Mfcc(),
    "pcen": Pcen(),
    "linear": Linear(window_s=0.016, hop_s=0.008, fft_size=256),
}
RATE = 16000


def _detector(features, statistics: Statistics | None = None) -> Detector:
    random.seed(1)
    return Detector(features, TCN, sample_rate_hz=RATE, labels=("a",), statistics=statistics)


def _sound(num: int = 1, length: int = 30_000) -> np.ndarray:
    x = 0.1 * np.random.default_rng(0).standard_normal((num, length))
    x[:, length // 3 : length // 2] *= 0.001
    return x.astype("f4")


@pytest.mark.parametrize("family", FAMILIES)
def test_later_samples_change_no_earlier_feature(family) -> None:
    front_end = build_front_end(FAMILIES[family], RATE)
    x = _sound()
    before = front_end(tf.constant(x)).numpy()
    frame = 40
    changed = x.copy()
    changed[:, front_end.window_samples + frame * front_end.hop_samples :] = 0.9
    after = front_end(tf.constant(changed)).numpy()
    np.testing.assert_array_equal(after[:, : frame + 1], before[:, : frame + 1])
    assert np.abs(after[:, frame + 1 :] - before[:, frame + 1 :]).max() > 0.1
    assert before.shape[2] == front_end.num_features
    assert front_end.lookback_samples == front_end.window_samples - front_end.hop_samples


@pytest.mark.parametrize("family", ["mfcc", "pcen", "linear"])
def test_a_stream_gives_the_offline_scores(family) -> None:
    """Also with statistics, which are part of the front end."""
    plain = build_front_end(FAMILIES[family], RATE)
    statistics = Statistics((0.3,) * plain.num_features, (0.7,) * plain.num_features)
    for given in (None, statistics):
        detector = _detector(FAMILIES[family], given)
        x = _sound(2)
        offline = detector.scores(tf.constant(x)).numpy()
        state = detector.initial_state(2)
        step, parts, size = tf.function(detector.step), [], detector.step_samples
        for at in range(0, x.shape[1] - size + 1, size):
            scores, state = step(tf.constant(x[:, at : at + size]), state)
            parts.append(scores.numpy())
        streamed = np.concatenate(parts, axis=1)
        assert streamed.shape[1] > 80
        np.testing.assert_allclose(streamed, offline[:, : streamed.shape[1]], atol=1e-4)
        assert np.ptp(offline) > 1e-3


@pytest.mark.parametrize("family", ["mfcc", "pcen", "linear"])
def test_an_exported_step_gives_the_offline_scores(family) -> None:
    from ai_edge_litert.interpreter import Interpreter

    detector = _detector(FAMILIES[family])
    interpreter = Interpreter(model_content=float_forms(detector)[FLOAT32_NAME])
    run = interpreter.get_signature_runner("step")
    x = _sound()
    offline = detector.scores(tf.constant(x)).numpy()
    state = {f"state_{i}": value for i, value in enumerate(detector.initial_state())}
    parts, size = [], detector.step_samples
    for at in range(0, x.shape[1] - size + 1, size):
        out = run(samples=x[:, at : at + size], **state)
        state = {name: out[name] for name in state}
        parts.append(out["scores"])
    streamed = np.concatenate(parts, axis=1)
    np.testing.assert_allclose(streamed, offline[:, : streamed.shape[1]], atol=1e-4)


def test_mfcc_are_the_cosine_transform_of_log_mel() -> None:
    x = tf.constant(_sound())
    log_mel = build_front_end(LogMel(), RATE)(x).numpy()
    ours = build_front_end(Mfcc(num_coefficients=20), RATE)(x).numpy()
    theirs = dct(log_mel, type=2, norm="ortho", axis=-1)[..., :20]
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_linear_is_the_power_of_the_transform() -> None:
    config = FAMILIES["linear"]
    hz, amplitude = 1000.0, 0.5
    x = amplitude * np.sin(2 * np.pi * hz * np.arange(RATE) / RATE)
    ours = build_front_end(config, RATE)(tf.constant(x[None], tf.float32)).numpy()[0]
    n = np.arange(256)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * n / 256)
    frame = x[10 * 128 : 10 * 128 + 256] * window
    power = np.abs(np.fft.rfft(frame)) ** 2 / (window**2).sum()
    np.testing.assert_allclose(ours[10], (np.log(power + 1e-8) + 11) / 4, atol=1e-3)
    assert (ours.argmax(axis=1) == 16).all()


def test_pcen_equals_the_recurrence_and_follows_no_steady_level() -> None:
    config = Pcen(smoothing_s=0.2)
    x = _sound(length=60_000)
    ours = build_front_end(config, RATE)(tf.constant(x)).numpy()[0]
    log_mel = build_front_end(LogMel(), RATE)(tf.constant(x)).numpy()[0].astype(float)
    energy = np.exp(4 * log_mel - 11) - 1e-8
    keep = np.exp(-0.010 / 0.2)
    past = lfilter([1 - keep], [1, -keep], energy, axis=0)
    expected = (energy * (1e-8 + past) ** -0.98 + 2.0) ** 0.5 - 2.0**0.5
    np.testing.assert_allclose(ours, expected, rtol=2e-3, atol=2e-3)
    loud = build_front_end(config, RATE)(tf.constant(10 * x[:, :15_000])).numpy()[0]
    quiet = build_front_end(config, RATE)(tf.constant(x[:, :15_000])).numpy()[0]
    assert loud.mean() / quiet.mean() < 1.2  # 20 dB louder


@pytest.mark.parametrize("rate", [0.001, 0.025, 0.5, 50.0])
def test_smoothing_a_whole_equals_smoothing_on_the_way(rate) -> None:
    energy = np.random.default_rng(0).exponential(1.0, (2, 3000, 3)).astype("f4")
    energy[:, 500:1500] *= 1e-6
    smoother = Smoother(rate)
    keep = np.exp(-rate)
    expected = lfilter([1 - keep], [1, -keep], energy.astype(float), axis=1)
    np.testing.assert_allclose(smoother(tf.constant(energy)), expected, rtol=1e-4, atol=1e-9)
    state, rows = tf.zeros([2, 3]), []
    stream = tf.function(lambda x, state: smoother.stream(x, state, 10))
    for at in range(0, 2990, 10):  # each packet sees four frames of the next one too
        past, state = stream(tf.constant(energy[:, at : at + 14]), state)
        rows.append(past[:, :10])
    streamed = np.concatenate(rows, axis=1)
    np.testing.assert_allclose(streamed, expected[:, :2990], rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("family", [*FAMILIES, "specgram"])
def test_R28_full_scale_sound_is_finite_in_a_float16_network(family) -> None:
    rate = 44100 if family == "specgram" else RATE
    features, model = FAMILIES.get(family, Specgram()), TCN
    if family == "specgram":
        model = TriggerGru(filters=16, units=8, dropout=0.0)
    n = np.arange(rate)
    tone = np.sin(2 * np.pi * 1000 * n / rate)
    x = np.stack([tone, np.sign(tone), np.where(n > rate // 2, tone, 0), 0 * tone])
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        detector = Detector(features, model, sample_rate_hz=rate, labels=("a",))
    finally:
        keras.mixed_precision.set_global_policy("float32")
    heard = detector.features(tf.constant(x, tf.float32))
    assert heard.dtype == tf.float32
    assert np.isfinite(heard).all()
    assert family == "specgram" or np.abs(heard).max() < 1000
    for training in (True, False):
        logits = detector.network(heard, training=training)
        assert logits.dtype == tf.float16
        assert np.isfinite(tf.cast(logits, tf.float32)).all()


@pytest.mark.parametrize("family", ["log_mel", "pcen"])
def test_statistics_standardise_and_travel_with_the_model(family, tmp_path) -> None:
    audio = _sound(30, 8000)
    config = FAMILIES[family].model_copy(update={"statistics": "dataset"})
    plain = _detector(config)
    statistics = find_statistics(plain, [tf.constant(audio[:17]), tf.constant(audio[17:])])
    features = plain.features(tf.constant(audio)).numpy().astype(float)
    np.testing.assert_allclose(statistics.mean, features.mean(axis=(0, 1)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(statistics.deviation, features.std(axis=(0, 1)), rtol=1e-4)
    detector = plain.with_statistics(statistics)
    heard = detector.features(tf.constant(audio)).numpy()
    np.testing.assert_allclose(heard.mean(axis=(0, 1)), 0, atol=1e-3)
    np.testing.assert_allclose(heard.std(axis=(0, 1)), 1, atol=1e-3)
    detector.save(tmp_path, {"name": "x"})
    loaded = Detector.load(tmp_path)
    assert loaded.front_end.statistics == statistics
    x = tf.constant(_sound())
    np.testing.assert_array_equal(loaded.scores(x), detector.scores(x))
    assert np.abs(plain.scores(x).numpy() - detector.scores(x).numpy()).max() > 1e-3


def test_networks_take_the_families_they_were_made_for() -> None:
    for family in FAMILIES:
        assert recipe(features={"family": family}).features.family == family
    with pytest.raises(ValidationError, match="made for features.family log_mel or mfcc or pcen"):
        recipe(features={"family": "specgram"})
    with pytest.raises(ValidationError, match="trigger_gru is made for features.family specgram"):
        recipe(features={"family": "mfcc"}, model={"family": "trigger_gru"})
    with pytest.raises(ValidationError, match="num_coefficients 50 of only num_mels 40"):
        recipe(features={"family": "mfcc", "num_coefficients": 50})
    with pytest.raises(ValidationError, match="high_hz <= 8000"):
        recipe(features={"family": "pcen", "high_hz": 9000})
