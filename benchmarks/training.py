"""What our trainer costs beside Keras' bare `fit` on arrays in memory, and how soon it begins.

    python -m benchmarks.training

The default model on four-second scenes at 16 kHz. Ours is the trainer as `wakebeam train` runs it:
it reads shards, decodes, makes features and labels, takes them to the network and watches its
steps; the bare `fit` has the same features and labels as arrays in memory and nothing else to do.
Both take the same number of steps with the same batches, optimiser and loss, an epoch of each in
turns, with networks that are compiled already. What is timed is an epoch from the end of its first
step to that of its last, without the judgement that a bare `fit` doesn't have. Making the input
alone says how much of the machine it takes.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

from benchmarks.clips import bank_on_disk, recipe
from benchmarks.measuring import RUNS, show

RATE = 16_000
SCENE = {
    "duration_s": 4.0,
    "on_infeasible": "condition",
    "num_keywords": [0, 1],
    "num_negatives": [0, 2],
    "margin_s": 0.3,
}
STEPS = int(os.environ.get("STEPS", 40))
_TO_FIRST_STEP = """
import sys, time
from benchmarks.training import task_of
task = task_of(sys.argv[1])
from models import fitting
from pathlib import Path
began = time.monotonic()
def progress(done, total, remark):
    print("first", time.monotonic() - began, flush=True)
    import os
    os._exit(0)
fitting.fit(task, Path(sys.argv[2]), progress=progress)
"""


def default_recipe(num_train: int, epochs: int = 1) -> Any:
    """Return a recipe with the product's default front end and network."""
    values = recipe(num_train, SCENE, RATE).model_dump(by_alias=True, mode="json")
    for name in ("features", "model", "training"):
        values.pop(name)
    values["training"] = {"epochs": epochs, "early_stopping_epochs": epochs}
    values["splits"] |= {"train": 0.5, "validation": 0.5, "test": 0.0}
    values["material"]["background"][0]["shared"] = True
    values["dataset"]["num_examples"] = {"train": num_train, "validation": 8, "test": 0}
    return type(recipe(1, SCENE, RATE)).model_validate(values)


def task_of(data: str, epochs: int = 1) -> Any:
    """Return the task that fits the default model to a data set at `data`."""
    from models.detection_task import DetectionTask
    from pipeline.input_dataset import read_dataset

    return DetectionTask(default_recipe(read_dataset(data).num_examples("train"), epochs), data)


def main() -> None:
    """Measure and print."""
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from beam_jobs.synthesize import synthesize

    with tempfile.TemporaryDirectory() as folder:
        bank = bank_on_disk(Path(folder, "material"), RATE)
        data = str(Path(folder, "data"))
        made = default_recipe(STEPS * 16)
        synthesize(made, bank.location, data)
        _beside_bare_fit(data, Path(folder))
        _to_the_first_step(data, Path(folder))


def _beside_bare_fit(data: str, folder: Path) -> None:
    import numpy as np
    import tf_keras as keras

    from models.fitting import fit, optimizer_of
    from models.learning_rates import learning_rate_of
    from pipeline.inputs.source import batches

    task = task_of(data, epochs=RUNS + 1)
    size = task.fitting.batch_size

    def stream() -> Any:
        return batches(task.source, task.prepare(), batch_size=size, epochs=range(1))

    parts = [[part.numpy() for part in batch] for batch in stream()]
    arrays = [np.concatenate(column) for column in zip(*parts, strict=True)]
    bare = task.build()
    rate = learning_rate_of(task.fitting, STEPS * RUNS)
    bare.compile(optimizer=optimizer_of(task.fitting, rate), **task.losses())
    figures: dict[str, list[float]] = {"ours": [], "bare": [], "input": []}
    ends: list[float] = []

    def step_ended(*_: object) -> None:
        ends.append(time.perf_counter())

    def bare_epoch_ms() -> float:
        ends.clear()
        watch = keras.callbacks.LambdaCallback(on_train_batch_end=step_ended)
        how = {"sample_weight": arrays[2], "batch_size": size, "epochs": 1, "verbose": 0}
        bare.fit(arrays[0], arrays[1], callbacks=[watch], **how)
        return _each_ms(ends)

    def progress(done: int, _total: int, _remark: str) -> None:
        """Note our step; after an epoch's last one it is the peers' turn."""
        step_ended()
        if done % STEPS or len(ends) < STEPS:
            return
        figures["ours"].append(_each_ms(ends[-STEPS:]))
        figures["bare"].append(bare_epoch_ms())
        began_s = time.perf_counter()
        for _ in stream():
            pass
        figures["input"].append(1000 * (time.perf_counter() - began_s) / STEPS)
        ends.clear()

    fit(task, folder / "model", progress=progress)
    kept = {name: values[1:] for name, values in figures.items()}  # the first epoch compiles
    show("a step of ours, from shards", kept["ours"], "ms")
    show("a step of Keras' fit, from arrays in memory", kept["bare"], "ms")
    ratios = [o / b for o, b in zip(kept["ours"], kept["bare"], strict=True)]
    show("ours / bare", ratios, "times the time")
    show("making the input alone", kept["input"], "ms a step")


def _each_ms(ends: list[float]) -> float:
    """Milliseconds a step, from the end of an epoch's first step to that of its last."""
    return 1000 * (ends[-1] - ends[0]) / (len(ends) - 1)


def _to_the_first_step(data: str, folder: Path) -> None:
    seconds = []
    for run in range(RUNS):
        words = [sys.executable, "-c", _TO_FIRST_STEP, data, str(folder / f"model-{run}")]
        done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
        seconds.append(float(done.stdout.split()[-1]))
    show("from the call of fit to the end of the first step", seconds, "s")


if __name__ == "__main__":
    main()
