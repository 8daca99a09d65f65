"""A command classifier: samples to logits, preprocessing inside, class names with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from models.model_files import WEIGHTS_NAME, read_card, save_model
from models.zoo.command_cnn import CommandSpectrogram, build_command_cnn
from schemas.recipe_commands import CommandCnn, CommandFeatures
from schemas.units import FULL_SCALE

TASK = "commands"
_BATCH = 256


class CommandClassifier(tf.Module):
    """Waveform to logits.

    Attributes:
        class_names: of the logits, in their order: sorted.
        sample_rate_hz: of the waveform.
        clip_samples: its length.
        front_end: samples to features.
        network: features to logits.
    """

    def __init__(
        self,
        features: CommandFeatures,
        model: CommandCnn,
        *,
        class_names: tuple[str, ...],
        sample_rate_hz: int,
        clip_samples: int,
    ) -> None:
        super().__init__(name="command_classifier")
        self.class_names = class_names
        self.sample_rate_hz, self.clip_samples = sample_rate_hz, clip_samples
        self._features_config, self._model_config = features, model
        self.front_end = CommandSpectrogram(features, sample_rate_hz)
        self.network = self.new_network()

    def new_network(self) -> keras.Model:
        """Return a new, untrained network of this build."""
        return build_command_cnn(
            self._model_config,
            feature_shape=self.front_end.shape_for(self.clip_samples),
            num_classes=len(self.class_names),
        )

    def logits(self, waveform: tf.Tensor) -> tf.Tensor:
        """(B, clip_samples) float32 in ±1 → (B, classes) float32."""
        return self.network(self.front_end(waveform), training=False)

    def score(self, samples: np.ndarray, network: keras.Model | None = None) -> np.ndarray:
        """Return (n, classes) float32 logits of (n, clip_samples) int16, some at a time.

        Args:
            samples: any number of clips.
            network: another one of the same build.
        """
        network = network or self.network
        parts = [np.zeros((0, len(self.class_names)), np.float32)]
        for batch in batches_of(samples):
            parts.append(np.asarray(network(self.front_end(batch), training=False)))
        return np.concatenate(parts)

    def save(self, network: keras.Model, folder: Path, card: dict[str, Any]) -> None:
        """Write a network's weights, then the card that says what they are."""
        value = card | {
            "task": TASK,
            "class_names": list(self.class_names),
            "sample_rate_hz": self.sample_rate_hz,
            "clip_samples": self.clip_samples,
            "features": self._features_config.model_dump(mode="json"),
            "model": self._model_config.model_dump(mode="json"),
        }
        save_model(network, folder, value)

    @classmethod
    def load(cls, folder: Path) -> CommandClassifier:
        """Load a trained classifier.

        Raises:
            TrainingError: there is no finished model.
        """
        card = read_card(folder)
        classifier = cls(
            CommandFeatures.model_validate(card["features"]),
            CommandCnn.model_validate(card["model"]),
            class_names=tuple(card["class_names"]),
            sample_rate_hz=card["sample_rate_hz"],
            clip_samples=card["clip_samples"],
        )
        classifier.network.load_weights(str(folder / WEIGHTS_NAME))
        return classifier


def batches_of(samples: np.ndarray) -> Any:
    """Yield (B, n) float32 in ±1 of (rows, n) int16."""
    for start in range(0, len(samples), _BATCH):
        yield tf.constant(samples[start : start + _BATCH].astype(np.float32) / FULL_SCALE)
