"""`trigger_gru`, the network of the classic ten-second exercise, in Keras' three styles.

Input (B, T, 101), powers of 200-sample frames every 80 samples at 44.1 kHz (`specgram`); output
(B, floor((T − 15)/4) + 1, labels) logits, for ten seconds (B, 5511, 101) → (B, 1375, labels). Conv
196 (kernel 15, stride 4, no padding), batch norm, ReLU, dropout; two GRUs of 128 with dropout and
batch norm; dense. 523,329 parameters, 522,425 of them trainable; with `reset_after: false`, the
period's GRU with its hard sigmoid, 522,561.

Receptive field: all of the past, by the GRUs; the convolution sees 1,320 samples. Latency: one
output step, 7.3 ms: output i has seen 1,320 + 320·i samples. Source: the trigger-word exercise of
the Sequence Models course, deeplearning.ai, 2018.

`trigger_gru_layers` is the network; a style only connects its layers. Training and streams use the
subclass, and `initial_weights.hand_over` carries weights from any style to any other.

Under mixed precision all up to the first GRU stays in float32: powers reach 9·10⁶, far beyond
float16, and a batch norm scales but doesn't bound; what a GRU gives lies within ±1.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from models.stream_layers import unroll
from schemas.recipe import TriggerGru

_KERNEL, _STRIDE = 15, 4


def trigger_gru_layers(config: TriggerGru, num_labels: int) -> list[keras.layers.Layer]:
    """Return new layers, from the first to the last, each applied to what the one before gave."""
    layers = keras.layers
    wide = {"dtype": "float32"}
    gru: dict[str, Any] = {
        "units": config.units,
        "return_sequences": True,
        "reset_after": config.reset_after,
        "recurrent_activation": "sigmoid" if config.reset_after else "hard_sigmoid",
    }
    return [
        layers.Conv1D(config.filters, _KERNEL, _STRIDE, name="conv", **wide),
        layers.BatchNormalization(name="norm_0", **wide),
        layers.ReLU(name="relu", **wide),
        layers.Dropout(config.dropout, name="dropout_0", **wide),
        layers.GRU(name="gru_0", **gru, **wide),
        layers.Dropout(config.dropout, name="dropout_1"),
        layers.BatchNormalization(name="norm_1"),
        layers.GRU(name="gru_1", **gru),
        layers.Dropout(config.dropout, name="dropout_2"),
        layers.BatchNormalization(name="norm_2"),
        layers.Dropout(config.dropout, name="dropout_3"),
        layers.Dense(num_labels, name="logits"),
    ]


def sequential_trigger_gru(
    config: TriggerGru, num_features: int, num_labels: int
) -> keras.Sequential:
    """Return the network as a list of layers; any number of frames."""
    first = keras.Input([None, num_features], name="features", dtype="float32")
    return keras.Sequential([first, *trigger_gru_layers(config, num_labels)], name="trigger_gru")


def functional_trigger_gru(config: TriggerGru, num_features: int, num_labels: int) -> keras.Model:
    """Return the network as a graph from its input to its output; any number of frames."""
    features = x = keras.Input([None, num_features], name="features", dtype="float32")
    for layer in trigger_gru_layers(config, num_labels):
        x = layer(x)
    return keras.Model(features, x, name="trigger_gru")


class TriggerGruNetwork(keras.Model):
    """The network as a class of its own, which also runs step by step.

    Attributes: as in StreamTcnNetwork.
    """

    frames_per_step = _STRIDE
    lookback_frames = _KERNEL - _STRIDE
    smoothing_steps = 1

    def __init__(self, config: TriggerGru, num_features: int, num_labels: int) -> None:
        super().__init__(name="trigger_gru", autocast=False)
        self._stack = trigger_gru_layers(config, num_labels)
        self._units = config.units
        self(tf.zeros([1, _KERNEL, num_features]))  # a subclass has no weights before

    def call(self, features: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Return logits for whole recordings."""
        x = features
        for layer in self._stack:
            x = _applied(layer, x, training)
        return x

    def stream(
        self, features: tf.Tensor, state: list[tf.Tensor]
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Return logits for frames that begin with `lookback_frames` already seen."""
        x = features
        new: list[tf.Tensor] = []
        for layer in self._stack:
            if isinstance(layer, keras.layers.GRU):
                x, kept = unroll(layer, x, state[len(new)])
                new.append(kept)
            else:
                x = _applied(layer, x, False)
        return x, new

    def state_shapes(self) -> list[tuple[int, ...]]:
        """Shapes of the state of one stream, without the batch axis."""
        return [(self._units,), (self._units,)]


def _applied(layer: keras.layers.Layer, x: tf.Tensor, training: bool) -> tf.Tensor:
    """A layer's output; some layers know no difference between training and use."""
    if isinstance(layer, keras.layers.Dropout | keras.layers.BatchNormalization):
        return layer(x, training=training)
    return layer(x)
