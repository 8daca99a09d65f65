"""Layers that a training leaves as they are, chosen by what they are and never by a number.

In a functional network the batch norms of `trigger_gru` have the numbers 2, 7 and 10, in a
sequential one 1, 6 and 9: so a kind is named, and all its layers are found, nested ones too. A
frozen batch norm normalises by its stored statistics in training as well, and keeps them. Freeze
before `compile`, which looks at what can be trained.
"""

from __future__ import annotations

from collections.abc import Sequence

import tf_keras as keras

from models.stream_layers import CausalDepthwise
from models.zoo.bc_resnet import FrequencyTaps
from schemas.errors import TrainingError

KINDS: dict[str, tuple[type[keras.layers.Layer], ...]] = {
    "batch_normalization": (keras.layers.BatchNormalization,),
    "convolution": (
        keras.layers.Conv1D,
        keras.layers.Conv2D,
        keras.layers.DepthwiseConv2D,
        CausalDepthwise,
        FrequencyTaps,
    ),
    "recurrent": (keras.layers.GRU, keras.layers.LSTM),
}
"""The classes of each kind that a recipe's `training.freeze` may name."""


def freeze(network: keras.Model, kinds: Sequence[str]) -> keras.Model:
    """Freeze all layers of some kinds and return the network.

    Raises:
        TrainingError: the network has no layer of a kind, or nothing is left to train.
    """
    for kind in kinds:
        found = [part for part in network.submodules if isinstance(part, KINDS[kind])]
        if not found:
            raise TrainingError(
                f"training.freeze {kind}: {network.name} has no such layer",
                expected="kinds of layers that the network has",
                fix=f"take {kind} out of training.freeze",
            )
        for layer in found:
            layer.trainable = False
    if kinds and not network.trainable_variables:
        raise TrainingError(f"training.freeze leaves nothing of {network.name} to train")
    return network
