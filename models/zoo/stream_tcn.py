"""`stream_tcn`, the default: a 2-D convolutional front and dilated temporal blocks, all causal.

Input (B, T, 40) features at 10 ms, output (B, T // 2, labels) logits at 20 ms. Conv 16 (4 × 5,
stride 2 × 2), conv 24 and conv 32 (3 × 3, stride 1 × 2), dense to 96 channels, 8 residual blocks of
a 5-tap depthwise and a 1 × 1 convolution with dilations 1 2 4 8 1 2 4 8, dense with bias −3.
110,529 parameters with its defaults and one label.

Receptive field: 2.5 s. Latency: one output step, 20 ms. Source: our own, after the temporal
convolutional networks of Bai et al. (2018) with the separable blocks of MatchboxNet (Majumdar and
Ginsburg, Interspeech 2020).
"""

from __future__ import annotations

import tensorflow as tf
import tf_keras as keras

from models.stream_layers import CausalConv2D, ResidualBlock
from schemas.recipe import StreamTcn

_DILATIONS = (1, 2, 4, 8)
_START_BIAS = -3.0


class StreamTcnNetwork(keras.Model):
    """Features to logits.

    Attributes:
        frames_per_step: feature frames for each output.
        lookback_frames: frames before the first output (none: the front pads).
        smoothing_steps: outputs that a score averages.
    """

    frames_per_step = 2
    lookback_frames = 0
    smoothing_steps = 5

    def __init__(self, config: StreamTcn, num_features: int, num_labels: int) -> None:
        super().__init__(name="stream_tcn")
        self._front = [
            CausalConv2D(16, (4, 5), (2, 2), name="conv_1"),
            CausalConv2D(24, (3, 3), (1, 2), name="conv_2"),
            CausalConv2D(32, (3, 3), (1, 2), name="conv_3"),
        ]
        self._front_channels = (1, 16, 24)
        self._widen = keras.layers.Dense(config.channels, use_bias=False, name="widen")
        self._norm = keras.layers.BatchNormalization(momentum=0.98, synchronized=True)
        self._blocks = [
            ResidualBlock(
                config.channels, _DILATIONS[i % len(_DILATIONS)], config.dropout, f"block_{i + 1}"
            )
            for i in range(config.num_blocks)
        ]
        bias = keras.initializers.Constant(_START_BIAS)
        self._head = keras.layers.Dense(num_labels, bias_initializer=bias, name="logits")
        self._num_features = num_features
        self._channels = config.channels
        self(tf.zeros([1, 8, num_features]))

    def call(self, features: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Return logits for whole recordings."""
        x = features[..., None]
        for layer in self._front:
            x = layer(x, training=training)
        x = self._flat(x, training)
        for block in self._blocks:
            x = block(x, training=training)
        return self._head(x)

    def stream(
        self, features: tf.Tensor, state: list[tf.Tensor]
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Return logits for the next frames, an even number of them, and the new state."""
        x = features[..., None]
        new = []
        for layer, tail in zip(self._front, state, strict=False):
            x, kept = layer.stream(x, tail)
            new.append(kept)
        x = self._flat(x, False)
        for block, tail in zip(self._blocks, state[len(self._front) :], strict=True):
            x, kept = block.stream(x, tail)
            new.append(kept)
        return self._head(x), new

    def state_shapes(self) -> list[tuple[int, ...]]:
        """Shapes of the state of one stream, without the batch axis."""
        bins, shapes = self._num_features, []
        for layer, channels in zip(self._front, self._front_channels, strict=True):
            shapes.append(layer.state_shape((bins, channels)))
            bins = (bins + 1) // 2
        return shapes + [(block.tail, self._channels) for block in self._blocks]

    def _flat(self, x: tf.Tensor, training: bool) -> tf.Tensor:
        x = tf.reshape(x, [tf.shape(x)[0], tf.shape(x)[1], x.shape[2] * x.shape[3]])
        return tf.nn.relu(self._norm(self._widen(x), training=training))
