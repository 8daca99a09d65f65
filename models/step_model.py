"""The streaming step of an export, run with LiteRT; neither TensorFlow nor Keras is imported."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from models.export_folder import METADATA_NAME
from models.quiet import quiet_stderr
from schemas.errors import RequestError

FLOAT32_NAME = "stream_float32.tflite"
FRONT_END_NAME = "front_end.tflite"
INT8_NAME = "network_int8.tflite"
ONNX_NAME = "stream.onnx"
FORMS = {
    "float32": (FLOAT32_NAME,),
    "int8": (FRONT_END_NAME, INT8_NAME),
    "onnx": (ONNX_NAME,),
}
"""The files that a form of a detector runs, one after the other."""
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
        if not (folder / FLOAT32_NAME).is_file():
            raise ValueError(f"{FLOAT32_NAME} is missing")
        return metadata
    except (OSError, ValueError, TypeError, LookupError, AttributeError) as error:
        inside = folder / "export"  # of a recipe's folder
        there = (inside / METADATA_NAME).is_file()
        raise RequestError(
            f"{folder} is not an exported detector ({error})",
            expected=f"a folder with {METADATA_NAME} and {FLOAT32_NAME}",
            fix=f"name {inside}" if there else "make one with `wakebeam export MODEL --out DIR`",
        ) from error


class StepModel:
    """An exported streaming step; it holds no stream's memory, so that many may share one.

    Not for two threads at a time.

    Args:
        folder: an export.
        form: `float32`; `int8`: the network in integers behind a front end in floating point;
            `onnx`, which needs the extra of that name.

    Raises:
        RequestError: the folder isn't an export, or hasn't that form.
    """

    def __init__(self, folder: Path, form: str = "float32") -> None:
        self.metadata = read_metadata(folder)
        self.folder, self.form = folder, form
        for name in FORMS[form]:
            if not (folder / name).is_file():
                why = self.metadata.get("refused", {}).get(name, "the file is missing")
                raise RequestError(f"{folder} has no {name}: {why}", fix="use the float32 form")
        files = [(folder / name).read_bytes() for name in FORMS[form]]
        self.digest = np.frombuffer(hashlib.sha256(b"".join(files)).digest(), np.uint8)
        self._parts = [_part(folder / name) for name in FORMS[form]]

    def initial_state(self) -> dict[str, np.ndarray]:
        """Return the state of a stream that has heard nothing."""
        fill = self.metadata["initial_values"]
        shapes = {name: shape for part in self._parts for name, shape in part.states.items()}
        return {name: np.full(shape, fill[name], np.float32) for name, shape in shapes.items()}

    def __call__(
        self, samples: np.ndarray, state: dict[str, np.ndarray]
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return scores (steps, labels) of (1, step_samples) float32, and the new state."""
        new: dict[str, np.ndarray] = {}
        out = samples
        for part in self._parts:
            out, states = part(out, state)
            new |= states
        scores = out[0]
        return 1.0 / (1.0 + np.exp(-scores)) if self._parts[-1].output == "logits" else scores, new


class Part(Protocol):
    """One file of a form; the attributes and the call are those of _TflitePart."""

    states: dict[str, Any]
    output: str

    def __call__(
        self, x: np.ndarray, state: dict[str, np.ndarray]
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return its output and its new states."""
        ...


def _part(path: Path) -> Part:
    if path.suffix != ".onnx":
        return _TflitePart(path)
    from models.onnx_part import OnnxPart

    return OnnxPart(path)


class _TflitePart:
    """One TFLite file: float32 outside, whatever it computes in inside.

    Attributes:
        states: shape of each state, by name.
        output: name of what it gives beside its states.
    """

    def __init__(self, path: Path) -> None:
        with quiet_stderr():
            interpreter = Interpreter(model_path=str(path), num_threads=1)
            interpreter.allocate_tensors()
            self._run = interpreter.get_signature_runner("step")
        self._inputs, outputs = self._run.get_input_details(), self._run.get_output_details()
        self._scales = {
            name: detail["quantization"]
            for name, detail in outputs.items()
            if detail["dtype"] == np.int8
        }
        self._input = next(name for name in self._inputs if not name.startswith("state_"))
        self.output = next(name for name in outputs if not name.startswith("state_"))
        self.states = {
            name: detail["shape"] for name, detail in self._inputs.items() if name != self._input
        }

    def __call__(
        self, x: np.ndarray, state: dict[str, np.ndarray]
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return its output and its new states, copies."""
        given = {self._input: x} | {name: state[name] for name in self.states}
        if self._scales:
            given = {name: _quantized(value, self._inputs[name]) for name, value in given.items()}
        out = self._run(**given)
        for name, (scale, zero) in self._scales.items():
            out[name] = (out[name].astype(np.float32) - zero) * np.float32(scale)
        return np.asarray(out[self.output]), {name: out[name] for name in self.states}


def quantization(path: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """Return shape, scale and zero point of all that an integer file takes and gives, by name."""
    run = Interpreter(model_path=str(path)).get_signature_runner("step")
    sides = {"inputs": run.get_input_details(), "outputs": run.get_output_details()}
    return {
        side: {
            name: {
                "shape": [int(n) for n in detail["shape"]],
                "scale": float(detail["quantization"][0]),
                "zero_point": int(detail["quantization"][1]),
            }
            for name, detail in details.items()
        }
        for side, details in sides.items()
    }


def _quantized(x: np.ndarray, detail: dict[str, Any]) -> np.ndarray:
    scale, zero = detail["quantization"]
    return np.clip(np.rint(x / np.float32(scale)) + zero, -128, 127).astype(np.int8)
