"""Weights to start from: any model's, put into a network layer by layer.

What may be given: a folder that `wakebeam train` wrote, a `.keras` file, a `.h5` of any Keras 2
(models/period_h5.py), with its network or with weights alone. Layers that hold weights are matched
in their order, whatever they are called and whatever style connects them, and each array must have
the shape of the one that it replaces. What doesn't fit is refused by name; nothing is cut, padded
or left out in silence.

A `.weights.h5` of tf-keras 2.17 names its arrays after attributes of the network that wrote it, so
it fits networks of the same build alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tf_keras as keras

from models.model_files import WEIGHTS_NAME, read_card
from models.period_h5 import LayerWeights, read_h5
from schemas.errors import TrainingError


@dataclass(frozen=True)
class InitialWeights:
    """Where a training starts.

    Attributes:
        path: of what was given.
        digest: SHA-256 of the file that holds the weights; a training depends on it.
    """

    path: Path
    digest: str

    @classmethod
    def of(cls, path: Path) -> InitialWeights:
        """Find a model's weights.

        Raises:
            TrainingError: there is nothing of the kind.
        """
        file = _weights_file(path)
        return cls(path, hashlib.sha256(file.read_bytes()).hexdigest())

    def put_into(self, network: keras.Model) -> None:
        """Give a built network these weights.

        Raises:
            TrainingError: they can't be read or are of another network.
        """
        file = _weights_file(self.path)
        if file.name.endswith(".weights.h5"):
            _load_same_build(network, file, self.path)
        elif file.suffix == ".keras":
            hand_over(_load_keras(file), network, source_name=str(file))
        else:
            _put(read_h5(file), network, str(file))


def hand_over(source: keras.Model, target: keras.Model, *, source_name: str = "the source") -> None:
    """Copy all weights from one network to another of the same layers, of whatever style.

    Raises:
        TrainingError: the layers don't fit.
    """
    _put(layer_weights(source), target, source_name)


def layer_weights(network: keras.Model) -> list[LayerWeights]:
    """Return name and arrays of each layer that holds any, in order."""
    return [
        LayerWeights(layer.name, tuple(layer.get_weights()))
        for layer in network.layers
        if layer.weights
    ]


def _put(given: Sequence[LayerWeights], network: keras.Model, source_name: str) -> None:
    """Check all, then set all: a network is never left half filled."""
    layers = [layer for layer in network.layers if layer.weights]
    wanted = layer_weights(network)
    for have, want in zip(given, wanted, strict=False):
        if [a.shape for a in have.arrays] != [a.shape for a in want.arrays]:
            raise TrainingError(
                f"{source_name}: layer {have.name} holds {_shapes(have)}",
                expected=f"{_shapes(want)}, as layer {want.name} of {network.name}",
                fix="start from a model of the same sizes, or change the recipe's model to them",
            )
    if len(given) != len(wanted):
        more = (given if len(given) > len(wanted) else wanted)[min(len(given), len(wanted))]
        raise TrainingError(
            f"{source_name} has {len(given)} layers with weights",
            expected=f"{len(wanted)}, as {network.name}; the first without a partner is "
            f"{more.name}, {_shapes(more)}",
            fix="start from a model of the same network",
        )
    for layer, have in zip(layers, given, strict=True):
        layer.set_weights(have.arrays)


def _shapes(layer: LayerWeights) -> str:
    return " ".join(str(tuple(array.shape)).replace(" ", "") for array in layer.arrays) or "nothing"


def _weights_file(path: Path) -> Path:
    if path.is_dir():
        read_card(path)
        path = path / WEIGHTS_NAME
    if not path.is_file():
        raise TrainingError(
            f"{path} does not exist",
            expected="a trained model's folder, or a .keras or .h5 file, to start from",
        )
    if path.suffix not in {".h5", ".hdf5", ".keras"}:
        raise TrainingError(
            f"{path} is of no kind that holds weights", expected="a folder, .keras, .h5 or .hdf5"
        )
    return path


def _load_keras(file: Path) -> keras.Model:
    try:
        return keras.models.load_model(str(file), compile=False, safe_mode=True)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise TrainingError(
            f"{file} can't be loaded ({_first_line(error)})",
            expected="a model that tf-keras 2.17 or another Keras 2 saved",
            fix="save its weights alone: model.save_weights('weights.h5')",
        ) from error


def _load_same_build(network: keras.Model, file: Path, named: Path) -> None:
    before = network.get_weights()
    try:
        network.load_weights(str(file))
    except (OSError, ValueError, KeyError) as error:
        network.set_weights(before)
        raise TrainingError(
            f"{named} doesn't fit {network.name} ({_first_line(error)})",
            expected="weights of a network of the same family and sizes",
            fix="see the model's card, model.json, and give the recipe's model its options",
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
