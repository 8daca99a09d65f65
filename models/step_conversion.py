"""A detector's streaming step as TFLite, whole in float32, or in two parts for integer arithmetic.

    stream_float32.tflite   samples, state_0 … → scores, state_0 …
    front_end.tflite        samples, the first states → features, the same states; float32
    network_int8.tflite     features, the other states → logits, the same states; all int8

The features' range is too wide for 8 bits before the logarithm, so the front end stays in floating
point, or is the firmware's own. `logits` are smoothed; a score is their sigmoid. Weights,
activations and states of the network are integers throughout, with ranges read off real features
and the states that real streams have.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from models.detector import Detector
from models.quiet import quiet_stderr
from models.step_model import FLOAT32_NAME, FRONT_END_NAME

_NUM_CALIBRATION_STEPS = 1000
Representative = Callable[[], Iterator[tuple[str, dict[str, Any]]]]


class IntegerError(Exception):
    """A network that isn't all integers; with what is not."""


def float_forms(detector: Detector) -> dict[str, bytes]:
    """Return the whole step and the front end alone, by file name."""
    at = detector.num_front_states
    samples = {"samples": tf.TensorSpec([1, detector.step_samples], tf.float32)}
    initial = detector.initial_state()
    whole = _named(detector.step, "scores", samples, initial, 0)
    front = _named(detector.front_step, "features", samples, initial[:at], 0)
    return {
        FLOAT32_NAME: _converted(whole, detector),
        FRONT_END_NAME: _converted(front, detector),
    }


def int8_form(detector: Detector, recordings: np.ndarray) -> bytes:
    """Return the network in integers.

    Args:
        detector: a trained one.
        recordings: (n, num_samples) float32 to read ranges off: sound like that to be heard.

    Raises:
        IntegerError: LiteRT has no integer form of an operation.
    """
    at = detector.num_front_states
    initial = detector.initial_state()
    made, _ = detector.front_step(tf.zeros([1, detector.step_samples]), initial[:at])
    features = {"features": tf.TensorSpec(made.shape, tf.float32)}
    function = _named(detector.network_step, "logits", features, initial[at:], at)
    try:
        content = _converted(function, detector, lambda: _calibration(detector, recordings))
    except Exception as error:  # the converter and its calibration have kinds of their own
        raise IntegerError((str(error).strip().splitlines() or ["?"])[0][:200]) from error
    floats = sorted(
        detail["name"]
        for detail in Interpreter(model_content=content).get_tensor_details()
        if detail["dtype"] == np.float32
    )
    if floats:
        raise IntegerError(f"{floats[0]} and {len(floats) - 1} more")
    return content


def _named(
    step: Callable[[Any, list[Any]], tuple[Any, list[Any]]],
    output: str,
    first: dict[str, tf.TensorSpec],
    initial: list[np.ndarray],
    first_state: int,
) -> Any:
    """Return a step as a concrete function whose tensors have names."""
    names = [f"state_{first_state + i}" for i in range(len(initial))]
    specs = {
        name: tf.TensorSpec(x.shape, tf.float32) for name, x in zip(names, initial, strict=True)
    }
    (name,) = first

    @tf.function
    def run(**tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        out, new = step(tensors[name], [tensors[state] for state in names])
        states = {state: tf.identity(x) for state, x in zip(names, new, strict=True)}
        return {output: out} | states

    return run.get_concrete_function(**first, **specs)


def _converted(
    function: Any, detector: Detector, representative: Representative | None = None
) -> bytes:
    """Convert a step, to integers where there is something to calibrate with."""
    with tempfile.TemporaryDirectory() as folder:
        module = tf.Module()
        module.kept = list(detector.network.variables)  # what the function refers to
        tf.saved_model.save(module, folder, signatures={"step": function})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=["step"])
        if representative is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = representative
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = converter.inference_output_type = tf.int8
        with quiet_stderr():
            return converter.convert()


def _calibration(
    detector: Detector, recordings: np.ndarray
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Features of real streams, with the states that they really have."""
    front, network = tf.function(detector.front_step), tf.function(detector.network_step)
    at, first = detector.num_front_states, detector.warmup_samples
    steps_each = (recordings.shape[1] - first) // detector.step_samples
    for recording in recordings[: max(1, _NUM_CALIBRATION_STEPS // max(1, steps_each))]:
        state = [tf.constant(x) for x in detector.initial_state()]
        if first:
            state[0] = tf.constant(recording[None, :first])
        heard, remembered = state[:at], state[at:]
        for step in range(steps_each):
            begin = first + step * detector.step_samples
            samples = tf.constant(recording[None, begin : begin + detector.step_samples])
            features, heard = front(samples, heard)
            states = {f"state_{at + i}": x.numpy() for i, x in enumerate(remembered)}
            yield "step", {"features": features.numpy()} | states
            _, remembered = network(features, remembered)
