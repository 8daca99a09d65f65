"""A date translator: a network, the characters that it knows, and how a text goes in and out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras as keras

from models.model_files import WEIGHTS_NAME, read_card, save_model
from models.zoo.date_attention import attention_of, build_date_network
from pipeline.date_writing import normalised
from pipeline.inputs.text_pairs import DATE_CHARACTERS, Vocabulary, network_inputs
from schemas.errors import TrainingError
from schemas.recipe_dates import DateAttention

_BATCH = 1000


@dataclass(frozen=True)
class Translator:
    """Texts → YYYY-MM-DD.

    Attributes:
        config: sizes of the network.
        vocabulary: what it reads.
        network: of `build_date_network`.
    """

    config: DateAttention
    vocabulary: Vocabulary
    network: keras.Model

    def answers(self, texts: Sequence[str]) -> list[str]:
        """Return what the network writes for each text, likeliest character by character.

        A character that it doesn't know is `<unk>` to it, and what is too long is cut.
        """
        answers: list[str] = []
        for start in range(0, len(texts), _BATCH):
            outputs = self.network(list(self._inputs(texts[start : start + _BATCH])))
            best = np.stack([output.numpy().argmax(axis=-1) for output in outputs], axis=1)
            answers += ["".join(DATE_CHARACTERS[i] for i in row) for row in best]
        return answers

    def attention(self, text: str) -> npt.NDArray[np.float32]:
        """Return (10, Tx): for each character written, how much each position counted."""
        weights = attention_of(self.network)(list(self._inputs([text])))
        return np.stack([step.numpy()[0, :, 0] for step in weights])

    def save(self, folder: Path, card: dict[str, Any]) -> None:
        """Write weights and card."""
        save_model(
            self.network,
            folder,
            card
            | {
                "task": "dates",
                "characters": self.vocabulary.characters,
                "model": self.config.model_dump(mode="json"),
            },
        )

    @classmethod
    def load(cls, folder: Path) -> Translator:
        """Read a trained model.

        Raises:
            TrainingError: there is none, or one of another task.
        """
        card = read_card(folder)
        if card.get("task") != "dates":
            raise TrainingError(f"{folder} holds no date translator", expected="task: dates")
        config = DateAttention.model_validate(card["model"])
        vocabulary = Vocabulary(card["characters"])
        network = build_date_network(config, vocabulary_size=vocabulary.size)
        network.load_weights(str(folder / WEIGHTS_NAME))
        return cls(config, vocabulary, network)

    def _inputs(self, texts: Sequence[str]) -> tuple[tf.Tensor, ...]:
        return network_inputs(
            tf.constant([normalised(text) for text in texts]),
            self.vocabulary,
            longest_text=self.config.longest_text,
            state_units=self.config.decoder_units,
        )
