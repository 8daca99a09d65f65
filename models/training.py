"""Training: a network fitted to a data set, judged by events, safe to kill.

Each epoch ends with the event-level cost on the validation split, a checkpoint and a line in
`history.json`, in this order: the best weights are written before the history that names them. A
killed run goes on at its last finished epoch with the same optimiser state, learning rate and
example order. Early stopping and the choice of weights look at events, never at the loss.
"""

from __future__ import annotations

import math
import platform
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf
import tf_keras as keras

from models.detector import MAX_LOGIT, Detector, read_card
from models.event_matching import choose_point, event_cost, sweep
from models.scoring import score_split
from models.strategies import create_strategy
from models.training_folder import TrainingFolder
from pipeline.frame_labels import LabelRule
from pipeline.input_dataset import read_dataset, training_dataset
from schemas.errors import TrainingError
from schemas.recipe import Recipe
from schemas.stored_dataset import StoredDataset

Progress = Callable[[int, int, str], None]
_WARM_UP = 0.1
_BETA_2 = 0.98


@dataclass(frozen=True)
class TrainingResult:
    """What a call of `train` did.

    Attributes:
        card: of the finished model.
        resumed_from_epoch: epochs that an earlier run had done; 0 for a fresh start.
        already_complete: nothing was left to do.
    """

    card: dict[str, Any]
    resumed_from_epoch: int
    already_complete: bool


class WarmUpCosine(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up, then a cosine to a hundredth of the peak: a pure function of the step."""

    def __init__(self, peak: float, total_steps: int) -> None:
        self._peak = peak
        self._total = total_steps
        self._warm_up = max(1, min(100, round(_WARM_UP * total_steps)))

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Return the learning rate of a step."""
        step = tf.cast(step, tf.float32)
        rising = (step + 1.0) / self._warm_up
        done = tf.minimum(1.0, (step - self._warm_up) / max(1, self._total - self._warm_up))
        falling = 0.01 + 0.99 * 0.5 * (1.0 + tf.cos(math.pi * tf.maximum(done, 0.0)))
        return self._peak * tf.minimum(rising, falling)

    def get_config(self) -> dict[str, Any]:
        """Return what makes an equal schedule."""
        return {"peak": self._peak, "total_steps": self._total}


def masked_loss(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Binary cross-entropy from logits, mean over labels: (B, S, L) twice → (B, S).

    Step weights, 0 where the answer doesn't matter, come as Keras' sample weights.
    """
    logits = tf.clip_by_value(logits, -MAX_LOGIT, MAX_LOGIT)
    losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits)
    return tf.reduce_mean(losses, axis=-1)


def train(
    recipe: Recipe,
    data: str,
    folder: Path,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> TrainingResult:
    """Train the recipe's model on a data set, go on with a killed run, or find it done.

    Args:
        recipe: features, model, training and evaluation sections are used.
        data: folder or URI of a complete data set.
        folder: where the model, its checkpoints, history and TensorBoard logs go.
        overwrite: train anew although the folder holds something.
        progress: called with (steps done, steps in all, remark) after every step.

    Raises:
        TrainingError: the folder holds another model, or the data set is too small for a batch.
        DatasetError: the data set isn't complete.
    """
    stored = read_dataset(data)
    kept = TrainingFolder(folder, recipe, stored)
    if overwrite:
        try:
            kept.state()
        except TrainingError:
            kept.clear()
    if kept.state() == "complete":
        return TrainingResult(read_card(folder), 0, True)
    config = recipe.training
    strategy = create_strategy(config.strategy)
    steps = stored.num_examples("train") // config.batch_size
    if steps < 1 or not stored.num_examples("validation"):
        raise TrainingError(
            f"{stored.num_examples('train')} training and "
            f"{stored.num_examples('validation')} validation examples",
            expected=f"at least one batch of {config.batch_size}, and some to validate on",
            fix="raise dataset.num_examples or lower training.batch_size",
        )
    _seed_initial_weights(recipe.seed)
    with strategy.scope():
        detector = Detector.of(recipe)
        optimizer = keras.optimizers.AdamW(
            learning_rate=WarmUpCosine(config.learning_rate, steps * config.epochs),
            weight_decay=config.weight_decay,
            beta_2=_BETA_2,
            global_clipnorm=config.clip_norm,
        )
        optimizer.build(detector.network.trainable_variables)
        detector.network.compile(optimizer=optimizer, loss=masked_loss)
        epoch_done = tf.Variable(0, dtype=tf.int64, trainable=False)
    checkpoint = tf.train.Checkpoint(
        network=detector.network, optimizer=optimizer, epoch=epoch_done
    )
    manager = tf.train.CheckpointManager(checkpoint, str(kept.checkpoints), max_to_keep=2)
    if manager.latest_checkpoint:
        checkpoint.restore(manager.latest_checkpoint)
    first = int(epoch_done.numpy())
    kept.begin(first)
    watch = _EpochEnd(detector, recipe, stored, kept, manager, epoch_done, steps, progress)
    if first < config.epochs and not watch.is_stale():
        dataset = training_dataset(
            stored,
            split="train",
            batch_size=config.batch_size,
            epochs=range(first, config.epochs),
            seed=recipe.seed,
            feature_fn=detector.features,
            rule=label_rule(recipe, detector, stored),
        )
        board = keras.callbacks.TensorBoard(str(kept.logs), write_graph=False)
        detector.network.fit(
            dataset,
            initial_epoch=first,
            epochs=config.epochs,
            steps_per_epoch=steps,
            callbacks=[watch, board],
            verbose=0,
        )
    return TrainingResult(_finish(recipe, stored, kept), first, False)


def _seed_initial_weights(seed: int) -> None:
    """Make the initial weights and the dropout masks follow from the seed.

    `keras.utils.set_random_seed` would do, but with tf-keras 2.17 on Python 3.12 every initialiser
    then fails: it passes 1e9, a float, to `randint`. Without that call the initialisers draw from
    Python's own generator, which this seeds.
    """
    random.seed(seed)
    tf.random.set_seed(seed % 2**32)


def label_rule(recipe: Recipe, detector: Detector, stored: StoredDataset) -> LabelRule:
    """Return how events become labels for a detector's stride."""
    return LabelRule.of(
        recipe.training.label_window,
        labels=detector.labels,
        num_steps=detector.num_steps(stored.example_samples),
        warmup_samples=detector.warmup_samples,
        hop_samples=detector.hop_samples,
        sample_rate_hz=detector.sample_rate_hz,
        positive_weight=recipe.training.positive_weight,
        scene_samples=stored.example_samples,
    )


class _EpochEnd(keras.callbacks.Callback):
    """Judges, saves and reports; stops when the event-level cost no longer falls."""

    def __init__(
        self,
        detector: Detector,
        recipe: Recipe,
        stored: StoredDataset,
        folder: TrainingFolder,
        manager: tf.train.CheckpointManager,
        epoch_done: tf.Variable,
        steps: int,
        progress: Progress | None,
    ) -> None:
        super().__init__()
        self._detector, self._recipe, self._stored = detector, recipe, stored
        self._folder, self._manager = folder, manager
        self._epoch_done, self._steps, self._progress = epoch_done, steps, progress
        self._remark = ""
        self._began_s = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._began_s = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        loss = (logs or {}).get("loss", math.nan)
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss became {loss} in step {batch} of epoch {int(self._epoch_done) + 1}",
                fix="lower training.learning_rate and pass --overwrite",
            )
        if self._progress is not None:
            done = int(self._epoch_done.numpy()) * self._steps + batch + 1
            self._progress(done, self._steps * self._recipe.training.epochs, self._remark)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        judging = self._recipe.evaluation
        recordings = score_split(self._detector, self._stored, "validation")
        points = sweep(
            recordings,
            self._detector.labels,
            debounce_s=judging.debounce_s,
            hit_window_s=judging.hit_window_s,
        )
        cost = event_cost(points)
        point = choose_point(points, judging.max_false_accepts_per_hour)
        best = min(self._costs(), default=math.inf)
        if cost < best:
            self._detector.save(self._folder.best(epoch + 1), {"epoch": epoch + 1})
        self._folder.add(
            {
                "epoch": epoch + 1,
                "loss": float((logs or {}).get("loss", math.nan)),
                "event_cost": cost,
                "miss_rate": point.miss_rate,
                "false_accepts_per_hour": point.false_accepts_per_hour,
                "threshold": point.threshold,
                "seconds": round(time.monotonic() - self._began_s, 2),
            }
        )
        if logs is not None:
            logs["val_event_cost"] = cost
            logs["val_miss_rate"] = point.miss_rate
        self._epoch_done.assign(epoch + 1)
        self._manager.save()
        self._remark = (
            f"epoch {epoch + 1}: {100 * point.miss_rate:.1f} % missed at "
            f"{point.false_accepts_per_hour:.1f} false accepts/h on validation"
        )
        if self.is_stale():
            self.model.stop_training = True

    def is_stale(self) -> bool:
        """Whether the last epochs brought nothing better."""
        costs = self._costs()
        patience = self._recipe.training.early_stopping_epochs
        return len(costs) > patience and min(costs[-patience:]) >= min(costs[:-patience])

    def _costs(self) -> list[float]:
        return [entry["event_cost"] for entry in self._folder.history["epochs"]]


def _finish(recipe: Recipe, stored: StoredDataset, folder: TrainingFolder) -> dict[str, Any]:
    epochs = folder.history["epochs"]
    chosen = min(epochs, key=lambda e: (e["event_cost"], e["epoch"]))
    best = Detector.load(folder.best(chosen["epoch"]))
    card = {
        "name": recipe.name,
        "seed": recipe.seed,
        "training": recipe.training.model_dump(mode="json"),
        "evaluation": recipe.evaluation.model_dump(mode="json"),
        "dataset": {
            "identity": stored.identity(),
            "recipe_digests": [manifest.recipe_digest for manifest in stored.manifests],
        },
        "licences": dict(stored.licences()),
        "best_epoch": chosen,
        "epochs_trained": len(epochs),
        "software": {"tensorflow": tf.__version__, "python": platform.python_version()},
    }
    best.save(folder.path, card)
    folder.finish()
    return read_card(folder.path)
