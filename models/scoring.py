"""A detector over the splits of a data set: every example becomes a ScoredRecording."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from models.detector import Detector
from pipeline.input_dataset import judged_examples
from schemas.detection import ScoredRecording
from schemas.stored_dataset import StoredDataset

_BATCH = 16


class Scorer:
    """Scores examples, each from a stream's initial state; compiled on its first use, once.

    Args:
        detector: whose weights may change between two uses.
        stored: the data set.

    Attributes:
        detector: the same.
    """

    def __init__(self, detector: Detector, stored: StoredDataset) -> None:
        self.detector, self._stored = detector, stored
        audio = tf.TensorSpec([None, stored.example_samples], tf.float32)
        self._scores = tf.function(detector.scores, input_signature=[audio])

    def __call__(self, split: str) -> list[ScoredRecording]:
        """Score all examples of a split."""
        stored = self._stored
        times_s = self.detector.times_s(stored.example_samples)
        duration_s = stored.example_samples / stored.sample_rate_hz
        recordings: list[ScoredRecording] = []
        for ids, audio, events in judged_examples(stored, split=split, batch_size=_BATCH):
            scores = np.asarray(self._scores(audio))
            for name, one, found in zip(ids, scores, events, strict=True):
                recordings.append(ScoredRecording(name, duration_s, times_s, one, found))
        return recordings
