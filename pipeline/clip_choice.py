"""How likely each clip and each count is: weights, and choosing by them with one number."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from schemas.clips import Clip
from schemas.recipe import CountRange

FloatArray = npt.NDArray[np.float64]


def choose(cumulative: Sequence[float], number: float) -> int:
    """Return the index that `number` in [0, 1) picks; never one whose weight is 0.

    Args:
        cumulative: cumulated weights; their sum need not be 1.
        number: a uniform number.
    """
    total = cumulative[-1]
    at = bisect_right(cumulative, number * total)
    return at if at < len(cumulative) else bisect_right(cumulative, total * (1.0 - 2.0**-52))


def between(bounds: tuple[float, float], number: float) -> float:
    """Return the point of a range that `number` in [0, 1) picks."""
    return bounds[0] + number * (bounds[1] - bounds[0])


def cumulated(weights: FloatArray) -> list[float]:
    """Return running sums, as `choose` takes them."""
    values: list[float] = np.cumsum(weights).tolist()
    return values


class CountChoice:
    """From a uniform number to a count."""

    def __init__(self, counts: CountRange) -> None:
        law = counts.probabilities()
        self._values, self._cumulative = list(law), cumulated(np.array(list(law.values())))

    def __call__(self, number: float) -> int:
        """Return the count that `number` in [0, 1) picks."""
        return self._values[choose(self._cumulative, number)]


def label_weights(clips: Sequence[Clip]) -> FloatArray:
    """Each label alike, and within a label each clip."""
    counts = Counter(clip.label for clip in clips)
    return np.array([1.0 / (len(counts) * counts[clip.label]) for clip in clips])


def folder_weights(clips: Sequence[Clip]) -> FloatArray:
    """Each folder of the recipe by the square root of its number of clips."""
    folders = [clip.folder for clip in clips]
    counts = Counter(folders)
    total = sum(math.sqrt(count) for count in counts.values())
    return np.array([1.0 / (math.sqrt(counts[folder]) * total) for folder in folders])
