"""`trigger_gru`, the network of the classic ten-second exercise.

(B, T, 101) features → (B, floor((T − 15)/4) + 1, labels) logits: conv 196 (kernel 15, stride 4, no
padding), batch norm, ReLU, dropout; two GRUs of 128 with dropout and batch norm; dense. With its
defaults 523,329 parameters, 522,425 of them trainable; with `reset_after: false` 522,561. Output i
has seen 1,320 + 320·i samples; the GRUs remember everything before.
"""

from __future__ import annotations

import tensorflow as tf
import tf_keras as keras

from schemas.recipe import TriggerGru

_KERNEL, _STRIDE = 15, 4


class TriggerGruNetwork(keras.Model):
    """Features to logits; attributes as in StreamTcnNetwork."""

    frames_per_step = _STRIDE
    lookback_frames = _KERNEL - _STRIDE
    smoothing_steps = 1

    def __init__(self, config: TriggerGru, num_features: int, num_labels: int) -> None:
        super().__init__(name="trigger_gru")
        drop, units = config.dropout, config.units
        self._conv = keras.layers.Conv1D(config.filters, _KERNEL, _STRIDE, name="conv")
        self._norms = [keras.layers.BatchNormalization(name=f"norm_{i}") for i in range(3)]
        self._drops = [keras.layers.Dropout(drop, name=f"dropout_{i}") for i in range(4)]
        self._grus = [
            keras.layers.GRU(
                units,
                return_sequences=True,
                reset_after=config.reset_after,
                recurrent_activation="sigmoid" if config.reset_after else "hard_sigmoid",
                name=f"gru_{i}",
            )
            for i in range(2)
        ]
        self._head = keras.layers.Dense(num_labels, name="logits")
        self._units = units
        self(tf.zeros([1, _KERNEL, num_features]))

    def call(self, features: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Return logits for whole recordings."""
        x = tf.nn.relu(self._norms[0](self._conv(features), training=training))
        x = self._grus[0](self._drops[0](x, training=training))
        x = self._norms[1](self._drops[1](x, training=training), training=training)
        x = self._grus[1](x)
        x = self._norms[2](self._drops[2](x, training=training), training=training)
        return self._head(self._drops[3](x, training=training))

    def stream(
        self, features: tf.Tensor, state: list[tf.Tensor]
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Return logits for frames that begin with `lookback_frames` already seen."""
        x = tf.nn.relu(self._norms[0](self._conv(features), training=False))
        x, first = self._unroll(self._grus[0], x, state[0])
        x = self._norms[1](x, training=False)
        x, second = self._unroll(self._grus[1], x, state[1])
        return self._head(self._norms[2](x, training=False)), [first, second]

    def state_shapes(self) -> list[tuple[int, ...]]:
        """Shapes of the state of one stream, without the batch axis."""
        return [(self._units,), (self._units,)]

    def _unroll(
        self, gru: keras.layers.GRU, x: tf.Tensor, h: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        outputs = []
        for t in range(x.shape[1]):
            h, _ = gru.cell(x[:, t], [tf.convert_to_tensor(h)])
            outputs.append(h)
        return tf.stack(outputs, axis=1), h
