"""A detector's streaming step as ONNX, and how to run it; both need the extra `onnx`.

    stream.onnx   samples, state_0 … → scores, next_state_0 …

The converter knows a spectrum's magnitude and neither its real nor its imaginary part, so the power
is the magnitude's square here: the same to rounding.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from models.detector import Detector
from models.quiet import quiet_stderr
from schemas.errors import RequestError

_OPSET = 17


def onnx_form(detector: Detector) -> bytes:
    """Return the whole step.

    Raises:
        RequestError: tf2onnx isn't installed.
    """
    try:
        import tf2onnx
    except ImportError as error:
        raise _not_installed("tf2onnx") from error
    detector = detector.through_magnitude()
    initial = detector.initial_state()
    names = [f"state_{i}" for i in range(len(initial))]

    @tf.function
    def step(samples: tf.Tensor, *states: tf.Tensor) -> dict[str, tf.Tensor]:
        scores, new = detector.step(samples, list(states))
        return {"scores": scores} | {
            f"next_{name}": tf.identity(state) for name, state in zip(names, new, strict=True)
        }

    signature = [tf.TensorSpec([1, detector.step_samples], tf.float32, name="samples")]
    signature += [
        tf.TensorSpec(x.shape, tf.float32, name=name)
        for name, x in zip(names, initial, strict=True)
    ]
    with quiet_stderr():
        model, _ = tf2onnx.convert.from_function(step, input_signature=signature, opset=_OPSET)
    content: bytes = model.SerializeToString()
    return content


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
            raise _not_installed("onnxruntime") from error
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


def _not_installed(package: str) -> RequestError:
    return RequestError(f"{package} is not installed", fix="pip install 'wakebeam[onnx]'")
