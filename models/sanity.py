"""Can this network learn from these batches at all? Asked before hours are spent on training.

Sound is looked at first, where the inputs are features over time with labels for each step:

    features.reshaped    time and frequency were exchanged by a reshape: right shape, wrong order.
                         The features vary more from bin to bin if read the other way round.
    features.shuffled    neighbouring frames are no more alike than any others
    labels.unrelated     positive steps don't follow sound: shifted in time at random, the labels
                         would lie as well (a permutation test, 5 %)

Then the network is fitted to one batch alone, without dropout, twice: deaf, all inputs being zeros,
and as it is, until its loss is half of what the deaf one reached:

    network.cannot_fit   it never was: too small, or the labels have nothing to do with the inputs

All is a function of the task's seed; neither the training nor its folder is touched.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Protocol, runtime_checkable

import numpy as np
import tensorflow as tf
import tf_keras as keras

from models.task import Task
from pipeline.inputs.source import batches
from schemas.errors import TrainingError

_FITTED = 0.5
_LEARNING_RATE = 3e-3
_NUM_SHIFTS = 200
_FEWEST_RUNS = 5


@dataclass(frozen=True)
class Finding:
    """Something wrong: its name, as above, and what was seen."""

    name: str
    text: str


@dataclass(frozen=True)
class Overfit:
    """How fitting one batch went.

    Attributes:
        deaf_loss: lowest that the network reached without its inputs.
        loss: reached with them.
        steps: until then.
    """

    deaf_loss: float
    loss: float
    steps: int

    @property
    def fitted(self) -> bool:
        """Whether the inputs helped."""
        return self.loss <= _FITTED * self.deaf_loss


@runtime_checkable
class HearsSound(Protocol):
    """A task whose batches are features over time with labels for each step."""

    def memory_frames(self) -> int:
        """Return how many frames before a positive step its sound may lie."""
        ...


def require_sane(task: Task, *, steps: int = 150) -> str:
    """Check a task's batches and overfit one; return what was found, for people.

    Raises:
        TrainingError: something is wrong; the finding's name is in the message.
    """
    if isinstance(task, HearsSound):
        seen = [(np.asarray(x), np.asarray(y)) for x, y, *_ in islice(_batches(task), 4)]
        features, labels = (np.concatenate(parts) for parts in zip(*seen, strict=True))
        for finding in check_sound(features, labels, memory_frames=task.memory_frames()):
            raise TrainingError(
                f"learning sanity: {finding.name}: {finding.text}",
                expected="features (time, frequency) and labels that follow the sound",
                fix="look at the examples, and train without --sanity if they are right",
            )
    result = overfit_one_batch(task, steps=steps)
    if not result.fitted:
        raise TrainingError(
            f"learning sanity: network.cannot_fit: {result.steps} steps on one batch brought the "
            f"loss to {result.loss:.4g}, and {result.deaf_loss:.4g} without any input",
            expected=f"at most {_FITTED * result.deaf_loss:.4g} with input",
            fix="try a larger network, and look at the labels",
        )
    return (
        f"one batch fitted: loss {result.loss:.3g} after {result.steps} steps, "
        f"{result.deaf_loss:.3g} without input"
    )


def overfit_one_batch(task: Task, *, steps: int = 150) -> Overfit:
    """Fit a new network to the first batch, deaf and as it is; no dropout."""
    inputs, *answers = next(_batches(task))
    silence = tf.nest.map_structure(tf.zeros_like, inputs)
    deaf = min(_losses(task, (silence, *answers), steps))
    reached = []
    for loss in _losses(task, (inputs, *answers), steps):
        reached.append(loss)
        if loss <= _FITTED * deaf:
            break
    return Overfit(deaf, reached[-1], len(reached))


def _losses(task: Task, batch: tuple, steps: int) -> Iterator[float]:
    """Yield the loss of each step of fitting a new network to one batch."""
    random.seed(task.seed)  # tf-keras' initialisers draw from here
    tf.random.set_seed(task.seed % 2**32)
    network = task.build()
    for part in network.submodules:
        if isinstance(part, keras.layers.Dropout):
            part.rate = 0.0
    optimizer = keras.optimizers.Adam(learning_rate=_LEARNING_RATE, global_clipnorm=5.0)
    network.compile(optimizer=optimizer, **task.losses())
    for _ in range(steps):
        yield float(network.train_on_batch(*batch, return_dict=True)["loss"])


def check_sound(features: np.ndarray, labels: np.ndarray, *, memory_frames: int) -> list[Finding]:
    """Return what is wrong with features and labels.

    Args:
        features: (B, T, F), powers or logarithms of them.
        labels: (B, S, L) in {0, 1}; step s ends with frame (s + 1)·T/S, roughly.
        memory_frames: how far back the sound of a positive step may lie.
    """
    level = _level(features)
    return [
        *_check_axes(level),
        *_check_frames(level),
        *_check_labels(level, labels, memory_frames),
    ]


def _level(features: np.ndarray) -> np.ndarray:
    """Logarithms, whatever was given: powers are never negative, their logarithms mostly are."""
    if features.min() < 0:
        return features.astype(np.float64)
    return np.log(features + 1e-6 * features.mean() + 1e-30)


def _check_axes(level: np.ndarray) -> Iterator[Finding]:
    batch, frames, bins = level.shape
    as_given = _share_between_bins(level)
    other_way = _share_between_bins(level.reshape(batch, bins, frames).transpose(0, 2, 1))
    if other_way > max(2 * as_given, as_given + 0.05):
        yield Finding(
            "features.reshaped",
            f"the bins' means hold {100 * as_given:.1f} % of the variance, and "
            f"{100 * other_way:.1f} % if ({frames}, {bins}) is read as ({bins}, {frames}): "
            "the axes were exchanged by a reshape, not by a transpose",
        )


def _share_between_bins(level: np.ndarray) -> float:
    """Variance of the bins' means over all variance: a spectrum has a shape, time has less."""
    return float(level.mean(axis=(0, 1)).var() / max(level.var(), 1e-30))


def _check_frames(level: np.ndarray) -> Iterator[Finding]:
    rest = level - level.mean(axis=(0, 1))
    alike = float((rest[:, 1:] * rest[:, :-1]).mean() / max((rest**2).mean(), 1e-30))
    if alike < 0.1:
        yield Finding(
            "features.shuffled",
            f"neighbouring frames correlate by {alike:.2f}: they are not in the order of time",
        )


def _check_labels(level: np.ndarray, labels: np.ndarray, memory_frames: int) -> Iterator[Finding]:
    """Is it louder before positive steps than before as many others, equally grouped?"""
    positive = labels.max(axis=-1) > 0
    runs = int((positive[:, 1:] & ~positive[:, :-1]).sum())
    if runs < _FEWEST_RUNS:
        return
    loudness = level.mean(axis=-1)
    loudness = loudness - loudness.mean(axis=1, keepdims=True)
    total = np.cumsum(np.pad(loudness, [(0, 0), (1, 0)]), axis=1)
    ends = (np.arange(1, positive.shape[1] + 1) * level.shape[1]) // positive.shape[1]
    begins = np.maximum(0, ends - memory_frames)
    before = (total[:, ends] - total[:, begins]) / np.maximum(1, ends - begins)
    seen = before[positive].mean()
    rng = np.random.default_rng(0)
    steps = np.arange(positive.shape[1])
    as_high = 0
    for _ in range(_NUM_SHIFTS):
        shifts = rng.integers(0, len(steps), (len(positive), 1))
        shifted = np.take_along_axis(positive, (steps - shifts) % len(steps), axis=1)
        as_high += before[shifted].mean() >= seen
    chance = (1 + as_high) / (1 + _NUM_SHIFTS)
    if chance > 0.05:
        yield Finding(
            "labels.unrelated",
            f"{runs} runs of positive steps don't follow sound: labels shifted at random do so as "
            f"well in {100 * chance:.0f} of 100 cases",
        )


def _batches(task: Task) -> Iterator[tuple]:
    return iter(
        batches(task.source, task.prepare(), batch_size=task.fitting.batch_size, epochs=range(1))
    )
