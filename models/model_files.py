"""The files that are a trained model: its weights and the card that says what they are."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import tf_keras as keras

from models.model_card import CARD_TEXT_NAME, card_text
from pipeline.text_file import replace_text
from schemas.errors import TrainingError

CARD_NAME, WEIGHTS_NAME = "model.json", "network.weights.h5"
COMPARISON_NAME = "comparison.json"
"""Of a model that a retraining compared with the one before: what it found."""


def save_model(network: keras.Model, folder: Path, card: dict[str, Any]) -> None:
    """Write weights, then the card for people and the card, each atomically."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / "writing.weights.h5"
    network.save_weights(str(temporary))
    os.replace(temporary, folder / WEIGHTS_NAME)
    replace_text(folder / CARD_TEXT_NAME, card_text(card))
    write_json(folder / CARD_NAME, card)


def read_card(folder: Path) -> dict[str, Any]:
    """Read a model's card.

    Raises:
        TrainingError: there is no finished model.
    """
    try:
        return json.loads((folder / CARD_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(
            f"{folder} holds no trained model ({error})",
            fix="train one with `wakebeam train RECIPE`",
        ) from error


def write_json(path: Path, value: Any) -> None:
    """Replace a JSON file atomically."""
    replace_text(path, json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n")
