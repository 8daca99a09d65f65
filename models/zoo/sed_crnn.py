"""`sed_crnn`: a convolutional recurrent network for sounds that overlap, causal.

Input (B, T, 40) features at 10 ms, output (B, T // 4, labels) logits at 40 ms, one for each class
by itself, so any number may sound at once. Conv f (6 × 5, stride 2 × 2), conv 2f (4 × 3, stride
2 × 2) and conv 2f (3 × 3, stride 1 × 2) with batch norm and ReLU and a dropout after each, GRU of
`units`, dropout, dense with bias −3. With its defaults (f = 24, 64 units) and one label
94,577 parameters.

Receptive field: all of the past, by the GRU; the front sees 0.19 s. Latency: one output step,
40 ms, and `label_window.delay_s`, with which it was taught to answer. Source: Çakır et al.,
"Convolutional recurrent neural networks for polyphonic sound event detection", IEEE/ACM TASLP
25 (2017); as in the baselines of DCASE, but strided where those pool, and with forward layers and
zeros before the start only, so that a stream need not wait.
"""

from __future__ import annotations

import tensorflow as tf
import tf_keras as keras

from models.stream_layers import CausalConv2D, ConvRecurrent, flat
from schemas.recipe import SedCrnn

_START_BIAS = -3.0
_LAYERS = ((1, (6, 5), (2, 2)), (2, (4, 3), (2, 2)), (2, (3, 3), (1, 2)))
"""Of each convolution: filters in multiples of the first's, kernel, strides in time × frequency."""


class SedCrnnNetwork(ConvRecurrent):
    """Features to logits; attributes as in StreamTcnNetwork."""

    frames_per_step = 4
    lookback_frames = 0
    smoothing_steps = 1

    def __init__(self, config: SedCrnn, num_features: int, num_labels: int) -> None:
        super().__init__(name="sed_crnn")
        self._front, self._inputs = [], []
        bands, channels = num_features, 1
        for number, (multiple, kernel, strides) in enumerate(_LAYERS, start=1):
            self._inputs.append((bands, channels))
            channels, bands = multiple * config.filters, -(-bands // strides[1])
            self._front.append(CausalConv2D(channels, kernel, strides, name=f"conv_{number}"))
        self._front_drops = [
            keras.layers.Dropout(config.dropout, name=f"front_dropout_{number}")
            for number in range(len(_LAYERS))
        ]
        self._grus = [
            keras.layers.GRU(config.units, return_sequences=True, name=f"gru_{number + 1}")
            for number in range(config.num_layers)
        ]
        self._drops = [
            keras.layers.Dropout(config.dropout, name=f"dropout_{number}")
            for number in range(config.num_layers)
        ]
        bias = keras.initializers.Constant(_START_BIAS)
        self._head = keras.layers.Dense(num_labels, bias_initializer=bias, name="logits")
        self._units = config.units
        self(tf.zeros([1, 2 * self.frames_per_step, num_features]))

    def call(self, features: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Return logits for whole recordings."""
        x = features[..., None]
        for conv, drop in zip(self._front, self._front_drops, strict=True):
            x = drop(conv(x, training=training), training=training)
        x = flat(x)
        for gru, drop in zip(self._grus, self._drops, strict=True):
            x = drop(gru(x), training=training)
        return self._head(x)
