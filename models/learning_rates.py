"""Learning rates: pure functions of the step, times what a plateau of the cost has taken off."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras

from schemas.recipe_training import Fitting, Plateau

_WARM_UP = 0.1


class LearningRate(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule with a factor that follows the judged costs, which the history holds.

    So a training that goes on has the rate that it would have had.
    """

    def __init__(self, peak: float, plateau: Plateau | None) -> None:
        self._peak = peak
        self._plateau = plateau
        self._factor = tf.Variable(1.0, trainable=False, name="plateau_factor")

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Return the learning rate of a step."""
        rate = self._peak * self.shape(tf.cast(step, tf.float32)) * self._factor
        return tf.maximum(rate, self._plateau.floor) if self._plateau else rate

    def shape(self, step: tf.Tensor) -> tf.Tensor:
        """Return the share of the peak at a step; constant here."""
        return tf.ones_like(step)

    def follow(self, costs: Sequence[float]) -> None:
        """Lower the factor for each run of `patience` epochs that brought nothing better."""
        if self._plateau is None:
            return
        factor, best, waited = 1.0, math.inf, 0
        for cost in costs:
            waited = 0 if cost < best else waited + 1
            best = min(best, cost)
            if waited >= self._plateau.patience:
                factor, waited = factor * self._plateau.factor, 0
        self._factor.assign(factor)

    def get_config(self) -> dict[str, Any]:
        """Return what makes an equal schedule."""
        return {"peak": self._peak, "plateau": self._plateau}


class WarmUpCosine(LearningRate):
    """Linear warm-up over a tenth of the steps, at most 100, then a cosine to a hundredth."""

    def __init__(self, peak: float, plateau: Plateau | None, total_steps: int) -> None:
        super().__init__(peak, plateau)
        self._total = total_steps
        self._warm_up = max(1, min(100, round(_WARM_UP * total_steps)))

    def shape(self, step: tf.Tensor) -> tf.Tensor:
        """Return the share of the peak at a step."""
        rising = (step + 1.0) / self._warm_up
        done = tf.minimum(1.0, (step - self._warm_up) / max(1, self._total - self._warm_up))
        falling = 0.01 + 0.99 * 0.5 * (1.0 + tf.cos(math.pi * tf.maximum(done, 0.0)))
        return tf.minimum(rising, falling)


class InverseTime(LearningRate):
    """1 / (1 + decay · step): what the Keras of the period called `decay`."""

    def __init__(self, peak: float, plateau: Plateau | None, decay: float) -> None:
        super().__init__(peak, plateau)
        self._decay = decay

    def shape(self, step: tf.Tensor) -> tf.Tensor:
        """Return the share of the peak at a step."""
        return 1.0 / (1.0 + self._decay * step)


def learning_rate_of(config: Fitting, total_steps: int) -> LearningRate:
    """Return the learning rate that a recipe's `training` section describes."""
    if config.schedule == "warm_up_cosine":
        return WarmUpCosine(config.learning_rate, config.plateau, total_steps)
    if config.schedule == "inverse_time":
        return InverseTime(config.learning_rate, config.plateau, config.decay)
    return LearningRate(config.learning_rate, config.plateau)
