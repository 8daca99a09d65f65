"""What happens beside a training's steps: counting, checkpoints, the judgement after each epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf
import tf_keras as keras

from models.learning_rates import LearningRate
from models.random_layers import generators_of
from models.step_clock import StepClock
from models.task import Task
from models.training_folder import TrainingFolder, chosen_epoch
from schemas.errors import TrainingError

Progress = Callable[[int, int, str], None]


class Place(tf.Module):
    """Where a training is: what a checkpoint holds besides network and optimiser."""

    def __init__(self, network: keras.Model) -> None:
        super().__init__()
        self.generators = generators_of(network)
        self.steps = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.loss_sum = tf.Variable(0.0, dtype=tf.float64, trainable=False)


class Watch(keras.callbacks.Callback):
    """Counts, saves, judges and reports; stops when the judged cost no longer falls."""

    def __init__(
        self,
        task: Task,
        folder: TrainingFolder,
        manager: tf.train.CheckpointManager,
        place: Place,
        rate: LearningRate,
        judged: keras.Model,
        steps: int,
        progress: Progress | None,
    ) -> None:
        super().__init__()
        self._task, self._folder, self._manager, self._place = task, folder, manager, place
        self._rate, self._judged, self._steps, self._progress = rate, judged, steps, progress
        self._remark = ""
        self._began_s = time.monotonic()
        self._base = (0, 0.0)
        self.clock = StepClock()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Note where the epoch, or the rest of one, begins."""
        self._began_s = time.monotonic()
        done = int(self._place.steps.numpy())
        self._base = (done, float(self._place.loss_sum.numpy()))
        self.clock.epoch_begins()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Count a step; now and then save where the training is."""
        loss = (logs or {}).get("loss", math.nan)  # the mean of this call's epoch so far
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss became {loss} in step {self._base[0] + batch + 1}",
                fix="lower training.learning_rate and pass --overwrite",
            )
        done = self._base[0] + batch + 1
        self._place.steps.assign(done)
        self._place.loss_sum.assign(self._base[1] + loss * (batch + 1))
        if done % self._steps and done % self._task.fitting.checkpoint_steps == 0:
            self._manager.save()
        self.clock.step_ends()
        self._report(done)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Judge, keep the weights if they are chosen, then write the history, then save."""
        self._judged.set_weights(self.model.get_weights())
        judgement = self._task.judge(self._judged)
        entry: dict[str, Any] = {
            "epoch": epoch + 1,
            "loss": float(self._place.loss_sum.numpy()) / self._steps,
            "cost": judgement.cost,
            "cost_error": judgement.cost_error,
            "learning_rate": float(self._rate(self.model.optimizer.iterations)),
            **judgement.values,
            **self.clock.epoch_values(),
            "seconds": round(time.monotonic() - self._began_s, 2),
        }
        if chosen_epoch([*self._folder.history["epochs"], entry]) is entry:
            self._folder.save_best(epoch + 1, self._save)
        self._folder.keep(judgement.keep)
        self._folder.add(entry)
        if logs is not None:
            logs |= {f"val_{name}": value for name, value in judgement.values.items()}
        self._folder.summarise(epoch, judgement.summaries)
        self._place.loss_sum.assign(0.0)
        self._manager.save()
        self.apply_plateau()
        self._remark = f"epoch {epoch + 1}: {judgement.remark}"
        self._report(int(self._place.steps.numpy()))
        if self.is_stale():
            self.model.stop_training = True

    def apply_plateau(self) -> None:
        """Set the learning rate's factor to what the history of costs gives."""
        self._rate.follow(self._costs())

    def is_stale(self) -> bool:
        """Whether the last epochs brought nothing better."""
        costs = self._costs()
        patience = self._task.fitting.early_stopping_epochs
        return len(costs) > patience and min(costs[-patience:]) >= min(costs[:-patience])

    def _report(self, done: int) -> None:
        if self._progress is not None:
            self._progress(done, self._steps * self._task.fitting.epochs, self._remark)

    def _save(self, path: Path) -> None:
        self._judged.save_weights(str(path))

    def _costs(self) -> list[float]:
        return [entry["cost"] for entry in self._folder.history["epochs"]]
