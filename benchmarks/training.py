"""What our trainer costs beside Keras' bare `fit` on arrays in memory, and how soon it begins.

    python -m benchmarks.training

The default model on four-second scenes at 16 kHz. Ours reads shards, decodes, makes features and
labels, and takes them to the network; the bare `fit` has the same features and labels as arrays in
memory and nothing else to do. Both take the same number of steps with the same batches, optimiser
and loss, in turns, with networks that are compiled already. What is timed is a whole epoch but for
the judgement at its end, which a bare `fit` doesn't have. A step in which nothing but the input is
made says how much of the machine the input takes.
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


def default_recipe(num_train: int) -> Any:
    """Return a recipe with the product's default front end and network."""
    values = recipe(num_train, SCENE, RATE).model_dump(by_alias=True, mode="json")
    for name in ("features", "model", "training"):
        values.pop(name)
    values["splits"] |= {"train": 0.5, "validation": 0.5, "test": 0.0}
    values["material"]["background"][0]["shared"] = True
    values["dataset"]["num_examples"] = {"train": num_train, "validation": 8, "test": 0}
    return type(recipe(1, SCENE, RATE)).model_validate(values)


def task_of(data: str) -> Any:
    """Return the task that fits the default model to a data set at `data`."""
    from models.detection_task import DetectionTask
    from pipeline.input_dataset import read_dataset

    return DetectionTask(default_recipe(read_dataset(data).num_examples("train")), data)


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
        _beside_bare_fit(data)
        _to_the_first_step(data, Path(folder))


def _beside_bare_fit(data: str) -> None:
    import numpy as np

    from models.fitting import optimizer_of
    from models.learning_rates import learning_rate_of
    from pipeline.inputs.source import batches

    task = task_of(data)
    size = task.fitting.batch_size

    def stream() -> Any:
        return batches(task.source, task.prepare(), batch_size=size, epochs=range(1))

    def compiled() -> Any:
        network = task.build()
        rate = learning_rate_of(task.fitting, STEPS * RUNS)
        network.compile(optimizer=optimizer_of(task.fitting, rate), **task.losses())
        return network

    parts = [[part.numpy() for part in batch] for batch in stream()]
    arrays = [np.concatenate(column) for column in zip(*parts, strict=True)]
    ours, bare = compiled(), compiled()
    figures: dict[str, list[float]] = {"ours": [], "bare": [], "input": []}
    for run in range(RUNS + 1):
        timed = {}
        began_s = time.perf_counter()
        ours.fit(stream(), epochs=1, steps_per_epoch=STEPS, verbose=0)
        timed["ours"] = time.perf_counter() - began_s
        began_s = time.perf_counter()
        bare.fit(
            arrays[0],
            arrays[1],
            sample_weight=arrays[2],
            batch_size=size,
            epochs=1,
            verbose=0,
        )
        timed["bare"] = time.perf_counter() - began_s
        began_s = time.perf_counter()
        for _ in stream():
            pass
        timed["input"] = time.perf_counter() - began_s
        if run:  # the first one compiles
            for name, seconds in timed.items():
                figures[name].append(1000 * seconds / STEPS)
    show("a step of ours, from shards", figures["ours"], "ms")
    show("a step of Keras' fit, from arrays in memory", figures["bare"], "ms")
    ratios = [o / b for o, b in zip(figures["ours"], figures["bare"], strict=True)]
    show("ours / bare", ratios, "times the time")
    show("making the input alone", figures["input"], "ms a step")


def _to_the_first_step(data: str, folder: Path) -> None:
    seconds = []
    for run in range(RUNS):
        words = [sys.executable, "-c", _TO_FIRST_STEP, data, str(folder / f"model-{run}")]
        done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
        seconds.append(float(done.stdout.split()[-1]))
    show("from the call of fit to the end of the first step", seconds, "s")


if __name__ == "__main__":
    main()
