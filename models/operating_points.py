"""Points of a curve: what each threshold misses and how often it alarms, and which one is chosen.

Everything is counted by event_matching.py. Early stopping, the choice of a threshold on validation,
promotion and every report stand on these points.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from models.alarm_tail import long_run_rates
from models.event_matching import Matching, count_events
from models.intervals import poisson_rate
from schemas.detection import Detection, ReferenceEvent, ScoredRecording
from schemas.errors import DatasetError

LOG_ODDS = np.linspace(-6.0, 15.0, 106)
THRESHOLDS = 1.0 / (1.0 + np.exp(-LOG_ODDS))
"""The thresholds of every sweep: equally spaced in log odds, from 0.0025 to 0.9999997."""

COST_LIMITS = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
"""False accepts per hour at which `event_cost` looks at the miss rate."""


@dataclass(frozen=True)
class OperatingPoint:
    """Counts at one threshold over everything judged.

    Attributes:
        expected_per_hour: false accepts per hour in the long run (alarm_tail.py), where the counts
            of all thresholds were looked at.
    """

    threshold: float
    num_keywords: int
    num_misses: int
    num_false_accepts: int
    hours: float
    expected_per_hour: float | None = None

    @property
    def miss_rate(self) -> float:
        """Misses among keywords; 0 where there was none."""
        return self.num_misses / self.num_keywords if self.num_keywords else 0.0

    @property
    def false_accepts_per_hour(self) -> float:
        """False accepts per hour of audio judged."""
        return self.num_false_accepts / self.hours if self.hours else 0.0

    @property
    def false_accept_interval(self) -> tuple[float, float]:
        """95 % interval of false accepts per hour (exact Poisson)."""
        return poisson_rate(self.num_false_accepts, self.hours)


def operating_point(
    recordings: Sequence[ScoredRecording], labels: Sequence[str], *, threshold: float, **rule: Any
) -> OperatingPoint:
    """Count over all recordings at one threshold.

    Args:
        recordings: what was heard.
        labels: of the scores.
        threshold: of a score.
        rule: as `count_events` takes it.
    """
    matched = [count_events(r, labels, threshold=threshold, **rule) for r in recordings]
    return counted(matched, threshold, sum(recording.duration_s for recording in recordings))


def counted(
    matched: Sequence[Matching], threshold: float, duration_s: float, label: str | None = None
) -> OperatingPoint:
    """Add up matchings; `label`: of one class alone."""

    def number(of: Iterable[ReferenceEvent | Detection]) -> int:
        return sum(label is None or one.label == label for one in of)

    hits = sum(number(event for event, _ in found.hits) for found in matched)
    misses = sum(number(found.misses) for found in matched)
    false_accepts = sum(number(found.false_accepts) for found in matched)
    return OperatingPoint(threshold, hits + misses, misses, false_accepts, duration_s / 3600.0)


def sweep(
    recordings: Sequence[ScoredRecording], labels: Sequence[str], **rule: Any
) -> tuple[OperatingPoint, ...]:
    """Count at every threshold of THRESHOLDS, from the lowest to the highest."""
    return tuple(
        operating_point(recordings, labels, threshold=float(threshold), **rule)
        for threshold in THRESHOLDS
    )


def choose_point(
    points: Sequence[OperatingPoint], max_false_accepts_per_hour: float
) -> OperatingPoint:
    """Return the point with the fewest misses within the limit; of equal ones the middle one.

    Where no threshold that finds a keyword keeps the limit by what is expected, counts decide: the
    fewest false accepts, then the fewest misses. The highest threshold would hardly alarm less and
    miss most keywords, or all; `limit_kept` says in every report that no promise is kept.
    """
    allowed = [
        p
        for p in points
        if _rate(p) <= max_false_accepts_per_hour
        and (p.num_misses < p.num_keywords or not p.num_keywords)
    ]
    if not allowed:
        return min(points, key=lambda p: (p.num_false_accepts, p.num_misses, -p.threshold))
    fewest = min(p.num_misses for p in allowed)
    best = [p for p in allowed if p.num_misses == fewest]
    return best[len(best) // 2]


def choose_on_validation(
    points: Sequence[OperatingPoint], max_false_accepts_per_hour: float
) -> OperatingPoint:
    """Return `choose_point` of a validation split, by what is expected in the long run.

    Raises:
        DatasetError: no keyword is in it, so that a detector that never fires would be the best.
    """
    if not any(point.num_keywords for point in points):
        raise no_keyword()
    return choose_point(_with_expected(points), max_false_accepts_per_hour)


def _with_expected(points: Sequence[OperatingPoint]) -> list[OperatingPoint]:
    """The points of a whole sweep with their rates in the long run."""
    counts = np.array([p.num_false_accepts for p in points])
    rates = long_run_rates(LOG_ODDS, counts, points[0].hours).tolist()
    return [replace(p, expected_per_hour=rate) for p, rate in zip(points, rates, strict=True)]


def _rate(point: OperatingPoint) -> float:
    expected = point.expected_per_hour
    return point.false_accepts_per_hour if expected is None else expected


def no_keyword() -> DatasetError:
    """Return the error of a validation split without a keyword."""
    return DatasetError(
        "no keyword is in the validation split, and a threshold is chosen on its keywords",
        expected="scenes with keywords among dataset.num_examples.validation",
        fix="raise scene.num_keywords or dataset.num_examples.validation, and make the data set "
        "again with `wakebeam synth --overwrite`",
    )


def limit_of(point: OperatingPoint, max_false_accepts_per_hour: float) -> dict[str, Any]:
    """Return the limit that a point was chosen by, and whether it keeps it, for JSON."""
    return {
        "max_false_accepts_per_hour": max_false_accepts_per_hour,
        "limit_kept": _rate(point) <= max_false_accepts_per_hour,
    }


def threshold_text(threshold: float) -> str:
    """Return a threshold in as many digits as tell it from its neighbours, however near to 1."""
    if threshold < 0.9:
        return f"{threshold:.4g}"
    return f"{1.0 - float(f'{1.0 - threshold:.3g}'):.10g}"


def limit_text(values: Mapping[str, Any]) -> str:
    """Return a remark where what was chosen doesn't keep its limit; `values` hold `limit_of`."""
    if values.get("limit_kept", True):
        return ""
    return (
        f"no threshold keeps the limit of {values['max_false_accepts_per_hour']:g} false accepts "
        "per hour"
    )


def event_cost(points: Sequence[OperatingPoint], num_takes: int) -> tuple[float, float]:
    """Return the mean miss rate over COST_LIMITS (1 where a limit can't be kept), in [0, 1].

    Decides early stopping and which epoch is kept: a loss may rise while detection gets better.

    Args:
        points: of a whole sweep.
        num_takes: different takes among its keywords.

    Returns:
        The cost and its standard error, binomial over takes.
    """
    rates = []
    points = _with_expected(points)
    for limit in COST_LIMITS:
        allowed = [p.miss_rate for p in points if _rate(p) <= limit]
        rates.append(min(allowed, default=1.0))
    cost = sum(rates) / len(rates)
    return cost, math.sqrt(cost * (1.0 - cost) / max(1, num_takes))
