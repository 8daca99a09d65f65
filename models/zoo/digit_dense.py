"""`digit_dense`, the smallest classifier, in Keras' three styles: how one network is built thrice.

Input (B, 28, 28) grey values, output (B, 10) probabilities: flatten, dense 256 with ReLU, dense 10
with softmax; 203,530 parameters. It hears nothing: no receptive field, no latency. Source: the
28 × 28 digit classifier of Keras' own introductions.

`digit_layers` is the network; a style only connects its layers. A subclass has no shapes before its
first call: `DigitDense` calls itself once, so it can be counted, saved and loaded.
"""

from __future__ import annotations

import tensorflow as tf
import tf_keras as keras

_SIDE, _HIDDEN, _CLASSES = 28, 256, 10


def digit_layers() -> list[keras.layers.Layer]:
    """Return new layers, from the first to the last."""
    return [
        keras.layers.Flatten(name="flatten"),
        keras.layers.Dense(_HIDDEN, activation="relu", name="hidden"),
        keras.layers.Dense(_CLASSES, activation="softmax", name="digits"),
    ]


def sequential_digits() -> keras.Sequential:
    """Return the classifier as a list of layers."""
    return keras.Sequential([keras.Input([_SIDE, _SIDE]), *digit_layers()], name="digit_dense")


def functional_digits() -> keras.Model:
    """Return the classifier as a graph from its input to its output."""
    picture = x = keras.Input([_SIDE, _SIDE], name="picture")
    for layer in digit_layers():
        x = layer(x)
    return keras.Model(picture, x, name="digit_dense")


class DigitDense(keras.Model):
    """The classifier as a class of its own."""

    def __init__(self) -> None:
        super().__init__(name="digit_dense")
        self._flatten, self._hidden, self._digits = digit_layers()
        self(tf.zeros([1, _SIDE, _SIDE]))

    def call(self, picture: tf.Tensor) -> tf.Tensor:
        """(B, 28, 28) → (B, 10) probabilities."""
        return self._digits(self._hidden(self._flatten(picture)))
