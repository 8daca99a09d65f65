"""The task `dates`: a translator fitted to pairs, judged by exact matches on days it never saw."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import tf_keras as keras

from models.date_translator import Translator
from models.task import Judgement
from models.zoo.date_attention import build_date_network
from pipeline.input_dataset import ShardSource
from pipeline.inputs.source import ExampleSource, Prepare
from pipeline.inputs.text_pairs import (
    Vocabulary,
    characters_of,
    prepare_pairs,
    read_pairs,
    stored_pairs,
)
from schemas.errors import TrainingError
from schemas.pairs import DATE, TEXT
from schemas.recipe_dates import DatesRecipe

_SHUFFLED = 5000


class DatesTask:
    """A recipe's translator and the pairs that it learns from; attributes as in task.Task.

    Args:
        recipe: of the task.
        data: folder or URI of a complete data set of pairs.

    Raises:
        DatasetError: the data set isn't complete or was made from another recipe.
        TrainingError: nothing to validate on, or texts longer than the network reads.
    """

    def __init__(self, recipe: DatesRecipe, data: str) -> None:
        self.stored = read_pairs(data)
        self.stored.require_made_from(recipe.content())
        if not self.stored.num_examples("validation"):
            raise TrainingError(
                "no validation pairs",
                expected="some to choose the best epoch on",
                fix="raise dataset.num_examples.validation",
            )
        longest = max(map(int, self.stored.counts["train"]["lengths"]), default=0)
        if longest > recipe.model.longest_text:
            raise TrainingError(
                f"model.longest_text {recipe.model.longest_text}, and texts of {longest} "
                "characters to learn from, whose ends would be cut off",
                expected=f"{longest} or more",
            )
        self.recipe = recipe
        self.name, self.seed, self.fitting = recipe.name, recipe.seed, recipe.training
        self.content = {
            "data": self.stored.identity(),
            "seed": recipe.seed,
            "model": recipe.model.model_dump(mode="json"),
            "training": recipe.training.model_dump(mode="json"),
        }
        self.source: ExampleSource = ShardSource(
            self.stored, "train", seed=recipe.seed, shuffle_buffer=_SHUFFLED
        )
        self.vocabulary = Vocabulary(characters_of(self.stored))
        self._judged = stored_pairs(self.stored, "validation")

    def build(self) -> keras.Model:
        """Return a new network."""
        return build_date_network(self.recipe.model, vocabulary_size=self.vocabulary.size)

    def prepare(self) -> Prepare:
        """Return what makes one-hot rows of records."""
        return prepare_pairs(
            self.vocabulary,
            longest_text=self.recipe.model.longest_text,
            state_units=self.recipe.model.decoder_units,
        )

    def losses(self) -> dict[str, Any]:
        """Return the loss, which Keras sums over the ten characters."""
        return {"loss": "categorical_crossentropy"}

    def judge(self, network: keras.Model) -> Judgement:
        """Count exact matches on the validation days.

        The share of wrong characters is added to the cost: at first no date is wholly right.
        """
        answers = self._translator(network).answers(self._judged[TEXT])
        pairs = list(zip(answers, self._judged[DATE], strict=True))
        exact = sum(answer == date for answer, date in pairs) / len(pairs)
        wrong = sum(a != b for pair in pairs for a, b in zip(*pair, strict=True))
        wrong_share = wrong / sum(len(date) for _, date in pairs)
        return Judgement(
            cost=1.0 - exact + wrong_share,
            values={"exact_match": exact, "wrong_characters": wrong_share},
            remark=f"{100 * exact:.2f} % of the validation dates are right",
        )

    def save(self, network: keras.Model, folder: Path, card: dict[str, Any]) -> None:
        """Write the translator with what it was made of."""
        data = self.stored.location
        here = data if "://" in data else os.path.relpath(data, folder)
        card = card | {
            "dataset": {"location": here, "identity": self.stored.identity()},
            "recipe": self.recipe.model_dump(mode="json", by_alias=True),
        }
        self._translator(network).save(folder, card)

    def _translator(self, network: keras.Model) -> Translator:
        return Translator(self.recipe.model, self.vocabulary, network)
