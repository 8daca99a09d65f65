"""Mean and deviation of each feature, found before training.

Sums are in float64 in the order given, and the result has six digits, so each process of a training
finds the same.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import tensorflow as tf

from models.detector import Detector
from models.features import Statistics

_LEAST = 1e-3


def find_statistics(detector: Detector, audio: Iterable[tf.Tensor]) -> Statistics:
    """Return what standardises a detector's features.

    A feature that hardly varies, by less than a thousandth of all features' deviation, counts as
    one that varies so much.

    Args:
        detector: whose front end hears.
        audio: batches of (B, n) float32 in ±1.
    """
    hear = tf.function(detector.features, reduce_retracing=True)
    count, total, squares = 0, np.zeros(1), np.zeros(1)
    for batch in audio:
        features = np.asarray(hear(batch), np.float64)
        count += features.shape[0] * features.shape[1]
        total = total + features.sum(axis=(0, 1))
        squares = squares + (features**2).sum(axis=(0, 1))
    mean = total / count
    deviation = np.sqrt(np.maximum(squares / count - mean**2, 0.0))
    least = _LEAST * float(np.sqrt(np.mean(deviation**2)))
    deviation = np.maximum(deviation, least if least > 0 else 1.0)
    return Statistics(_six_digits(mean), _six_digits(deviation))


def _six_digits(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(f"{value:.6g}") for value in values)
