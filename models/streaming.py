"""A detector on live sound: packets of any size in, scores and events out, constant memory.

Runs the exported streaming step with LiteRT; neither TensorFlow nor Keras is imported. Samples are
collected until a whole step is there, so the numbers don't depend on how the sound was cut.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from models.event_matching import EventDetector
from models.export_folder import METADATA_NAME
from models.quiet import quiet_stderr
from models.sound_events import EventRule, SoundEventDetector
from schemas.detection import Detection, SoundEvent
from schemas.errors import RequestError

MODEL_NAME = "stream_float32.tflite"
_NEEDED = (
    "labels",
    "sample_rate_hz",
    "step_samples",
    "hop_samples",
    "warmup_samples",
    "initial_values",
    "measured_on_test",
)
_NEEDED_BY_MEASURE = {"keywords": ("debounce_s", "hit_window_s"), "sound_events": ("rule",)}


@dataclass(frozen=True)
class StreamOutput:
    """What a packet brought: scores with their times, and events that have ended.

    Attributes:
        times_s: (n,) float64, when each score is known.
        scores: (n, labels) float32 in [0, 1].
        detections: of a detector of keywords.
        events: of a detector of sound events.
    """

    times_s: np.ndarray
    scores: np.ndarray
    detections: list[Detection]
    events: list[SoundEvent] = field(default_factory=list)


def read_metadata(folder: Path) -> dict[str, Any]:
    """Read an exported detector's metadata.

    Raises:
        RequestError: the folder isn't an export.
    """
    try:
        metadata = json.loads((folder / METADATA_NAME).read_text(encoding="utf-8"))
        needed = (*_NEEDED, *_NEEDED_BY_MEASURE[metadata.get("measure", "keywords")])
        missing = [name for name in needed if name not in metadata]
        if missing:
            raise ValueError(f"{METADATA_NAME} has no {missing[0]}")
        if not (folder / MODEL_NAME).is_file():
            raise ValueError(f"{MODEL_NAME} is missing")
        return metadata
    except (OSError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise RequestError(
            f"{folder} is not an exported detector ({error})",
            expected=f"a folder with {METADATA_NAME} and {MODEL_NAME}",
            fix="make one with `wakebeam export MODEL --out DIR`",
        ) from error


class StreamingDetector:
    """One stream of sound.

    Args:
        folder: an export.
        threshold: instead of the one chosen on validation; of sound events, of all classes.
        model_name: another TFLite file of the export.
    """

    def __init__(
        self, folder: Path, *, threshold: float | None = None, model_name: str = MODEL_NAME
    ) -> None:
        self.metadata = read_metadata(folder)
        self.sample_rate_hz = int(self.metadata["sample_rate_hz"])
        self.labels = tuple(self.metadata["labels"])
        self.measure = self.metadata.get("measure", "keywords")
        chosen = self.metadata.get("threshold")
        if self.measure == "sound_events":
            rule = EventRule.of(self.labels, self.metadata["rule"])
            every = rule.thresholds if threshold is None else (threshold,) * len(self.labels)
            self._rule = replace(rule, thresholds=every)
            chosen = min(every)
        if threshold is None and chosen is None:
            raise RequestError(
                f"{folder} has no threshold, because its model was never evaluated",
                fix="pass --threshold, or run `wakebeam evaluate` and export again",
            )
        self.threshold = float(threshold if threshold is not None else chosen or 0.0)
        self._step = int(self.metadata["step_samples"])
        self._warmup = int(self.metadata["warmup_samples"])
        self._hop = int(self.metadata["hop_samples"])
        with quiet_stderr():
            interpreter = Interpreter(model_path=str(folder / model_name), num_threads=1)
            interpreter.allocate_tensors()
            self._run = interpreter.get_signature_runner("step")
        self._shapes = {
            name: (detail["shape"], detail["dtype"])
            for name, detail in self._run.get_input_details().items()
            if name != "samples"
        }
        self._fill = self.metadata["initial_values"]
        self.reset()

    def reset(self) -> None:
        """Begin a new stream: no memory of what was heard, time zero."""
        self._finders = self._new_finders()
        self._state = {
            name: np.full(shape, self._fill[name], dtype)
            for name, (shape, dtype) in self._shapes.items()
        }
        self._pending = np.zeros(0, np.float32)
        self._warm = self._warmup == 0
        self._num_steps = 0

    def process(self, samples: np.ndarray) -> StreamOutput:
        """Take the next packet.

        Args:
            samples: (n,) float32 in ±1 or int16, at the detector's rate; any n ≥ 0.
        """
        times_s, scores = self._scores(samples)
        return self._output(times_s, scores)

    def finish(self) -> StreamOutput:
        """End the stream: hear the last incomplete step with silence after it, close events.

        Only steps that the sound itself reaches are scored; none of the silence is.
        """
        missing = (self._warmup if not self._warm else 0) + self._step - len(self._pending)
        true_steps = max(0, len(self._pending) - (0 if self._warm else self._warmup)) // self._hop
        before = self._num_steps
        times_s, scores = self._scores(np.zeros(missing if true_steps else 0, np.float32))
        times_s, scores = times_s[:true_steps], scores[:true_steps]
        self._num_steps = before + true_steps
        return self._output(times_s, scores, last=True)

    def require(self, measure: str) -> None:
        """Refuse what is made for another kind of detector.

        Raises:
            RequestError: this one finds something else.
        """
        if self.measure != measure:
            raise RequestError(
                f"a detector of {self.measure.replace('_', ' ')}",
                expected=f"one of {measure.replace('_', ' ')}",
            )

    def _new_finders(self) -> tuple[EventDetector | None, SoundEventDetector | None]:
        """What makes keywords or sound events of scores: one of them is None."""
        if self.measure == "sound_events":
            return None, SoundEventDetector(self._rule)
        debounce_s = float(self.metadata["debounce_s"])
        return EventDetector(self.labels, self.threshold, debounce_s), None

    def _output(
        self, times_s: np.ndarray, scores: np.ndarray, *, last: bool = False
    ) -> StreamOutput:
        found: list[list[Any]] = [[], []]
        for kind, finder in zip(found, self._finders, strict=True):
            if finder is not None:
                kind += finder.process(times_s, scores)
                kind += finder.flush() if last else []
        return StreamOutput(times_s, scores, *found)

    def _scores(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if samples.dtype == np.int16:
            samples = samples.astype(np.float32) / np.float32(32768.0)
        self._pending = np.concatenate((self._pending, samples.astype(np.float32, copy=False)))
        if not self._warm and len(self._pending) >= self._warmup:
            self._state["state_0"][:] = self._pending[: self._warmup]
            self._pending = self._pending[self._warmup :]
            self._warm = True
        scores = []
        at = 0
        while self._warm and len(self._pending) - at >= self._step:
            scores.append(self._one_step(self._pending[None, at : at + self._step]))
            at += self._step
        self._pending = self._pending[at:].copy()
        found = np.concatenate(scores) if scores else np.zeros((0, len(self.labels)), np.float32)
        first = self._num_steps + 1
        self._num_steps += len(found)
        ends = self._warmup + self._hop * np.arange(first, self._num_steps + 1)
        return ends / self.sample_rate_hz, found

    def _one_step(self, samples: np.ndarray) -> np.ndarray:
        out = self._run(samples=samples, **self._state)
        self._state = {name: out[name] for name in self._state}
        return np.asarray(out["scores"][0])
