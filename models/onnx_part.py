"""The streaming step of an export as ONNX, run by onnxruntime, which the extra `onnx` brings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from schemas.errors import RequestError


class OnnxPart:
    """The step, run by onnxruntime.

    Attributes:
        states: shape of each state, by name.
        output: name of what it gives beside its states.
    """

    output = "scores"

    def __init__(self, path: Path) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise not_installed("onnxruntime") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(path), options)
        self.states = {
            i.name: tuple(i.shape) for i in self._session.get_inputs() if i.name != "samples"
        }
        self._outputs = ["scores", *(f"next_{name}" for name in self.states)]

    def __call__(
        self, x: np.ndarray, state: dict[str, np.ndarray]
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return scores and new states."""
        given: dict[str, Any] = {"samples": x} | {name: state[name] for name in self.states}
        scores, *new = self._session.run(self._outputs, given)
        return scores, dict(zip(self.states, new, strict=True))


def not_installed(package: str) -> RequestError:
    """Return the error of a package that isn't there."""
    return RequestError(f"{package} is not installed", fix="pip install 'wakebeam[onnx]'")
