"""The streaming step of an export, run with LiteRT; neither TensorFlow nor Keras is imported."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from models.export_folder import METADATA_NAME
from models.quiet import quiet_stderr
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


class StepModel:
    """An exported streaming step; it holds no stream's memory, so that many may share one.

    Not for two threads at a time.

    Args:
        folder: an export.
        model_name: which TFLite file of it.

    Raises:
        RequestError: the folder isn't an export.
    """

    def __init__(self, folder: Path, model_name: str = MODEL_NAME) -> None:
        self.metadata = read_metadata(folder)
        self.folder = folder
        network = (folder / model_name).read_bytes()
        self.digest = np.frombuffer(hashlib.sha256(network).digest(), np.uint8)
        with quiet_stderr():
            interpreter = Interpreter(model_path=str(folder / model_name), num_threads=1)
            interpreter.allocate_tensors()
            self._run = interpreter.get_signature_runner("step")
        self._shapes = {
            name: (detail["shape"], detail["dtype"])
            for name, detail in self._run.get_input_details().items()
            if name != "samples"
        }

    def initial_state(self) -> dict[str, np.ndarray]:
        """Return the state of a stream that has heard nothing."""
        fill = self.metadata["initial_values"]
        return {name: np.full(shape, fill[name], t) for name, (shape, t) in self._shapes.items()}

    def __call__(
        self, samples: np.ndarray, state: dict[str, np.ndarray]
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return scores (steps, labels) of (1, step_samples) float32, and the new state."""
        out = self._run(samples=samples, **state)
        return np.asarray(out["scores"][0]), {name: out[name] for name in state}
