"""A detector's streaming step as ONNX; needs the extra `onnx`. onnx_part.py runs it.

    stream.onnx   samples, state_0 … → scores, next_state_0 …

The converter knows a spectrum's magnitude and neither its real nor its imaginary part, so the power
is the magnitude's square here: the same to rounding.
"""

from __future__ import annotations

import tensorflow as tf

from models.detector import Detector
from models.onnx_part import not_installed
from models.quiet import quiet_stderr

_OPSET = 17


def onnx_form(detector: Detector) -> bytes:
    """Return the whole step.

    Raises:
        RequestError: tf2onnx isn't installed.
    """
    try:
        import tf2onnx
    except ImportError as error:
        raise not_installed("tf2onnx") from error
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
