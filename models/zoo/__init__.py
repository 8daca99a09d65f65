"""The networks, one file a family, and the table that finds them."""

from __future__ import annotations

import tf_keras as keras

from models.zoo.stream_tcn import StreamTcnNetwork
from models.zoo.trigger_gru import TriggerGruNetwork
from schemas.recipe import StreamTcn, TriggerGru


def build_network(
    config: StreamTcn | TriggerGru, *, num_features: int, num_labels: int
) -> keras.Model:
    """Return the built network that a recipe's `model` section names."""
    if isinstance(config, StreamTcn):
        return StreamTcnNetwork(config, num_features, num_labels)
    return TriggerGruNetwork(config, num_features, num_labels)
