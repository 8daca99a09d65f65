"""What is counted of a classifier that says yes or no of a clip: pure functions over its scores."""

from __future__ import annotations

from typing import Any

import numpy as np

from models.intervals import share, wilson_by_group

_MAX_LOGIT = 15.0


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Return the sigmoid of logits, float64."""
    return 1.0 / (1.0 + np.exp(-np.clip(logits.astype(np.float64), -_MAX_LOGIT, _MAX_LOGIT)))


def log_loss(labels: np.ndarray, logits: np.ndarray) -> float:
    """Return the mean binary cross-entropy; logits beyond ±15 count as 15, so it is finite."""
    p = probabilities(logits)
    return float(-np.mean(labels * np.log(p) + (1 - labels) * np.log1p(-p)))


def average_precision(labels: np.ndarray, scores: np.ndarray) -> float | None:
    """Return Σ (recall_n − recall_{n−1}) · precision_n over falling thresholds, without ties.

    Equal scores are one threshold. A score that tells nothing gets the share of positives, about.

    Returns:
        None without any positive.
    """
    if not labels.sum():
        return None
    order = np.argsort(-scores, kind="stable")
    found = np.cumsum(labels[order])
    last_of_score = np.append(np.diff(scores[order]) != 0, True)
    found, taken = found[last_of_score], np.flatnonzero(last_of_score) + 1
    gained = np.diff(found, prepend=0) / labels.sum()
    return float(np.sum(gained * found / taken))


def judged(labels: np.ndarray, logits: np.ndarray, videos: tuple[str, ...]) -> dict[str, Any]:
    """Count a split's clips at probability one half.

    Args:
        labels: (N,) 0 or 1.
        logits: (N,).
        videos: what each clip was cut from; clips of one are alike.

    Returns:
        Shares with counts and intervals: `accuracy`, with `interval_by_video` beside it,
        `base_rate` (the accuracy of always giving the commoner answer), `found` of the positives
        and `false_alarms` of the negatives; `average_precision`, `share_positive` (what chance
        would reach of it), `loss`.
    """
    positive, said = labels == 1, logits > 0
    right = positive == said
    by_video: dict[str, list[int]] = {}
    for video, one in zip(videos, right, strict=True):
        by_video.setdefault(video, []).append(int(one))
    groups = [(sum(ones), len(ones)) for ones in by_video.values()]
    commoner = max(int(positive.sum()), int((~positive).sum()))
    return {
        "accuracy": share(int(right.sum()), len(right))
        | {"interval_by_video": list(wilson_by_group(groups)), "videos": len(groups)},
        "base_rate": share(commoner, len(right)),
        "found": share(int((positive & said).sum()), int(positive.sum())),
        "false_alarms": share(int((~positive & said).sum()), int((~positive).sum())),
        "average_precision": average_precision(labels, logits),
        "share_positive": float(positive.mean()),
        "loss": log_loss(labels, logits),
    }
