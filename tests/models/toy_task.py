"""A task small enough to fit in seconds: points in a plane, a network with dropout and batch norm.

python -m tests.models.toy_task FOLDER key=value…      fits it; prints ids seen, losses, weights
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import tensorflow as tf
import tf_keras as keras

from models.fitting import fit
from models.model_files import save_model
from models.task import Judgement
from schemas.recipe_training import Fitting


class Points:
    num_examples = 100

    def records(self, epoch: tf.Tensor) -> tf.data.Dataset:
        order = tf.random.experimental.stateless_shuffle(
            tf.range(self.num_examples), seed=tf.stack([tf.constant(5, tf.int64), epoch])
        )
        return tf.data.Dataset.from_tensor_slices(order)


class ToyTask:
    """Attributes as in task.Task; `seen` is a file that gets the ids of every batch."""

    name, seed = "toy", 3
    source = Points()

    def __init__(self, fitting: Fitting, seen: Path, dropout: float = 0.5) -> None:
        self.fitting, self._seen, self._dropout = fitting, seen, dropout
        fitting_json = fitting.model_dump(mode="json", exclude={"strategy"})
        self.content = {"seed": self.seed, "training": fitting_json}

    def build(self) -> keras.Model:
        layers = keras.layers
        return keras.Sequential(
            [
                layers.Input([2]),
                layers.Dense(8),
                layers.BatchNormalization(synchronized=True),
                layers.Dropout(self._dropout),
                layers.Dense(1),
            ]
        )

    def prepare(self):
        def write(ids):
            with self._seen.open("a") as file:
                file.write(" ".join(map(str, ids.tolist())) + "\n")
            return ids

        def prepare(ids: tf.Tensor, _epoch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            ids = tf.ensure_shape(tf.numpy_function(write, [ids], tf.int32), ids.shape)
            x = tf.stack([tf.sin(tf.cast(ids, tf.float32)), tf.cos(tf.cast(ids, tf.float32))], 1)
            return x, x[:, :1] * x[:, 1:]

        return prepare

    def losses(self) -> dict[str, Any]:
        return {"loss": "mse"}

    def judge(self, network: keras.Model) -> Judgement:
        ids = tf.range(20, dtype=tf.float32)
        x = tf.stack([tf.sin(ids), tf.cos(ids)], 1)
        cost = float(tf.reduce_mean((network(x, training=False) - x[:, :1] * x[:, 1:]) ** 2))
        return Judgement(cost, {"mse": cost}, f"{cost:.3f}")

    def save(self, network: keras.Model, folder: Path, card: dict[str, Any]) -> None:
        save_model(network, folder, card)


def main(folder: Path, *settings: str) -> None:
    values: dict[str, Any] = {"batch_size": 10, "epochs": 3, "optimizer": "adam"}
    values |= {"early_stopping_epochs": 99, "checkpoint_steps": 4}
    values |= {k: json.loads(v) for k, _, v in (s.partition("=") for s in settings)}
    kill_at = values.pop("kill_at", None)
    worker = json.loads(os.environ.get("TF_CONFIG", "{}")).get("task", {}).get("index", 0)
    folder.mkdir(parents=True, exist_ok=True)

    def progress(done: int, total: int, remark: str) -> None:
        if done == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    dropout = values.pop("dropout", 0.5)
    task = ToyTask(Fitting.model_validate(values), folder / f"seen-{worker}.txt", dropout)
    result = fit(task, folder / "model", progress=progress)
    entries = json.loads((folder / "model/history.json").read_text())["epochs"]
    network = task.build()
    network.load_weights(str(folder / "model/network.weights.h5"))
    print(
        json.dumps(
            {
                "losses": [entry["loss"] for entry in entries],
                "costs": [entry["cost"] for entry in entries],
                "rates": [entry["learning_rate"] for entry in entries],
                "resumed": [result.resumed_from_epoch, result.resumed_from_step],
                "weights": [w.tolist() for w in network.get_weights()],
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
