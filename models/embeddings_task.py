"""The task `embeddings`: a clip classifier fitted to embeddings, judged on validation clips.

What the clips' frames are normalised by is known before the first step: mean and variance of the
training frames. Plateau, early stopping and the choice of weights look at one number, by
`training.monitor`: the validation loss, or one minus accuracy or average precision.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from models.clip_judging import judged
from models.model_files import WEIGHTS_NAME, read_card, save_model
from models.task import Judgement
from models.zoo.clip_networks import ClipNetwork
from pipeline.inputs.embedding_set import (
    Clips,
    ClipSource,
    prepare_clips,
    read_clip_set,
    read_clips,
)
from pipeline.inputs.source import ExampleSource, Prepare
from schemas.errors import TrainingError
from schemas.recipe_embeddings import ClipModel, EmbeddingsRecipe

_AT_ONCE = 512


class EmbeddingsTask:
    """A recipe's classifier and the set that it learns from; attributes as in task.Task.

    Args:
        recipe: seed, model and training are used.
        data: folder or URI of a complete set.

    Raises:
        TrainingError: training or validation clips lack one of the two labels.
        DatasetError: the set isn't complete.
    """

    def __init__(self, recipe: EmbeddingsRecipe, data: str) -> None:
        self.stored = read_clip_set(data)
        self.recipe = recipe
        self.name, self.seed, self.fitting = recipe.name, recipe.seed, recipe.training
        for split in ("train", "validation"):
            counts = self.stored.counts[split]["labels"]
            if not (counts.get("positive") and counts.get("negative")):
                raise TrainingError(
                    f"{split} has {counts.get('positive', 0)} clips with the sound and "
                    f"{counts.get('negative', 0)} without",
                    expected="some of both",
                    fix="give more clips, or change data.splits",
                )
        self.content = {
            "data": self.stored.identity(),
            "seed": recipe.seed,
            "model": recipe.model.model_dump(mode="json"),
            "training": recipe.training.model_dump(mode="json"),
        }
        self.source: ExampleSource = ClipSource(
            self.stored, "train", seed=recipe.seed, batch_size=recipe.training.batch_size
        )
        self._statistics = self._read("train").statistics()
        self._validation = self._read("validation")

    def build(self) -> keras.Model:
        """Return a new network that knows the training data's mean and variance."""
        network = ClipNetwork(self.recipe.model)
        network.set_statistics(*self._statistics)
        return network

    def prepare(self) -> Prepare:
        """Return what makes frames, mask, labels and weights of records."""
        return prepare_clips(
            num_frames=self.recipe.model.num_frames,
            padding=self.recipe.model.padding,
            positive_weight=self._positive_weight(),
        )

    def losses(self) -> dict[str, Any]:
        """Return the loss."""
        return {"loss": keras.losses.BinaryCrossentropy(from_logits=True)}

    def judge(self, network: keras.Model) -> Judgement:
        """Count the validation split's clips."""
        clips = self._validation
        found = judged(clips.labels, logits_of(network, clips), clips.video_ids)
        accuracy = found["accuracy"]
        values = {
            "loss": found["loss"],
            "accuracy": accuracy["share"],
            "average_precision": found["average_precision"],
        }
        monitor = self.recipe.training.monitor
        remark = (
            f"{100 * accuracy['share']:.1f} % of {accuracy['total']} validation clips right "
            f"(always the commoner answer: {100 * found['base_rate']['share']:.1f} %), average "
            f"precision {values['average_precision']:.3f}"
        )
        cost = values[monitor] if monitor == "loss" else 1.0 - values[monitor]
        return Judgement(cost, {f"validation_{k}": v for k, v in values.items()}, remark)

    def save(self, network: keras.Model, folder: Path, card: dict[str, Any]) -> None:
        """Write the classifier with what it was made of."""
        location = self.stored.location
        if "://" not in location:
            location = os.path.relpath(location, folder)  # the two are moved together
        card = card | {
            "task": self.recipe.task,
            "model": self.recipe.model.model_dump(mode="json"),
            "data": {"location": location, "identity": self.stored.identity()},
            "licences": sorted(
                {material.licence or "not stated" for material in self.recipe.data.material}
            ),
            "software": {"tensorflow": tf.__version__, "python": platform.python_version()},
        }
        save_model(network, folder, card)

    def _read(self, split: str) -> Clips:
        config = self.recipe.model
        return read_clips(self.stored, split, num_frames=config.num_frames, padding=config.padding)

    def _positive_weight(self) -> float:
        wanted = self.recipe.training.positive_weight
        if wanted != "balanced":
            return wanted
        counts = self.stored.counts["train"]["labels"]
        return counts["negative"] / counts["positive"]


def load_classifier(folder: Path) -> ClipNetwork:
    """Return a trained classifier.

    Raises:
        TrainingError: there is none.
    """
    network = ClipNetwork(ClipModel.model_validate(read_card(folder)["model"]))
    network.load_weights(str(folder / WEIGHTS_NAME))
    return network


def logits_of(network: ClipNetwork, clips: Clips) -> np.ndarray:
    """Return (N,) float32."""
    starts = range(0, len(clips.labels), _AT_ONCE)
    parts = [
        network((clips.frames[i : i + _AT_ONCE], clips.mask[i : i + _AT_ONCE])).numpy()[:, 0]
        for i in starts
    ]
    return np.concatenate(parts)
