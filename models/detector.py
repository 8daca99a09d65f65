"""A detector: front end, network, smoothing and sigmoid in one, offline and as a stream step.

    score_j = sigmoid(mean of the last `smoothing_steps` logits up to j)

Step j is known once `warmup + (j+1)·hop` samples have been heard. A stream keeps the samples that
the next frames still need and the states of the layers; its first step starts from zeros (or, for
a network without padding, after `warmup_samples` of real sound), so that it equals the offline
scores. A front end may keep a state of its own, and statistics of the data set that it learnt from
go with the model's card.
"""

from __future__ import annotations

import copy
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras
from pydantic import TypeAdapter

from models.features import Statistics, build_front_end
from models.model_files import WEIGHTS_NAME, read_card, save_model
from models.zoo import build_network
from models.zoo.cost import multiply_adds_per_step
from schemas.recipe import Features, Model, Recipe

MAX_LOGIT = 15.0
_QUIET_LOGIT = -10.0
_STEPS_PER_CALL = 4


class Detector(tf.Module):
    """Waveform to scores.

    Attributes:
        labels: class of each score.
        sample_rate_hz: of the waveform.
        hop_samples: between two scores.
        warmup_samples: heard before the first score's own hop.
        step_samples: what one call of `step` takes.
    """

    def __init__(
        self,
        features: Features,
        model: Model,
        *,
        sample_rate_hz: int,
        labels: tuple[str, ...],
        statistics: Statistics | None = None,
    ) -> None:
        super().__init__(name="detector")
        self.features_config, self.model_config = features, model
        self.labels = labels
        self.sample_rate_hz = sample_rate_hz
        self.front_end = build_front_end(features, sample_rate_hz, statistics)
        self.network = build_network(
            model, num_features=self.front_end.num_features, num_labels=len(labels)
        )
        frame_hop = self.front_end.hop_samples
        self.hop_samples = frame_hop * self.network.frames_per_step
        self.step_samples = self.hop_samples * _STEPS_PER_CALL
        self._tail = self.front_end.lookback_samples + frame_hop * self.network.lookback_frames
        self.warmup_samples = 0 if self.front_end.left_pad else self._tail
        self._smoothing = self.network.smoothing_steps

    @classmethod
    def of(cls, recipe: Recipe) -> Detector:
        """Return a new, untrained detector."""
        return cls(
            recipe.features,
            recipe.model,
            sample_rate_hz=recipe.sample_rate_hz,
            labels=recipe.labels,
        )

    def num_steps(self, num_samples: int) -> int:
        """Return the number of scores for a recording."""
        return max(0, (num_samples - self.warmup_samples) // self.hop_samples)

    def times_s(self, num_samples: int) -> np.ndarray:
        """Return (steps,) float64: when each score is known."""
        ends = self.warmup_samples + self.hop_samples * np.arange(
            1, self.num_steps(num_samples) + 1
        )
        return ends / self.sample_rate_hz

    def features(self, waveform: tf.Tensor) -> tf.Tensor:
        """(B, n) float32 in ±1 → (B, frames, features), zeros before where the front end pads."""
        if self.front_end.left_pad:
            waveform = tf.pad(waveform, [[0, 0], [self.front_end.lookback_samples, 0]])
        return self.front_end(waveform)

    def scores(self, waveform: tf.Tensor) -> tf.Tensor:
        """(B, n) float32 in ±1 → (B, steps, labels) float32 in [0, 1]."""
        logits = self.network(self.features(waveform), training=False)
        quiet = tf.fill([tf.shape(logits)[0], self._smoothing - 1, len(self.labels)], _QUIET_LOGIT)
        logits_before = tf.concat([quiet, self._clipped(logits)], axis=1)
        return tf.sigmoid(self._smooth(logits_before))

    def initial_state(self, batch: int = 1) -> list[np.ndarray]:
        """Return the state of a stream at its start, each (batch, …) float32."""
        zeros = [np.zeros((batch, self._tail), np.float32)]
        shapes = self.front_end.state_shapes() + self.network.state_shapes()
        zeros += [np.zeros((batch, *s), np.float32) for s in shapes]
        shape = (batch, self._smoothing - 1, len(self.labels))
        return [*zeros, np.full(shape, _QUIET_LOGIT, np.float32)] if shape[1] else zeros

    @property
    def num_front_states(self) -> int:
        """How many tensors of a state are the front end's; the network's follow."""
        return 1 + len(self.front_end.state_shapes())

    def step(self, samples: tf.Tensor, state: list[tf.Tensor]) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """(B, step_samples) and a state → (B, 4, labels) scores and the next state."""
        features, front = self.front_step(samples, state[: self.num_front_states])
        logits, network = self.network_step(features, state[self.num_front_states :])
        return tf.sigmoid(logits), [*front, *network]

    def front_step(
        self, samples: tf.Tensor, state: list[tf.Tensor]
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """(B, step_samples) and the front end's states → (B, frames, features) and the next."""
        heard = tf.concat([state[0], samples], axis=1)
        num_new = self.step_samples // self.front_end.hop_samples
        features, new = self.front_end.stream(heard, list(state[1:]), num_new)
        return features, [heard[:, -self._tail :], *new]

    def network_step(
        self, features: tf.Tensor, state: list[tf.Tensor]
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Features of a step and the network's states → (B, 4, labels) smoothed logits, states."""
        end = -1 if self._smoothing > 1 else None
        logits, new = self.network.stream(features, list(state[:end]))
        logits = self._clipped(logits)
        if self._smoothing == 1:
            return logits, list(new)
        logits = tf.concat([state[-1], logits], axis=1)
        return self._smooth(logits), [*new, logits[:, 1 - self._smoothing :]]

    def multiply_adds_per_second(self) -> int:
        """Return what the network of one stream costs; the front end is not in it."""
        per_step = multiply_adds_per_step(self.network, self.front_end.num_features)
        return round(per_step * self.sample_rate_hz / self.hop_samples)

    def with_statistics(self, statistics: Statistics | None) -> Detector:
        """Return this detector with a new front end, whose features are standardised by these."""
        other = copy.copy(self)
        other.front_end = build_front_end(self.features_config, self.sample_rate_hz, statistics)
        return other

    def through_magnitude(self) -> Detector:
        """Return this detector with power as the square of the magnitude: the same to rounding."""
        other = self.with_statistics(self.front_end.statistics)
        other.front_end.through_magnitude = True
        return other

    def with_network(self, network: keras.Model) -> Detector:
        """Return this detector with another network of the same build."""
        other = copy.copy(self)
        other.network = network
        return other

    def save(self, folder: Path, card: dict[str, Any]) -> None:
        """Write weights, then the card that says what they are, each atomically."""
        value = card | {
            "labels": list(self.labels),
            "sample_rate_hz": self.sample_rate_hz,
            "features": self.features_config.model_dump(mode="json"),
            "model": self.model_config.model_dump(mode="json"),
            "parameters": self.network.count_params(),
            "multiply_adds_per_second": self.multiply_adds_per_second(),
        }
        if self.front_end.statistics:
            value["feature_statistics"] = asdict(self.front_end.statistics)
        save_model(self.network, folder, value)

    @classmethod
    def load(cls, folder: Path) -> Detector:
        """Load a trained detector.

        Raises:
            TrainingError: there is no finished model.
        """
        card = read_card(folder)
        found = card.get("feature_statistics")
        detector = cls(
            TypeAdapter(Features).validate_python(card["features"]),
            TypeAdapter(Model).validate_python(card["model"]),
            sample_rate_hz=card["sample_rate_hz"],
            labels=tuple(card["labels"]),
            statistics=Statistics(tuple(found["mean"]), tuple(found["deviation"]))
            if found
            else None,
        )
        detector.network.load_weights(str(folder / WEIGHTS_NAME))
        return detector

    def _clipped(self, logits: tf.Tensor) -> tf.Tensor:
        return tf.clip_by_value(logits, -MAX_LOGIT, MAX_LOGIT)

    def _smooth(self, logits: tf.Tensor) -> tf.Tensor:
        """Mean of each logit and those before it, without the first, which have too few."""
        return tf.nn.avg_pool1d(logits, self._smoothing, 1, "VALID")
