"""`crnn`: a small convolutional front and gated recurrent layers, causal.

Input (B, T, 40) features at 10 ms, output (B, T // 4, labels) logits at 40 ms. Conv 32 (10 × 5,
stride 4 × 2) and conv 32 (3 × 3, stride 1 × 2) with batch norm and ReLU, dropout, one GRU of 64,
dropout, dense with bias −3. 85,249 parameters with its defaults and one label; 10,309 with 8
filters and 28 units, 220,369 with 40 filters and 128 units.

Receptive field: all of the past, by the GRU; the front sees 0.2 s. Latency: one output step, 40 ms.
Source: Arık et al., "Convolutional recurrent neural networks for small-footprint keyword
spotting", Interspeech 2017, with forward layers only, so that a stream need not wait.
"""

from __future__ import annotations

import tensorflow as tf
import tf_keras as keras

from models.stream_layers import CausalConv2D, ConvRecurrent, flat
from schemas.recipe import Crnn

_START_BIAS = -3.0
_STRIDE = 4


class CrnnNetwork(ConvRecurrent):
    """Features to logits; attributes as in StreamTcnNetwork."""

    frames_per_step = _STRIDE
    lookback_frames = 0
    smoothing_steps = 3

    def __init__(self, config: Crnn, num_features: int, num_labels: int) -> None:
        super().__init__(name="crnn")
        self._front = [
            CausalConv2D(config.filters, (10, 5), (_STRIDE, 2), name="conv_1"),
            CausalConv2D(config.filters, (3, 3), (1, 2), name="conv_2"),
        ]
        self._drops = [
            keras.layers.Dropout(config.dropout, name=f"dropout_{i}")
            for i in range(config.num_layers + 1)
        ]
        self._grus = [
            keras.layers.GRU(config.units, return_sequences=True, name=f"gru_{i + 1}")
            for i in range(config.num_layers)
        ]
        bias = keras.initializers.Constant(_START_BIAS)
        self._head = keras.layers.Dense(num_labels, bias_initializer=bias, name="logits")
        self._inputs = [(num_features, 1), ((num_features + 1) // 2, config.filters)]
        self._units = config.units
        self(tf.zeros([1, 2 * _STRIDE, num_features]))

    def call(self, features: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Return logits for whole recordings."""
        x = features[..., None]
        for conv in self._front:
            x = conv(x, training=training)
        x = self._drops[0](flat(x), training=training)
        for gru, drop in zip(self._grus, self._drops[1:], strict=True):
            x = drop(gru(x), training=training)
        return self._head(x)
