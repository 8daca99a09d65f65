"""Dropout whose state a checkpoint can hold: a resumed training draws the masks it would have.

Keras' layers draw from operations with a hidden counter unless they are told to own a
`tf.random.Generator`; and Keras leaves those generators out of checkpoints. Here they are switched
on while a network is built, and handed to the checkpoint by name.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import tensorflow as tf
import tf_keras as keras
from tf_keras.backend.experimental import (
    disable_tf_random_generator,
    enable_tf_random_generator,
    is_tf_random_generator_enabled,
)


@contextlib.contextmanager
def layers_own_generators() -> Iterator[None]:
    """Let random layers that are built within own a generator each."""
    before = is_tf_random_generator_enabled()
    enable_tf_random_generator()
    try:
        yield
    finally:
        if not before:
            disable_tf_random_generator()


def generators_of(network: keras.Model) -> list[tf.random.Generator]:
    """Return the generators of a built network's random layers, in the order of its layers."""
    owners = (getattr(layer, "_random_generator", None) for layer in network._flatten_layers())
    found = (getattr(owner, "_generator", None) for owner in owners)
    return [generator for generator in found if generator is not None]
