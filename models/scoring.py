"""A detector over a split of a data set: every example becomes a ScoredRecording."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from models.detector import Detector
from pipeline.input_dataset import judged_examples
from schemas.detection import ScoredRecording
from schemas.stored_dataset import StoredDataset

_BATCH = 16


def score_split(detector: Detector, stored: StoredDataset, split: str) -> list[ScoredRecording]:
    """Score all examples of a split, each from a stream's initial state."""
    score = tf.function(detector.scores, reduce_retracing=True)
    times_s = detector.times_s(stored.example_samples)
    duration_s = stored.example_samples / stored.sample_rate_hz
    recordings: list[ScoredRecording] = []
    for ids, audio, events in judged_examples(stored, split=split, batch_size=_BATCH):
        scores = np.asarray(score(audio))
        for name, one, found in zip(ids, scores, events, strict=True):
            recordings.append(ScoredRecording(name, duration_s, times_s, one, found))
    return recordings
