"""The networks, one file a family, and the table that finds them.

A family's section in `schemas/recipe_training.py` names it and says which features it is made for;
its network is a `keras.Model` of (section, number of features, number of labels) with

    call(features, training)   (B, T, features) → (B, steps, labels) logits of whole recordings
    stream(features, state)    the same for the next frames, and the new state
    state_shapes()             of one stream's state, without the batch axis
    frames_per_step, lookback_frames, smoothing_steps   as in StreamTcnNetwork
"""

from __future__ import annotations

import tf_keras as keras

from models.zoo.bc_resnet import BcResnetNetwork
from models.zoo.crnn import CrnnNetwork
from models.zoo.sed_crnn import SedCrnnNetwork
from models.zoo.stream_tcn import StreamTcnNetwork
from models.zoo.trigger_gru import TriggerGruNetwork
from schemas.recipe import Model

NETWORKS: dict[str, type[keras.Model]] = {
    "bc_resnet": BcResnetNetwork,
    "crnn": CrnnNetwork,
    "sed_crnn": SedCrnnNetwork,
    "stream_tcn": StreamTcnNetwork,
    "trigger_gru": TriggerGruNetwork,
}
"""The network of each family that a recipe's `model` may name."""


def build_network(config: Model, *, num_features: int, num_labels: int) -> keras.Model:
    """Return the built network that a recipe's `model` section names."""
    return NETWORKS[config.family](config, num_features, num_labels)
