"""What can be fitted: a task builds a network, feeds it, judges an epoch and saves the best."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import tf_keras as keras

from pipeline.inputs.source import ExampleSource, Prepare
from schemas.recipe_training import Fitting


@dataclass(frozen=True)
class Judgement:
    """What an epoch reached.

    Attributes:
        cost: what early stopping and the choice of weights want low; finite.
        values: numbers for the history and TensorBoard.
        remark: the same for people, on one line.
        cost_error: standard error of the cost; 0 where it isn't known.
    """

    cost: float
    values: dict[str, float]
    remark: str
    summaries: Callable[[], None] = field(default=lambda: None)
    """Writes pictures or sounds with tf.summary; called with the writer and step set."""
    keep: Callable[[Path], None] = field(default=lambda folder: None)
    """Writes into the training's folder what people may look at until the next epoch."""
    cost_error: float = 0.0


class Task(Protocol):
    """Something to be fitted."""

    @property
    def name(self) -> str:
        """In messages and on the card."""
        ...

    @property
    def content(self) -> dict[str, Any]:
        """All that the result depends on, by name, as plain values."""
        ...

    @property
    def seed(self) -> int:
        """Of initial weights, order and augmentation."""
        ...

    @property
    def fitting(self) -> Fitting:
        """How."""
        ...

    @property
    def source(self) -> ExampleSource:
        """Of the training examples."""
        ...

    def build(self) -> keras.Model:
        """Return a new, built network; called within the strategy's scope."""
        ...

    def prepare(self) -> Prepare:
        """Return what makes network inputs of records; it uses no variable of the network."""
        ...

    def losses(self) -> dict[str, Any]:
        """Return Keras' `loss` and, if wanted, `metrics` and `loss_weights` for `compile`."""
        ...

    def judge(self, network: keras.Model) -> Judgement:
        """Judge a network of `build`, outside of any strategy."""
        ...

    def save(self, network: keras.Model, folder: Path, card: dict[str, Any]) -> None:
        """Write weights, then `model.json` with `card` and what the task adds to it."""
        ...
