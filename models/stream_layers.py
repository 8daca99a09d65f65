"""Causal layers that are the same object offline, in a stream and in an export.

`call(x)` works on a whole recording with zeros before it; `stream(x, state)` works on the next
piece and returns the new state, which is the tail of the layer's own input. `initial_state` is
zeros, so a stream from its start equals `call` on the whole.
"""

from __future__ import annotations

import tensorflow as tf
import tf_keras as keras


class CausalConv2D(keras.layers.Layer):
    """(B, T, F, C) → (B, T // time_stride, F // frequency_stride, filters); batch norm and ReLU.

    Output t sees no input frame after (t+1)·time_stride − 1. Frequencies are padded evenly.
    """

    def __init__(
        self, filters: int, kernel: tuple[int, int], strides: tuple[int, int], name: str
    ) -> None:
        super().__init__(name=name)
        self._tail = kernel[0] - strides[0]
        self._pad = kernel[1] // 2
        self._conv = keras.layers.Conv2D(filters, kernel, strides, use_bias=False)
        self._norm = keras.layers.BatchNormalization(momentum=0.98, synchronized=True)

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Apply to a whole recording."""
        padded = tf.pad(x, [[0, 0], [self._tail, 0], [0, 0], [0, 0]])
        return self._valid(padded, training)

    def stream(self, x: tf.Tensor, state: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Apply to the next frames; their number is a multiple of the time stride."""
        whole = tf.concat([state, x], axis=1)
        return self._valid(whole, False), whole[:, -self._tail :]

    def state_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of the state for inputs of (frequency bins, channels)."""
        return (self._tail, *input_shape)

    def _valid(self, x: tf.Tensor, training: bool) -> tf.Tensor:
        x = tf.pad(x, [[0, 0], [0, 0], [self._pad, self._pad], [0, 0]])
        return tf.nn.relu(self._norm(self._conv(x), training=training))


class CausalDepthwise(keras.layers.Layer):
    """(B, T, C) → (B, T, C): per-channel taps at distances 0, d, 2d, … into the past.

    Offline a sum of shifted slices, which trains faster than a dilated depthwise convolution. In a
    stream that convolution: in integers it has one rounding, the sum has one for each tap.
    """

    def __init__(self, taps: int, dilation: int, name: str) -> None:
        super().__init__(name=name)
        self._taps = taps
        self._dilation = dilation
        self.tail = (taps - 1) * dilation

    def build(self, input_shape: tf.TensorShape) -> None:
        """Create the taps."""
        channels = int(input_shape[-1])
        limit = (3.0 / self._taps) ** 0.5
        self.kernel = self.add_weight(
            name="kernel",
            shape=(self._taps, channels),
            initializer=keras.initializers.RandomUniform(-limit, limit, seed=channels),
        )
        super().build(input_shape)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Apply to a whole recording."""
        padded, length = tf.pad(x, [[0, 0], [self.tail, 0], [0, 0]]), tf.shape(x)[1]
        shifted = (
            padded[:, k * self._dilation : k * self._dilation + length] * self.kernel[k]
            for k in range(self._taps)
        )
        return tf.add_n(list(shifted))

    def stream(self, x: tf.Tensor, state: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Apply to the next frames."""
        whole = tf.concat([state, x], axis=1)
        kernel = self.kernel[:, None, :, None]
        y = tf.nn.depthwise_conv2d(
            whole[:, :, None], kernel, [1, 1, 1, 1], "VALID", dilations=[self._dilation, 1]
        )
        return y[:, :, 0], whole[:, -self.tail :]


class ResidualBlock(keras.layers.Layer):
    """(B, T, C) → (B, T, C): x + dropout(1 × 1(depthwise(x))), norm and ReLU after each."""

    def __init__(self, channels: int, dilation: int, dropout: float, name: str) -> None:
        super().__init__(name=name)
        self._depthwise = CausalDepthwise(5, dilation, name="depthwise")
        self._norm_1 = keras.layers.BatchNormalization(momentum=0.98, synchronized=True)
        self._point = keras.layers.Dense(channels, use_bias=False)
        self._norm_2 = keras.layers.BatchNormalization(momentum=0.98, synchronized=True)
        self._dropout = keras.layers.SpatialDropout1D(dropout)
        self.tail = self._depthwise.tail

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Apply to a whole recording."""
        return self._rest(x, self._depthwise(x), training)

    def stream(self, x: tf.Tensor, state: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Apply to the next frames."""
        y, state = self._depthwise.stream(x, state)
        return self._rest(x, y, False), state

    def _rest(self, x: tf.Tensor, y: tf.Tensor, training: bool) -> tf.Tensor:
        y = tf.nn.relu(self._norm_1(y, training=training))
        y = tf.nn.relu(self._norm_2(self._point(y), training=training))
        return x + self._dropout(y, training=training)


def unroll(gru: keras.layers.GRU, x: tf.Tensor, h: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Run a GRU over a few steps: (B, T, C), (B, units) → (B, T, units) and the last state.

    Without a loop in the graph, which LiteRT would run as a function of its own; T is known.
    """
    outputs = []
    for t in range(x.shape[1]):
        h, _ = gru.cell(x[:, t], [tf.convert_to_tensor(h)])
        outputs.append(h)
    return tf.stack(outputs, axis=1), h


class ConvRecurrent(keras.Model):
    """What causal convolutions, gated recurrent layers and a head do in a stream.

    A family makes the layers, `_front`, `_grus` of `_units` each and `_head`, says in `_inputs`
    which (frequency bins, channels) each convolution takes, and adds `call` with its dropout.
    """

    _front: list[CausalConv2D]
    _grus: list[keras.layers.GRU]
    _head: keras.layers.Dense
    _inputs: list[tuple[int, int]]
    _units: int

    def stream(
        self, features: tf.Tensor, state: list[tf.Tensor]
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Return logits for the next frames, a multiple of `frames_per_step`, and the new state."""
        x = features[..., None]
        new: list[tf.Tensor] = []
        for conv in self._front:
            x, kept = conv.stream(x, state[len(new)])
            new.append(kept)
        x = flat(x)
        for gru in self._grus:
            x, kept = unroll(gru, x, state[len(new)])
            new.append(kept)
        return self._head(x), new

    def state_shapes(self) -> list[tuple[int, ...]]:
        """Shapes of the state of one stream, without the batch axis."""
        tails = zip(self._front, self._inputs, strict=True)
        return [conv.state_shape(shape) for conv, shape in tails] + [
            (self._units,) for _ in self._grus
        ]


def flat(x: tf.Tensor) -> tf.Tensor:
    """(B, T, F, C) → (B, T, F·C)."""
    return tf.reshape(x, [tf.shape(x)[0], tf.shape(x)[1], x.shape[2] * x.shape[3]])
