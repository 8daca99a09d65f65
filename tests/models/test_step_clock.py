"""Where a training's time goes: waiting is told from stepping, and the figures are kept."""

from __future__ import annotations

import json
import threading
import time

import numpy as np
import tensorflow as tf

from models.fitting import fit
from models.step_clock import StepClock
from pipeline.inputs.waiting import InputWait
from schemas.recipe_training import Fitting
from tests.models.toy_task import ToyTask

NUM = 6


class _Work:
    """Makes numbers with real work, and says when it has begun one."""

    def __init__(self) -> None:
        self.spent_s: list[float] = []
        self.begun = [threading.Event() for _ in range(NUM + 1)]

    def __call__(self, index: np.int64) -> np.int64:
        self.begun[index].set()
        began_s = time.perf_counter()
        x = np.random.default_rng(0).standard_normal((300, 300))
        for _ in range(5):
            x = np.linalg.qr(x)[0]
        self.spent_s.append(time.perf_counter() - began_s)
        return index

    def numbers(self) -> tf.data.Dataset:
        return tf.data.Dataset.range(NUM + 1).map(
            lambda index: tf.ensure_shape(tf.numpy_function(self, [index], tf.int64), [])
        )


def test_what_is_made_while_someone_waits_counts_and_nothing_else() -> None:
    wait, work = InputWait(), _Work()
    rows = iter(wait.watched(work.numbers()))
    began_s = time.perf_counter()
    assert [int(next(rows)) for _ in range(NUM)] == list(range(NUM))
    assert sum(work.spent_s) < wait.take_s() < time.perf_counter() - began_s
    assert wait.take_s() == 0.0


def test_what_is_ready_is_not_waited_for() -> None:
    wait, work = InputWait(), _Work()
    rows = iter(wait.watched(work.numbers().prefetch(NUM)))
    next(rows)
    wait.take_s()
    for index in range(1, NUM):
        assert work.begun[index + 1].wait(60)  # so the one before it is in the buffer
        assert int(next(rows)) == index
    assert wait.take_s() < 0.5 * sum(work.spent_s)


def test_the_first_step_is_apart_and_judgement_is_no_step(monkeypatch) -> None:
    now_s = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now_s[0])
    clock = StepClock()
    assert clock.summary() == ""

    def steps(*seconds: float) -> None:
        clock.epoch_begins()
        for each in seconds:
            now_s[0] += each
            clock.step_ends()

    now_s[0] += 2.0
    steps(4.0, 0.1, 0.3)
    assert clock.epoch_values() == {"step_ms": 200.0}
    now_s[0] += 50.0
    steps(0.5, 0.1)
    assert clock.epoch_values() == {"step_ms": 300.0}
    assert clock.summary() == "a step of 250 ms; first step after 6.0 s"


def test_a_training_keeps_and_tells_its_figures(tmp_path) -> None:
    task = ToyTask(Fitting(batch_size=10, epochs=2), tmp_path / "seen")
    result = fit(task, tmp_path / "model")
    epochs = json.loads((tmp_path / "model/history.json").read_text())["epochs"]
    for entry in epochs:
        assert entry["step_ms"] > 0
        assert 0 < entry["input_wait_fraction"] < 1
    assert result.timing.startswith("input wait ")
    assert " % of a step of " in result.timing
    assert fit(task, tmp_path / "model").timing == ""
