"""What a network costs: multiply-adds for each output step, counted in its streaming graph.

The step is traced as a stream runs it and its operations are counted by their shapes:

    convolution      outputs × kernel height × kernel width × input channels
    per-channel      outputs × kernel height × kernel width
    matrix product   rows × inner length × columns
    product, norm    one for each output element, e.g. a tap, a gate, a normalised value

What depends on weights alone (a norm's scale) counts nothing: it is computed once. Additions
without a product, activations and means count nothing either.
"""

from __future__ import annotations

from math import prod

import tensorflow as tf
import tf_keras as keras

from schemas.errors import TrainingError

_STEPS = 4
_ELEMENTWISE = {"Mul", "FusedBatchNormV3"}
_CALLS = {"While", "StatelessWhile", "If", "PartitionedCall", "StatefulPartitionedCall"}


def multiply_adds_per_step(network: keras.Model, num_features: int) -> float:
    """Return the multiply-adds of one output step of a network of the zoo.

    Raises:
        TrainingError: the network's step can't be counted.
    """
    frames = network.lookback_frames + network.frames_per_step * _STEPS
    specs = [tf.TensorSpec([1, frames, num_features], tf.float32)]
    specs += [tf.TensorSpec([1, *shape], tf.float32) for shape in network.state_shapes()]

    def step(features: tf.Tensor, *state: tf.Tensor) -> tf.Tensor:
        return network.stream(features, list(state))

    return count_multiply_adds(step, specs) / _STEPS


def count_multiply_adds(function: object, specs: list[tf.TensorSpec]) -> int:
    """Return the multiply-adds of a function of tensors of known shapes.

    Raises:
        TrainingError: a shape isn't known, or there is a loop or a call in the graph.
    """
    graph = tf.function(function).get_concrete_function(*specs).graph
    inputs = {tensor.op.name for tensor in graph.inputs[: len(specs)]}
    total, from_data = 0, set(inputs)
    for operation in graph.get_operations():  # in an order in which inputs come first
        if operation.name in inputs or any(t.op.name in from_data for t in operation.inputs):
            from_data.add(operation.name)
            total += _count(operation)
    return total


def _count(operation: tf.Operation) -> int:
    kind = operation.type
    if kind in _CALLS:
        raise TrainingError(
            f"the step of a network contains {kind} ({operation.name})",
            expected="plain operations, which can be counted",
        )
    if kind == "Conv2D":
        height, width, channels, _ = _shape(operation.inputs[1])
        return _size(operation) * height * width * channels
    if kind == "DepthwiseConv2dNative":
        height, width, _, _ = _shape(operation.inputs[1])
        return _size(operation) * height * width
    if kind in {"MatMul", "BatchMatMulV2"}:
        left = _shape(operation.inputs[0])
        turned = "transpose_a" if kind == "MatMul" else "adj_x"
        return _size(operation) * left[-2 if operation.get_attr(turned) else -1]
    if kind in _ELEMENTWISE and operation.outputs[0].dtype.is_floating:
        return _size(operation)
    return 0


def _size(operation: tf.Operation) -> int:
    return prod(_shape(operation.outputs[0]))


def _shape(tensor: tf.Tensor) -> list[int]:
    if not tensor.shape.is_fully_defined():
        raise TrainingError(f"the shape of {tensor.name} is not known: {tensor.shape}")
    return tensor.shape.as_list()
