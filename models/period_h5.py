"""`.h5` models of the period: Keras 2 up to 2.10, standalone or in TensorFlow 1 and 2.

Such a file holds, in HDF5 attributes, the network's configuration as JSON (`model_config`) and the
order of its layers and arrays (`layer_names`, `weight_names`); a file of weights alone has only the
latter. A GRU of that time has one bias row and, by default, a hard sigmoid; its configuration
says nothing of `reset_after`, because there was no other form. tf-keras 2.17 then assumes the new
form and refuses the weights, so what the configuration leaves out is put there before building:
`reset_after: false` and `recurrent_activation: hard_sigmoid`. What it says is kept.

The network is built from its JSON and never from code: a file with a Lambda layer, which holds
Python bytecode, is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import tf_keras as keras

from schemas.errors import TrainingError

_PERIOD_GRU = {"reset_after": False, "recurrent_activation": "hard_sigmoid"}


@dataclass(frozen=True)
class LayerWeights:
    """One layer's arrays, in the order in which Keras sets them."""

    name: str
    arrays: tuple[np.ndarray, ...]


def load_period_model(path: Path) -> keras.Model:
    """Load a network with its weights, uncompiled; outputs are those that it had.

    Raises:
        TrainingError: unreadable, weights alone, or with layers that can't be built.
    """
    with _opened(path) as file:
        stored = file.attrs.get("model_config")
    if stored is None:
        raise TrainingError(
            f"{path} holds weights alone",
            expected="a whole model, as model.save() writes it",
            fix="give the network by a recipe: wakebeam train RECIPE --init-from FILE",
        )
    try:
        config = json.loads(_text(stored))
    except ValueError as error:
        raise TrainingError(f"{path} is damaged: model_config is not JSON") from error
    for layer in _layers(config):
        if layer.get("class_name") == "Lambda":
            raise TrainingError(
                f"{path} has a Lambda layer, which holds Python code",
                expected="a network of plain layers",
                fix="save its weights alone, from a place that you trust",
            )
        if layer.get("class_name") == "GRU":
            layer["config"] = _PERIOD_GRU | layer["config"]
    try:
        network = keras.models.model_from_json(json.dumps(config))
        network.load_weights(str(path))
    except (ValueError, TypeError, KeyError, OSError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise TrainingError(f"{path} can't be built ({reason[:200]})") from error
    return network


def read_h5(path: Path) -> list[LayerWeights]:
    """Return the arrays of all layers that hold any, of a whole model or of weights alone.

    Raises:
        TrainingError: unreadable or of another kind.
    """
    with _opened(path) as file:
        group = file.get("model_weights", file)
        if "layer_names" not in group.attrs:
            raise TrainingError(
                f"{path} holds no layers of Keras 2",
                expected="a file of model.save() or model.save_weights() with the ending .h5",
            )
        try:
            found = [
                LayerWeights(name, _arrays(group[name])) for name in _names(group, "layer_names")
            ]
        except (KeyError, OSError, TypeError) as error:
            raise TrainingError(f"{path} is damaged ({error})") from error
    return [layer for layer in found if layer.arrays]


def _arrays(group: h5py.Group) -> tuple[np.ndarray, ...]:
    return tuple(np.asarray(group[name]) for name in _names(group, "weight_names"))


def _names(group: h5py.Group, attribute: str) -> list[str]:
    """A list of names; Keras cuts a long one into attributes NAME0, NAME1 and so on."""
    if attribute in group.attrs:
        return [_text(name) for name in group.attrs[attribute]]
    parts: list[str] = []
    while f"{attribute}{len(parts)}" in group.attrs:
        parts.append(f"{attribute}{len(parts)}")
    return [_text(name) for part in parts for name in group.attrs[part]]


def _layers(value: Any) -> Iterator[dict[str, Any]]:
    """All layers of a configuration, nested and wrapped ones too."""
    if isinstance(value, dict):
        if isinstance(value.get("config"), dict | list) and "class_name" in value:
            yield value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _layers(item)


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def _opened(path: Path) -> h5py.File:
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise TrainingError(
            f"{path} can't be read ({error})", expected="an HDF5 file that Keras wrote"
        ) from error
