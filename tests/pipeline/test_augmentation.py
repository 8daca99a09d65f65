"""Augmentation: the same whoever makes the batch; each effect does what it says, labels too."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from pipeline.augmentation import Augmenter, WithPredecessor
from pipeline.frame_labels import LabelRule, frame_labels
from pipeline.input_dataset import prepare_scenes
from pipeline.inputs.source import Share, batches
from pipeline.inputs.step_labels import Events
from schemas.recipe import LabelWindow
from schemas.recipe_augmentation import Augmentation
from tests.scene_records import Records, record

RATE, LENGTH, NUM = 8000, 8000, 24
RULE = LabelRule.of(
    LabelWindow(start_s=-0.02, end_s=0.1, ignore_after_s=0.1), labels=("a", "b"), num_steps=50,
    warmup_samples=0, hop_samples=160, sample_rate_hz=RATE, positive_weight=4.0,
)  # fmt: skip
ALL = {
    "mixup": {"probability": 0.5},
    "noise": {"probability": 0.7},
    "delay_s": 0.1,
    "gain_db": [-6, 6],
    "masks": {"time_s": 0.1, "band_share": 0.3},
}


def _scene(index: int) -> bytes:
    rng = np.random.default_rng(index)
    audio = 0.01 * rng.standard_normal(LENGTH)
    onset = int(rng.integers(500, 5000))
    audio[onset : onset + 1500] += 0.2 * np.sin(np.arange(1500) * 0.3)
    events = [(onset, onset + 1500, "ab"[index % 2], "keyword")] if index % 3 else []
    return record(f"train/{index:09d}", audio, events)


RECORDS = [_scene(index) for index in range(NUM)]


def _frames(audio: tf.Tensor) -> tf.Tensor:
    return tf.reshape(audio, [-1, LENGTH // 40, 40])


def _made(effects: dict | None, *, seed: int = 5, batch: int = 4, **how) -> list[np.ndarray]:
    """Features, labels and weights of two epochs, all rows."""
    augmenter = None
    if effects is not None:
        augmenter = Augmenter(Augmentation.model_validate(effects), seed, RATE, 40 / RATE)
    source = Records(RECORDS)
    prepare = prepare_scenes(
        _frames, RULE, encoding="pcm16", example_samples=LENGTH, augmenter=augmenter
    )
    made = batches(
        WithPredecessor(source) if effects and "mixup" in effects else source,
        prepare, batch_size=batch, **{"epochs": range(2)} | how,
    )  # fmt: skip
    return [np.concatenate(parts) for parts in zip(*made.as_numpy_iterator(), strict=True)]


def _augmenter(**effects) -> Augmenter:
    return Augmenter(Augmentation.model_validate(effects), 5, RATE, 0.01)


def _sounds(augmenter: Augmenter, *batch) -> tuple[tf.Tensor, Events]:
    return tf.function(augmenter.sounds)(*batch)


def _keys(num: int) -> tf.Tensor:
    return _augmenter().keys(tf.constant([f"train/{i}" for i in range(num)]), tf.constant(0))


def test_nothing_is_changed_unless_asked_for() -> None:
    for ours, plain in zip(_made({}), _made(None), strict=True):
        np.testing.assert_array_equal(ours, plain)
    assert Augmentation() == Augmentation.model_validate({})


def test_an_example_is_the_same_in_any_batch_for_any_worker_and_after_a_resume() -> None:
    whole = _made(ALL, batch=8)
    assert np.abs(whole[0] - _made(None)[0]).max() > 0.01
    for ours, theirs in zip(whole, _made(ALL, batch=3), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    resumed = _made(ALL, batch=8, epochs=range(1, 2), first_step=1)
    shares = [_made(ALL, batch=8, share=Share(worker, 2)) for worker in range(2)]
    for part in range(3):
        np.testing.assert_array_equal(resumed[part], whole[part][NUM + 8 :])
        of_worker = [s[part].reshape(-1, 4, *s[part].shape[1:]) for s in shares]
        together = np.concatenate(of_worker, axis=1)
        np.testing.assert_array_equal(together.reshape(whole[part].shape), whole[part])


def test_epochs_and_seeds_differ_and_runs_do_not() -> None:
    effects = {"gain_db": [-20, 0]}
    features = _made(effects)[0]
    np.testing.assert_array_equal(features, _made(effects)[0])
    assert np.abs(features - _made(effects, seed=6)[0]).max() > 0.01
    plain = _made(None)[0]
    levels = {}
    for row, clean in zip(features, plain, strict=True):
        levels.setdefault(clean.tobytes(), []).append(np.std(row) / np.std(clean))
    assert len(levels) == NUM
    assert all(abs(one - other) > 1e-6 for one, other in levels.values())


def test_gain_is_within_its_range_and_clips() -> None:
    augmenter = _augmenter(gain_db=[-6, 12])
    audio = tf.constant(np.random.default_rng(0).uniform(-0.6, 0.6, (40, 100)), tf.float32)
    ours = _sounds(augmenter, _keys(40), audio, _no_events(40))[0].numpy()
    gain_db = 20 * np.log10(np.abs(ours / audio.numpy()).max(axis=1))
    assert -6 <= gain_db.min() < -4
    assert 9 < gain_db.max() <= 12.001
    assert np.abs(ours).max() == 1.0


def test_delay_moves_sound_and_labels_by_the_same_samples() -> None:
    rng = np.random.default_rng(0)
    audio = rng.uniform(0.1, 0.5, (30, LENGTH)).astype("f4")
    onset = rng.integers(0, LENGTH - 1000, (30, 1))
    events = Events(
        tf.constant(onset), tf.constant(onset + 1000),
        tf.constant([["keyword"]] * 30), tf.constant([["b"]] * 30),
    )  # fmt: skip
    ours, moved = _sounds(_augmenter(delay_s=0.25), _keys(30), tf.constant(audio), events)
    delays = (moved.onset.numpy() - onset)[:, 0]
    assert delays.min() >= 0
    assert 0.2 * RATE < delays.max() <= 0.25 * RATE
    assert len(set(delays)) > 20
    for row, clean, delay in zip(ours.numpy(), audio, delays, strict=True):
        assert not row[:delay].any()
        np.testing.assert_array_equal(row[delay:], clean[: LENGTH - delay])
    np.testing.assert_array_equal(moved.offset, moved.onset + 1000)


def test_delayed_labels_are_those_of_the_delayed_events() -> None:
    features, labels, weights = _made({"delay_s": 0.2})
    plain = _made(None)
    moved = 0
    for row, clean, label, weight, before in zip(
        features, plain[0], labels, weights, plain[1], strict=True
    ):
        sound = row.reshape(-1)
        delay = int(np.flatnonzero(sound)[0]) - int(np.flatnonzero(clean.reshape(-1))[0])
        name = next(i for i, r in enumerate(RECORDS) if _audio(r).tobytes() == clean.tobytes())
        keyword = _keyword(name)
        expected = frame_labels(RULE, *(np.array([k + delay]) for k in keyword[:2]), np.array(
            [keyword[2]])) if keyword else (np.zeros((50, 2)), np.ones(50))  # fmt: skip
        np.testing.assert_array_equal(label, expected[0])
        np.testing.assert_array_equal(weight, expected[1])
        moved += bool((label != before).any())
    assert moved > 10


def _audio(stored: bytes) -> np.ndarray:
    pcm = tf.train.Example.FromString(stored).features.feature["audio/encoded"].bytes_list.value[0]
    return np.frombuffer(pcm, "<i2").astype("f4") / 32768


def _keyword(index: int) -> tuple[int, int, int] | None:
    onset = int(tf.train.Example.FromString(RECORDS[index]).features.feature[
        "events/onset_samples"].int64_list.value[0]) if index % 3 else None  # fmt: skip
    return (onset, onset + 1500, index % 2) if onset is not None else None


def _no_events(num: int) -> Events:
    empty = tf.zeros([num, 0], tf.int64)
    return Events(empty, empty, tf.zeros([num, 0], tf.string), tf.zeros([num, 0], tf.string))


@pytest.mark.parametrize("colour", [0.0, 1.0, 2.0])
def test_noise_has_the_wanted_snr_and_colour(colour) -> None:
    augmenter = _augmenter(noise={"probability": 1, "snr_db": [10, 10], "colour": [colour, colour]})
    audio = np.random.default_rng(0).standard_normal((20, 16000)).astype("f4") * 0.01
    noise = _sounds(augmenter, _keys(20), tf.constant(audio), _no_events(20))[0].numpy() - audio
    snr_db = 10 * np.log10(np.mean(audio**2, axis=1) / np.mean(noise**2, axis=1))
    np.testing.assert_allclose(snr_db, 10, atol=1)
    power = np.mean(np.abs(np.fft.rfft(noise)) ** 2, axis=0)
    hz = np.arange(len(power)) * RATE / 16000
    low, high = (power[(hz > f) & (hz < 2 * f)].mean() for f in (200, 1600))
    assert np.log2(low / high) / 3 == pytest.approx(colour, abs=0.1)
    assert power[hz < 40].mean() < 0.02 * low
    assert len({row.tobytes() for row in noise}) == 20


def test_noise_comes_as_often_as_asked_for() -> None:
    augmenter = _augmenter(noise={"probability": 0.25})
    audio = tf.constant(np.random.default_rng(0).standard_normal((400, 800)) * 0.01, tf.float32)
    changed = _sounds(augmenter, _keys(400), audio, _no_events(400))[0].numpy() != audio.numpy()
    assert changed.any(axis=1).mean() == pytest.approx(0.25, abs=0.07)
    silent = _sounds(augmenter, _keys(400), 0 * audio, _no_events(400))[0].numpy()
    assert not silent.any()


def test_R36_added_noise_does_not_tell_where_events_are() -> None:
    augmenter = _augmenter(noise={"probability": 1, "snr_db": [5, 5]})
    empty = np.random.default_rng(0).standard_normal((20, 40_000)).astype("f4") * 0.003
    filled = empty.copy()
    filled[:, 10_000:25_000] += 0.3 * np.sin(np.arange(15_000) * 0.4).astype("f4")
    level_db = [
        20 * np.log10(np.std(_sounds(augmenter, _keys(20), tf.constant(x), _no_events(20))[0] - x))
        for x in (empty, filled)
    ]
    assert level_db[1] == pytest.approx(level_db[0], abs=1.0)


def test_mixup_adds_the_example_before_and_its_labels() -> None:
    effects = {"mixup": {"probability": 0.5, "level_db": [-6, -3]}}
    ours, plain = _made(effects), _made(None)
    mixed = 0
    for i in range(2 * NUM):
        before = i if i % NUM == 0 else i - 1  # the first of an epoch: itself
        x, z = plain[0][i].ravel(), plain[0][before].ravel()
        y = ours[0][i].ravel()
        if np.array_equal(x, y):
            np.testing.assert_array_equal(ours[1][i], plain[1][i])
            continue
        a, b = np.linalg.lstsq(np.stack([x, z], axis=1), y, rcond=None)[0]
        if before != i:
            mixed += 1
            assert -6.01 < 20 * np.log10(b / a) < -2.99
            assert a**2 + b**2 == pytest.approx(1, abs=1e-4)
            np.testing.assert_allclose(y, a * x + b * z, atol=1e-5)
        np.testing.assert_array_equal(ours[1][i], np.maximum(plain[1][i], plain[1][before]))
        positive = ours[1][i].max(axis=1) > 0
        least = np.minimum(plain[2][i], plain[2][before])
        np.testing.assert_array_equal(ours[2][i], np.where(positive, 4.0, least))
    assert 12 < mixed < 36


def test_masks_hide_what_they_may_and_nothing_else() -> None:
    augmenter = _augmenter(masks={"num_times": 2, "time_s": 0.1, "num_bands": 1, "band_share": 0.2})
    features = np.random.default_rng(0).standard_normal((60, 100, 40)).astype("f4")
    ours = tf.function(augmenter.features)(_keys(60), tf.constant(features)).numpy()
    hidden = ours != features
    mean = np.broadcast_to(features.mean(axis=1, keepdims=True), features.shape)
    np.testing.assert_allclose(ours[hidden], mean[hidden], atol=1e-6)
    frames, bands = hidden.all(axis=2), hidden.all(axis=1)
    np.testing.assert_array_equal(hidden, frames[:, :, None] | bands[:, None, :])
    assert 15 < frames.sum(axis=1).max() <= 20
    assert bands.sum(axis=1).max() == 8
    assert bands.sum(axis=1).min() == 0
    assert (np.abs(np.diff(bands.astype(int), axis=1)).sum(axis=1) <= 2).all()
    assert frames.any(axis=0).all()
    assert bands.any(axis=0).mean() > 0.9
