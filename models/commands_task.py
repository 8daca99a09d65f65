"""The task `commands`: a classifier of short clips, judged by its errors on validation clips."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from models.class_plots import confusion_picture
from models.class_report import confusion_matrix
from models.command_classifier import CommandClassifier, batches_of
from models.task import Judgement
from models.zoo.command_cnn import resized_moments, set_moments
from pipeline.inputs.clip_folder import ClipFolder
from pipeline.inputs.clip_source import ClipSource, prepare_clips
from pipeline.inputs.source import ExampleSource, Prepare
from schemas.errors import TrainingError
from schemas.recipe import SPLITS
from schemas.recipe_commands import CommandsRecipe


class CommandsTask:
    """A recipe's classifier and the clips that it learns from; attributes as in task.Task.

    Args:
        recipe: all sections are used.
        clips: as `load_clip_folder` gives them for it.
        base_dir: where the recipe's relative paths start; evaluation reads the clips again.

    Raises:
        TrainingError: nothing to validate on.
    """

    def __init__(self, recipe: CommandsRecipe, clips: ClipFolder, base_dir: Path) -> None:
        if not len(clips.rows["validation"]):
            raise TrainingError(
                "no validation clips",
                expected="some speakers to choose the best epoch on",
                fix="raise splits.validation, or name speakers for it in splits.keep",
            )
        self.name, self.seed, self.fitting = recipe.name, recipe.seed, recipe.training
        self._recipe, self._clips, self._base_dir = recipe, clips, base_dir
        self.content = {
            "data": clips.identity,
            "seed": recipe.seed,
            "features": recipe.features.model_dump(mode="json"),
            "model": recipe.model.model_dump(mode="json"),
            "augmentation": recipe.augmentation.model_dump(mode="json"),
            "training": recipe.training.model_dump(mode="json"),
        }
        self._train = clips.rows["train"]
        self.source: ExampleSource = ClipSource(self._train, seed=recipe.seed)
        self._classifier = CommandClassifier(
            recipe.features,
            recipe.model,
            class_names=clips.class_names,
            sample_rate_hz=clips.sample_rate_hz,
            clip_samples=recipe.clips.clip_samples,
        )
        self._moments: tuple[float, float, int] | None = None

    def build(self) -> keras.Model:
        """Return a new network, its statistics those of the training clips as it gets them."""
        if self._moments is None:
            features = map(self._classifier.front_end, batches_of(self._clips.samples[self._train]))
            self._moments = resized_moments(self._recipe.model, features)
        network = self._classifier.new_network()
        set_moments(network, self._moments)
        return network

    def prepare(self) -> Prepare:
        """Return what makes features and labels of rows."""
        return prepare_clips(
            self._clips,
            self._classifier.front_end,
            self._recipe.augmentation,
            seed=self.seed,
        )

    def losses(self) -> dict[str, Any]:
        """Return the loss."""
        return {"loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True)}

    def judge(self, network: keras.Model) -> Judgement:
        """Count errors over the validation clips."""
        rows = self._clips.rows["validation"]
        logits = self._classifier.score(self._clips.samples[rows], network)
        labels = self._clips.labels[rows]
        loss = float(
            np.mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits))
        )
        wrong = int((logits.argmax(axis=1) != labels).sum())
        matrix = confusion_matrix(labels, logits.argmax(axis=1), len(self._clips.class_names))

        def summaries() -> None:
            picture = confusion_picture(matrix, self._clips.class_names, "validation")
            tf.summary.image("confusion", tf.io.decode_png(picture)[None])

        return Judgement(
            cost=wrong / len(rows),
            values={"accuracy": 1.0 - wrong / len(rows), "cross_entropy": loss},
            remark=f"{len(rows) - wrong} of {len(rows)} validation clips right",
            summaries=summaries,
        )

    def save(self, network: keras.Model, folder: Path, card: dict[str, Any]) -> None:
        """Write the classifier with what it was made of."""
        clips = self._clips
        card = card | {
            "clips": self._recipe.clips.model_dump(mode="json"),
            "splits": self._recipe.splits.model_dump(mode="json"),
            "augmentation": self._recipe.augmentation.model_dump(mode="json"),
            "base_dir": os.path.abspath(self._base_dir),
            "data": {
                "identity": clips.identity,
                "clips": {split: len(clips.rows[split]) for split in SPLITS},
                "speakers": {split: list(clips.speakers_in(split)) for split in SPLITS},
                "rejects": [reject.to_json() for reject in clips.rejects],
            },
            "software": {"tensorflow": tf.__version__, "python": platform.python_version()},
        }
        self._classifier.save(network, folder, card)
