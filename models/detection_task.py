"""The task `detection`: a detector fitted to scenes, judged by events on the validation split."""

from __future__ import annotations

import functools
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from models.detector import Detector
from models.event_matching import count_events
from models.feature_statistics import find_statistics
from models.losses import loss_of
from models.operating_points import (
    choose_on_validation,
    event_cost,
    limit_of,
    limit_text,
    no_keyword,
    sweep,
)
from models.plots import detector_output
from models.scoring import Scorer
from models.task import Judgement
from models.validation_scores import ValidationScores
from pipeline.augmentation import Augmenter, WithPredecessor
from pipeline.frame_labels import LabelRule
from pipeline.input_dataset import (
    ShardSource,
    judged_examples,
    prepare_scenes,
    read_dataset,
)
from pipeline.inputs.shard_cache import CachedDataset
from pipeline.inputs.source import ExampleSource, Prepare
from schemas.detection import ScoredRecording
from schemas.errors import TrainingError
from schemas.recipe import Recipe
from schemas.recipe_augmentation import Augmentation
from schemas.stored_dataset import StoredDataset

_MOST_HEARD, _BATCH = 1000, 20
_SOUND_S = 0.3
"""Of a keyword that is looked for before its label."""


class DetectionTask:
    """A recipe's detector and the data set that it learns from; attributes as in task.Task.

    Args:
        recipe: features, model, training and evaluation sections are used.
        data: folder or URI of a complete data set.
        cache: folder of its shards' copies, if they are to be read.

    Raises:
        TrainingError: nothing to validate on.
        DatasetError: the data set isn't complete, or its validation split has no keyword to choose
            thresholds on.
    """

    def __init__(self, recipe: Recipe, data: str, cache: Path | None = None) -> None:
        self.stored = read_dataset(data)
        if cache:
            self.stored = CachedDataset(self.stored.location, self.stored.manifests, cache)
        self.recipe = recipe
        self.name, self.seed, self.fitting = recipe.name, recipe.seed, recipe.training
        if not self.stored.num_examples("validation"):
            raise TrainingError(
                "no validation examples",
                expected="some scenes to choose the best epoch on",
                fix="raise dataset.num_examples.validation",
            )
        if recipe.evaluation.measure == "keywords" and not _validation_keywords(self.stored):
            raise no_keyword()
        self.content = {
            "data": self.stored.identity(),
            "seed": recipe.seed,
            "features": recipe.features.model_dump(mode="json"),
            "model": recipe.model.model_dump(mode="json"),
            "training": recipe.training.model_dump(mode="json", exclude={"data_service", "cache"}),
            "evaluation": recipe.evaluation.model_dump(mode="json"),
        }
        self.source: ExampleSource = ShardSource(
            self.stored,
            "train",
            seed=recipe.seed,
            shuffle_buffer=recipe.training.shuffle_examples,
        )
        if recipe.training.augmentation.mixup:
            self.source = WithPredecessor(self.source)
        self._plain = Detector.of(recipe)
        self._scorer: Scorer | None = None

    def build(self) -> keras.Model:
        """Return a new network."""
        return Detector.of(self.recipe).network

    def prepare(self) -> Prepare:
        """Return what makes features, labels and step weights of records."""
        front_end, augmentation = self._plain.front_end, self.recipe.training.augmentation
        rate = self.stored.sample_rate_hz
        augmenter = Augmenter(augmentation, self.seed, rate, front_end.hop_samples / rate)
        return prepare_scenes(
            self._detector.features,
            label_rule(self.recipe, self._detector, self.stored),
            encoding=self.stored.encoding,
            example_samples=self.stored.example_samples,
            augmenter=augmenter if augmentation != Augmentation() else None,
        )

    def losses(self) -> dict[str, Any]:
        """Return the loss."""
        return {"loss": loss_of(self.recipe.training)}

    def memory_frames(self) -> int:
        """Return how many frames before a positive step its keyword's sound may lie."""
        frames_s = self._detector.front_end.hop_samples / self._detector.sample_rate_hz
        return round((_SOUND_S + max(0.0, self.recipe.training.label_window.end_s)) / frames_s)

    def judge(self, network: keras.Model) -> Judgement:
        """Count events over the validation split."""
        judging = self.recipe.keyword_evaluation
        recordings = self._scored(network)
        points = sweep(recordings, self._detector.labels, **judging.rule())
        limit = judging.max_false_accepts_per_hour
        point = choose_on_validation(points, limit)
        values = {
            "miss_rate": point.miss_rate,
            "false_accepts_per_hour": point.false_accepts_per_hour,
            "threshold": point.threshold,
        }
        remark = (
            f"{100 * point.miss_rate:.1f} % missed at "
            f"{point.false_accepts_per_hour:.1f} false accepts/h on validation"
        )
        over = limit_text(limit_of(point, limit))
        remark += f" ({over})" if over else ""
        shown = functools.partial(self._show, recordings, point.threshold)
        keywords = [e for r in recordings for e in r.events if e.kind == "keyword"]
        cost, error = event_cost(points, len({e.source for e in keywords}))
        scores = ValidationScores(
            self._detector.labels,
            point.threshold,
            judging.rule(),
            recordings,
            self.stored.split_identity("validation"),
            len(recordings),
        )
        return Judgement(cost, values, remark, shown, scores.save, cost_error=error)

    def _scored(self, network: keras.Model) -> list[ScoredRecording]:
        """Score the validation split; epochs judge the same network, which is compiled once."""
        if self._scorer is None or self._scorer.detector.network is not network:
            self._scorer = Scorer(self._detector.with_network(network), self.stored)
        return self._scorer("validation")

    def _show(self, recordings: list[ScoredRecording], threshold: float) -> None:
        """Let TensorBoard play and draw the first validation scene with a keyword in it."""
        with_keyword = (
            i for i, r in enumerate(recordings) if any(e.kind == "keyword" for e in r.events)
        )
        index = next(with_keyword, 0)
        judging, recording = self.recipe.keyword_evaluation, recordings[index]
        labels = self._detector.labels
        audio = self._validation_audio(index)
        picture = detector_output(
            audio,
            self.stored.sample_rate_hz,
            times_s=recording.times_s,
            scores=recording.scores.max(axis=1),
            threshold=threshold,
            events=recording.events,
            matching=count_events(recording, labels, threshold=threshold, **judging.rule()),
            title=recording.name,
        )
        tf.summary.image("detector output", tf.io.decode_png(picture, channels=3)[None])
        tf.summary.audio("scene", audio[None, :, None], self.stored.sample_rate_hz)

    def _validation_audio(self, index: int) -> np.ndarray:
        parts = judged_examples(self.stored, split="validation", batch_size=1)
        return np.asarray(next(itertools.islice(parts, index, None))[1][0])

    def save(self, network: keras.Model, folder: Path, card: dict[str, Any]) -> None:
        """Write the detector with what it was made of."""
        card = card | {
            "evaluation": self.recipe.evaluation.model_dump(mode="json"),
            "dataset": {
                "identity": self.stored.identity(),
                "recipe_digests": [m.recipe_digest for m in self.stored.manifests],
            },
            "licences": dict(self.stored.licences()),
            "recipe": self.recipe.model_dump(mode="json", by_alias=True),
        }
        self._detector.with_network(network).save(folder, card)

    @functools.cached_property
    def _detector(self) -> Detector:
        """With the statistics of its features, which are found when first needed.

        The first 1,000 scenes, as they are stored, speak for all: scenes are drawn independently.
        """
        if self.recipe.features.statistics == "none":
            return self._plain
        batches = judged_examples(self.stored, split="train", batch_size=_BATCH)
        audio = (batch[1] for batch in itertools.islice(batches, _MOST_HEARD // _BATCH))
        return self._plain.with_statistics(find_statistics(self._plain, audio))


def _validation_keywords(stored: StoredDataset) -> int:
    """Of all generations, as their manifests count them."""
    counts = [manifest.counts.get("validation", {}) for manifest in stored.manifests]
    return sum(of.get("events_by_kind", {}).get("keyword", 0) for of in counts)


def label_rule(recipe: Recipe, detector: Detector, stored: StoredDataset) -> LabelRule:
    """Return how events become labels for a detector's stride."""
    return LabelRule.of(
        recipe.training.label_window,
        labels=detector.labels,
        num_steps=detector.num_steps(stored.example_samples),
        warmup_samples=detector.warmup_samples,
        hop_samples=detector.hop_samples,
        sample_rate_hz=detector.sample_rate_hz,
        positive_weight=recipe.training.positive_weight,
        scene_samples=stored.example_samples,
        class_weights=recipe.training.class_weights,
        event_weights=recipe.training.event_weights,
    )
