"""R48: a good batch fits; scrambled features, labels and hopeless networks fail by name."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from models.features import build_front_end
from models.sanity import check_sound, overfit_one_batch, require_sane
from models.zoo import build_network
from schemas.errors import TrainingError
from schemas.recipe import BcResnet, LogMel, Specgram
from schemas.recipe_training import Fitting
from tests.models.toy_task import ToyTask

RATE, SECONDS = 16000, 4


def _scenes(front_end, *, snr: float = 4.0, num: int = 24):
    """Coloured noise with two chirps a scene; the later one is the keyword, labelled at its end."""
    rng = np.random.default_rng(0)
    audio, ends = [], []
    for _ in range(num):
        x = 0.01 * np.convolve(rng.standard_normal(RATE * SECONDS), [1, 0.9, 0.5], "same")
        for number, start in enumerate(rng.integers(1000, RATE * 3 // 2, 2)):
            onset, n = start + number * RATE * 2, 7000
            sweep = np.linspace(400, 2000, n)[:: 1 if number else -1]
            x[onset : onset + n] += 0.01 * snr * np.sin(2 * np.pi * np.cumsum(sweep) / RATE)
        ends.append(onset + n)
        audio.append(x)
    features = front_end(tf.constant(np.stack(audio), tf.float32)).numpy()
    steps = RATE * SECONDS // 320
    at = 320 * np.arange(1, steps + 1)
    window = np.array(ends)[:, None] + np.array([-0.05, 0.25]) * RATE
    labels = (at >= window[:, :1]) & (at <= window[:, 1:])
    return features, labels[..., None].astype("f4")


FRONT_ENDS = {"log_mel": LogMel(), "specgram": Specgram()}


@pytest.fixture(params=FRONT_ENDS)
def scenes(request):
    config = FRONT_ENDS[request.param]
    front_end = build_front_end(config, RATE)
    return *_scenes(front_end), round(0.55 * RATE / front_end.hop_samples)


def _names(features, labels, memory) -> list[str]:
    return [finding.name for finding in check_sound(features, labels, memory_frames=memory)]


def test_R48_good_features_and_labels_pass(scenes) -> None:
    features, labels, memory = scenes
    assert _names(features, labels, memory) == []


def test_R48_reshaped_features_fail_by_name(scenes) -> None:
    features, labels, memory = scenes
    batch, frames, bins = features.shape
    reshaped = features.transpose(0, 2, 1).reshape(batch, frames, bins)
    assert reshaped.shape == features.shape
    assert "features.reshaped" in _names(reshaped, labels, memory)


def test_R48_frames_out_of_order_fail_by_name(scenes) -> None:
    features, labels, memory = scenes
    order = np.random.default_rng(0).permutation(features.shape[1])
    assert "features.shuffled" in _names(features[:, order], labels, memory)


@pytest.mark.parametrize("seed", range(3))
def test_R48_labels_of_other_examples_fail_by_name(scenes, seed: int) -> None:
    features, labels, memory = scenes
    rng = np.random.default_rng(seed)
    shifts = rng.integers(0, labels.shape[1], len(labels))
    moved = np.stack([np.roll(row, k, axis=0) for row, k in zip(labels, shifts, strict=True)])
    assert _names(features, moved, memory) == ["labels.unrelated"]


def test_R48_faint_keywords_are_no_fault() -> None:
    front_end = build_front_end(LogMel(), RATE)
    features, labels = _scenes(front_end, snr=1.0)
    assert _names(features, labels, 55) == []


def test_labels_without_a_keyword_say_nothing(scenes) -> None:
    features, labels, memory = scenes
    assert _names(features, np.zeros_like(labels), memory) == []


class _Hearing(ToyTask):
    """The toy task with scenes for points and a detector for a network."""

    def __init__(self, fitting: Fitting, reshape: bool = False) -> None:
        super().__init__(fitting, None)
        features, labels = _scenes(build_front_end(LogMel(), RATE), num=8)
        if reshape:
            features = features.transpose(0, 2, 1).reshape(features.shape)
        self._features, self._labels = tf.constant(features), tf.constant(labels)

    def build(self):
        return build_network(BcResnet(channels=8), num_features=40, num_labels=1)

    def prepare(self):
        def prepare(ids, _epoch):
            return tf.gather(self._features, ids % 8), tf.gather(self._labels, ids % 8)[:, :199]

        return prepare

    def losses(self):
        return {"loss": lambda y, x: tf.nn.sigmoid_cross_entropy_with_logits(y, x)}

    def memory_frames(self) -> int:
        return 55


def test_R48_one_good_batch_is_fitted() -> None:
    task = _Hearing(Fitting(batch_size=4))
    said = require_sane(task)
    assert said.startswith("one batch fitted")
    result = overfit_one_batch(task, steps=3)
    assert (result.steps, result.fitted) == (3, False), "three steps are too few for anything"


def test_R48_the_task_with_reshaped_features_is_refused_by_name() -> None:
    with pytest.raises(TrainingError, match=r"features\.reshaped.*reshape, not by a transpose"):
        require_sane(_Hearing(Fitting(batch_size=8), reshape=True))


def test_R48_a_network_that_cannot_learn_is_refused_by_name(tmp_path) -> None:
    """A linear network and a product of its inputs."""
    with pytest.raises(TrainingError, match=r"network\.cannot_fit"):
        require_sane(ToyTask(Fitting(batch_size=20), tmp_path / "seen.txt"), steps=40)
