"""Whether a new detector replaces the one in use: both judged on one test split, by events.

Each model is heard at the threshold that the validation split chose for it. For every recording
the difference new − old in keywords missed and in false accepts is taken, and the recordings are
drawn again 2,000 times with replacement (a paired bootstrap over recordings, Efron 1979), which
gives 95 % intervals of both differences. The new one is better where

    it misses fewer keywords beyond doubt (the whole interval is below 0) and its false accepts
    per hour are at most the recipe's limit, or those of the old one;

    or its false accepts are fewer beyond doubt and it misses no more keywords.

Anything else leaves the old one in place: a retraining every week must not be a walk by chance.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.detector import Detector
from models.event_matching import choose_point, count_events, sweep
from models.scoring import score_split
from pipeline.input_dataset import read_dataset
from schemas.detection import ScoredRecording
from schemas.recipe import Evaluation
from schemas.stored_dataset import StoredDataset

_RESAMPLES = 2000
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Outcomes:
    """What a detector did with each recording of a stream.

    Attributes:
        threshold: chosen on validation.
        misses, false_accepts: (num_recordings,) int64.
        keywords: (num_recordings,) int64, the same for all detectors.
        hours: of all recordings.
    """

    threshold: float
    misses: Counts
    false_accepts: Counts
    keywords: Counts
    hours: float

    @property
    def miss_rate(self) -> float:
        """Share of keywords missed."""
        return float(self.misses.sum() / max(1, self.keywords.sum()))

    @property
    def false_accepts_per_hour(self) -> float:
        """Over everything heard."""
        return float(self.false_accepts.sum() / self.hours)


def outcomes_of(folder: Path, stored: StoredDataset, judging: Evaluation) -> Outcomes:
    """Hear a data set's test split with a trained model, at its own threshold."""
    detector = Detector.load(folder)
    heard = score_split(detector, stored, "validation")
    points = sweep(heard, detector.labels, **judging.rule())
    threshold = choose_point(points, judging.max_false_accepts_per_hour).threshold
    recordings = score_split(detector, stored, "test")
    return count_outcomes(recordings, detector.labels, threshold=threshold, judging=judging)


def count_outcomes(
    recordings: list[ScoredRecording],
    labels: tuple[str, ...],
    *,
    threshold: float,
    judging: Evaluation,
) -> Outcomes:
    """Count events of scored recordings, each by itself."""
    rows = []
    for recording in recordings:
        matched = count_events(recording, labels, threshold=threshold, **judging.rule())
        keywords = sum(event.kind == "keyword" for event in recording.events)
        rows.append((len(matched.misses), len(matched.false_accepts), keywords))
    misses, false_accepts, keywords = np.array(rows, np.int64).reshape(-1, 3).T
    hours = sum(recording.duration_s for recording in recordings) / 3600
    return Outcomes(threshold, misses, false_accepts, keywords, hours)


def compare(
    old: Outcomes, new: Outcomes, *, limit_per_hour: float, seed: int = 0
) -> dict[str, Any]:
    """Return both results, the differences with their intervals, and whether the new one is better.

    Args:
        old: what the model in use did.
        new: what the other did with the same recordings, in the same order.
        limit_per_hour: false accepts that the recipe allows.
        seed: of the resampling.
    """
    rng = np.random.default_rng(seed)
    count = len(old.keywords)
    drawn = rng.integers(count, size=(_RESAMPLES, count))
    keywords = np.maximum(1, old.keywords[drawn].sum(axis=1))
    missed = (new.misses - old.misses)[drawn].sum(axis=1) / keywords
    accepted = (new.false_accepts - old.false_accepts)[drawn].sum(axis=1) / old.hours
    miss_interval = np.percentile(missed, [2.5, 97.5]).tolist()
    accept_interval = np.percentile(accepted, [2.5, 97.5]).tolist()
    allowed = max(limit_per_hour, old.false_accepts_per_hour)
    fewer_misses = miss_interval[1] < 0 and new.false_accepts_per_hour <= allowed
    fewer_accepts = accept_interval[1] < 0 and new.miss_rate <= old.miss_rate
    return {
        "old": _numbers(old),
        "new": _numbers(new),
        "num_keywords": int(old.keywords.sum()),
        "hours": old.hours,
        "miss_rate_difference": new.miss_rate - old.miss_rate,
        "miss_rate_difference_interval": miss_interval,
        "false_accepts_per_hour_difference": new.false_accepts_per_hour
        - old.false_accepts_per_hour,
        "false_accepts_per_hour_difference_interval": accept_interval,
        "better": bool(fewer_misses or fewer_accepts),
    }


def compare_models(old: Path, new: Path, data: str, judging: Evaluation) -> dict[str, Any]:
    """Compare two trained models on a data set's test split."""
    stored = read_dataset(data)
    outcomes = [outcomes_of(folder, stored, judging) for folder in (old, new)]
    found = compare(*outcomes, limit_per_hour=judging.max_false_accepts_per_hour)
    return found | {"judged_on": stored.identity()}


def comparison_text(values: dict[str, Any]) -> str:
    """Return a comparison for people."""
    miss_low, miss_high = (100 * v for v in values["miss_rate_difference_interval"])
    low, high = values["false_accepts_per_hour_difference_interval"]
    lines = [f"{'':24}{'missed':>9}{'false accepts/h':>18}"]
    for name in ("old", "new"):
        row = values[name]
        rate = f"{100 * row['miss_rate']:.1f} %"
        lines.append(f"{name:24}{rate:>9}{row['false_accepts_per_hour']:>18.2f}")
    lines.append(
        f"difference, 95 %: missed {miss_low:+.1f} … {miss_high:+.1f} %, false accepts "
        f"{low:+.2f} … {high:+.2f} per hour ({values['num_keywords']} keywords in "
        f"{values['hours']:.2f} h)"
    )
    lines.append(f"the new model is {'' if values['better'] else 'not '}better beyond doubt")
    return "\n".join(lines)


def _numbers(outcomes: Outcomes) -> dict[str, float]:
    return {
        "miss_rate": outcomes.miss_rate,
        "false_accepts_per_hour": outcomes.false_accepts_per_hour,
        "threshold": outcomes.threshold,
    }
