"""Where the time of a training goes: to the first step, to steps, and of those to waiting for data.

The first step is apart: it traces the graph and fills the buffers. A step lasts until the next
one's end, with what callbacks do in between and without the judgement after an epoch.
"""

from __future__ import annotations

import time

import tensorflow as tf

from pipeline.inputs.waiting import InputWait


class StepClock:
    """Counts the steps of one process from its making on."""

    def __init__(self) -> None:
        self._wait: InputWait | None = None
        self._made_s = self._last_s = time.monotonic()
        self._first_step_s: float | None = None
        self._epoch: tuple[float, ...] = (0, 0.0, 0.0)  # steps, their seconds, seconds of waiting
        self._all: tuple[float, ...] = self._epoch

    def watched(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        """Return the same batches; waiting for them is counted. For one device alone."""
        self._wait = self._wait or InputWait()
        return self._wait.watched(batches)

    def epoch_begins(self) -> None:
        """Count from here."""
        self._epoch = (0, 0.0, 0.0)
        self._mark()

    def step_ends(self) -> None:
        """Count a step."""
        before_s = self._last_s
        waited_s = self._mark()
        if self._first_step_s is None:
            self._first_step_s = self._last_s - self._made_s
            return
        step = (1, self._last_s - before_s, waited_s)
        self._epoch = tuple(a + b for a, b in zip(self._epoch, step, strict=True))
        self._all = tuple(a + b for a, b in zip(self._all, step, strict=True))

    def epoch_values(self) -> dict[str, float]:
        """Return the epoch's `step_ms` and `input_wait_fraction`, those that are known."""
        return self._values(self._epoch)

    def summary(self) -> str:
        """Return all of it for people, on one line; empty if there was no step."""
        if self._first_step_s is None:
            return ""
        values, parts = self._values(self._all), []
        if "input_wait_fraction" in values:
            parts.append(f"input wait {100 * values['input_wait_fraction']:.1f} % of")
        if values:
            parts.append(f"a step of {values['step_ms']:.0f} ms;")
        return " ".join([*parts, f"first step after {self._first_step_s:.1f} s"])

    def _values(self, counted: tuple) -> dict[str, float]:
        steps, seconds, waited_s = counted
        if not steps:
            return {}
        values = {"step_ms": round(1000 * seconds / steps, 2)}
        if self._wait:
            values["input_wait_fraction"] = round(waited_s / seconds, 4)
        return values

    def _mark(self) -> float:
        self._last_s = time.monotonic()
        return self._wait.take_s() if self._wait else 0.0
