"""Fitting any network: safe to kill at any moment, the same on one device or several machines.

What is fitted is a `Task`: it builds the network, makes the batches and judges an epoch's result
by what matters to a user. Each epoch ends with that judgement, a checkpoint and a line in
`history.json`, in this order: the best weights are written before the history that names them.

A killed run goes on at its last checkpoint, within an epoch if need be: batches are a pure function
of (seed, epoch, step), and the checkpoint holds optimiser, dropout's generators and the sum of the
losses, so the end is that of a run that nobody killed. Early stopping and the choice of weights
look at the judgement, never at the loss.
"""

from __future__ import annotations

import platform
import random
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import tensorflow as tf
import tf_keras as keras

from models.freezing import freeze
from models.initial_weights import InitialWeights
from models.learning_rates import learning_rate_of
from models.model_files import WEIGHTS_NAME, read_card
from models.random_layers import layers_own_generators
from models.step_clock import StepClock
from models.strategies import create_strategy, share_of, this_worker
from models.task import Task
from models.training_folder import TrainingFolder, chosen_epoch
from models.training_watch import Place, Progress, Watch
from pipeline.inputs.source import batches
from schemas.canonical import digest
from schemas.errors import TrainingError
from schemas.recipe_training import Fitting

_SOFTWARE = ("wakebeam", "tensorflow", "tf-keras", "tensorflow-io", "numpy")


@dataclass(frozen=True)
class FitResult:
    """What a call of `fit` did.

    Attributes:
        card: of the finished model.
        resumed_from_epoch: epochs that an earlier run had done; 0 for a fresh start.
        resumed_from_step: steps of the next one that it had done.
        already_complete: nothing was left to do.
        timing: where the time went, for people.
    """

    card: dict[str, Any]
    resumed_from_epoch: int
    resumed_from_step: int
    already_complete: bool
    timing: str = ""


def fit(
    task: Task,
    folder: Path,
    *,
    strategy: tf.distribute.Strategy | None = None,
    init_from: InitialWeights | None = None,
    overwrite: bool = False,
    resume: bool = False,
    profile: bool = False,
    progress: Progress | None = None,
) -> FitResult:
    """Fit a task's network, go on with a killed run, or find it done.

    Args:
        task: what to fit.
        folder: where the model, its checkpoints, history and TensorBoard logs go. Of several
            processes the first writes it; all read it.
        strategy: made before the task, where there are several workers; else by `task.fitting`.
        init_from: weights to start from instead of random ones.
        overwrite: fit anew although the folder holds something else.
        resume: only go on; a fresh start is an error. Without it both are right.
        profile: record what steps 10 to 20 of this run do, for TensorBoard.
        progress: called with (steps done, steps in all, remark) after every step.

    Raises:
        TrainingError: the folder holds another model or nothing to resume, there is no whole batch,
            a batch can't be divided between the devices, the loss is no longer finite, or
            `init_from` doesn't fit.
    """
    config = task.fitting
    identity = identity_of(task, init_from)
    strategy = strategy or create_strategy(config.strategy)
    worker = this_worker(strategy)
    kept = TrainingFolder(folder, identity, task.content, writes=worker == 0)
    if overwrite and kept.holds_another():
        kept.clear()
    state = kept.state()
    if state == "complete":
        return FitResult(read_card(folder), 0, 0, True)
    if resume and state == "empty":
        raise TrainingError(
            f"{folder} holds no training to go on with",
            fix="leave --resume out: a training goes on by itself where there is one",
        )
    steps = task.source.num_examples // config.batch_size
    if steps < 1:
        raise TrainingError(
            f"{task.source.num_examples} training examples",
            expected=f"at least one batch of {config.batch_size}",
            fix="make more examples or lower training.batch_size",
        )
    if state == "empty":
        kept.clear_leftovers()
    _seed(task.seed)
    judged = freeze(task.build(), config.freeze)
    _seed(task.seed)
    if config.mixed_precision:
        on_gpu = tf.config.list_physical_devices("GPU")
        keras.mixed_precision.set_global_policy("mixed_float16" if on_gpu else "mixed_bfloat16")
    try:
        with strategy.scope(), layers_own_generators():
            network = task.build()
            if init_from:
                init_from.put_into(network)
            freeze(network, config.freeze)
            rate = learning_rate_of(config, steps * config.epochs)
            optimizer = optimizer_of(config, rate)
            network.compile(optimizer=optimizer, **task.losses())
            network.distribute_reduction_method = "first"  # Keras would add up equal means
            optimizer.build(network.trainable_variables)
            place = Place(network)
            checkpoint = tf.train.Checkpoint(network=network, optimizer=optimizer, place=place)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    saved = kept.checkpoints_of(worker)
    manager = tf.train.CheckpointManager(checkpoint, str(saved), max_to_keep=2)
    latest = tf.train.latest_checkpoint(str(kept.checkpoints_of(0)))
    if latest and state == "unfinished":  # checkpoints alone don't say whose they are
        checkpoint.restore(latest)
    epoch, step = divmod(int(place.steps.numpy()), steps)
    kept.begin(epoch)
    watch = Watch(task, kept, manager, place, rate, judged, steps, progress)
    watch.apply_plateau()
    began = (epoch, step)
    callbacks = [watch]
    if worker == 0:
        steps_seen = (10, 20) if profile else 0
        board = keras.callbacks.TensorBoard(
            str(kept.logs), write_graph=False, profile_batch=steps_seen
        )
        callbacks.append(board)
    while epoch < config.epochs and not watch.is_stale():
        # An epoch that was begun is fitted alone: Keras wants equally long ones.
        until = epoch + 1 if step else config.epochs
        data = _distributed(strategy, task, range(epoch, until), step, watch.clock)
        try:
            network.fit(
                data,
                initial_epoch=epoch,
                epochs=until,
                steps_per_epoch=steps - step,
                callbacks=callbacks,
                verbose=0,
            )
        except (
            tf.errors.UnavailableError,
            tf.errors.InternalError,
            tf.errors.AbortedError,
        ) as error:
            if share_of(strategy).num_workers == 1:
                raise
            lines = str(error.message).strip().splitlines()
            why = next((line for line in lines if "abort" in line), lines[-1])[:300]
            raise TrainingError(
                f"the training stopped, as another worker ended or can't be reached: {why}",
                fix="start it again on all machines: it goes on at the last checkpoint",
            ) from error
        epoch, step = int(place.steps.numpy()) // steps, 0
        if network.stop_training:
            break
    card = _finish(task, kept, judged, init_from, writes=worker == 0)
    strategy.run(tf.function(_meet))
    return FitResult(card, *began, False, watch.clock.summary())


def identity_of(task: Task, init_from: InitialWeights | None) -> str:
    """Return a digest of all that a training depends on."""
    identity = digest(list(task.content.values()))
    return digest([identity, init_from.digest]) if init_from else identity


def _meet() -> tf.Tensor:
    """Wait for all devices, so that no process ends before the first has written the model."""
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tf.ones([]))


def _seed(seed: int) -> None:
    """Make the initial weights and the dropout masks follow from the seed.

    `keras.utils.set_random_seed` would do, but with tf-keras 2.17 on Python 3.12 every initialiser
    then fails: it passes 1e9, a float, to `randint`. Without that call the initialisers draw from
    Python's own generator, which this seeds. TensorFlow's seed is never 0: tf.data's `shuffle` with
    a seed that is a tensor fails then.
    """
    random.seed(seed)
    tf.random.set_seed(seed % 2**32 or 2**32 - 1)


def optimizer_of(config: Fitting, rate: Any) -> keras.optimizers.Optimizer:
    """Return the optimiser that a recipe's `training` section describes."""
    how = {"learning_rate": rate, "beta_2": config.beta_2, "global_clipnorm": config.clip_norm}
    if config.optimizer == "adamw":
        return keras.optimizers.AdamW(weight_decay=config.weight_decay, **how)
    if config.optimizer == "nadam":
        return keras.optimizers.Nadam(**how)
    return keras.optimizers.Adam(**how)


def _distributed(
    strategy: tf.distribute.Strategy, task: Task, epochs: range, first_step: int, clock: StepClock
) -> tf.data.Dataset:
    """Batches of this process, one for each of its devices."""

    def made(share: Any) -> tf.data.Dataset:
        return batches(
            task.source,
            task.prepare(),
            batch_size=task.fitting.batch_size,
            epochs=epochs,
            first_step=first_step,
            share=share,
            deterministic=task.fitting.deterministic,
            data_service=task.fitting.data_service,
        )

    share = share_of(strategy)
    if strategy.num_replicas_in_sync == 1:
        return clock.watched(made(share))
    return strategy.distribute_datasets_from_function(lambda _context: made(share))


def _finish(
    task: Task,
    folder: TrainingFolder,
    judged: keras.Model,
    init_from: InitialWeights | None,
    *,
    writes: bool,
) -> dict[str, Any]:
    epochs = folder.history["epochs"]
    chosen = chosen_epoch(epochs)
    card = {
        "name": task.name,
        "seed": task.seed,
        "training": task.fitting.model_dump(mode="json"),
        "init_from": {"name": init_from.path.name, "sha256": init_from.digest}
        if init_from
        else None,
        "best_epoch": chosen,
        "epochs_trained": len(epochs),
        "parameters": judged.count_params(),
        "software": {name: metadata.version(name) for name in _SOFTWARE}
        | {"python": platform.python_version()},
    }
    if writes:
        judged.load_weights(str(folder.best(chosen["epoch"]) / WEIGHTS_NAME))
        task.save(judged, folder.path, card)
    folder.finish()
    return card
