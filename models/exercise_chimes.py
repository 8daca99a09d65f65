"""Where the classic exercise put its chimes: both of its rules, for comparison only.

They count steps, so one keyword may give none, one or several chimes, and none comes in the first
half second. wakebeam itself chimes at events (event_matching.py).
"""

from __future__ import annotations

import numpy as np

_GAP = 75
_RUN = 20


def original_chimes(scores: np.ndarray, threshold: float = 0.5) -> list[int]:
    """Return the steps of the first rule's chimes.

    Steps are counted; at one above the threshold, more than 75 after the count began, it chimes and
    the count begins anew.

    Args:
        scores: (steps,).
        threshold: a score equal to it doesn't count.
    """
    chimes, count = [], 0
    for step, score in enumerate(scores):
        count += 1
        if score > threshold and count > _GAP:
            chimes.append(step)
            count = 0
    return chimes


def later_chimes(scores: np.ndarray, threshold: float = 0.5) -> list[int]:
    """Return the steps of the later rule's chimes.

    Steps at or above the threshold are counted, one below starts the count anew; beyond twenty it
    chimes and goes on at the next multiple of 75.

    Args:
        scores: (steps,).
        threshold: a score equal to it counts.
    """
    chimes, count, step = [], 0, 0
    while step < len(scores):
        count += 1
        if count > _RUN:
            chimes.append(step)
            count, step = 0, _GAP * (step // _GAP + 1)
            continue
        if scores[step] < threshold:
            count = 0
        step += 1
    return chimes
