"""Confidence intervals for the two numbers that matter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from scipy import stats


def wilson(count: float, total: float, confidence: float = 0.95) -> tuple[float, float]:
    """Return Wilson's interval for a share, (0, 1) where nothing was counted.

    Source: Wilson, JASA 22 (1927).
    """
    if total == 0:
        return 0.0, 1.0
    z = float(stats.norm.ppf(0.5 + confidence / 2))
    p, n = count / total, total
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def wilson_by_group(
    counts: Sequence[tuple[int, int]], confidence: float = 0.95
) -> tuple[float, float]:
    """Return an interval for a share whose trials come in groups that are alike within.

    A take that is missed once is missed again: seven placements of one take tell less than seven
    takes. The variance of the share is taken between groups; Wilson's interval is made with the
    number of independent trials that would have that variance (never more than there were), and
    with Student's factor for the number of groups. Where all or none were counted, each group
    counts as one trial.

    Args:
        counts: (counted, trials) of each group.
        confidence: of the interval.

    Source of the effective number: Korn and Graubard, Survey Methodology 24 (1998).
    """
    groups = [(count, total) for count, total in counts if total]
    trials = sum(total for _, total in groups)
    if len(groups) < 2:
        return wilson(sum(c / n for c, n in groups), len(groups), confidence)
    share = sum(count for count, _ in groups) / trials
    k = len(groups)
    between = k / (k - 1) * sum((c - share * n) ** 2 for c, n in groups) / trials**2
    if share in (0.0, 1.0):
        effective = float(k)
    else:
        effective = min(trials, share * (1.0 - share) / between) if between else float(trials)
    normal = float(stats.norm.ppf(0.5 + confidence / 2))
    effective *= (normal / float(stats.t.ppf(0.5 + confidence / 2, k - 1))) ** 2
    return wilson(share * effective, effective, confidence)


def poisson_rate(count: int, hours: float, confidence: float = 0.95) -> tuple[float, float]:
    """Return the exact interval for a rate per hour; infinite without any hours.

    Where nothing was counted nothing can lie below it, so all the doubt is above: the upper bound
    is −ln 0.05 = 3.0 over the hours ("rule of three"). Otherwise half of it is at either side.

    Source: Garwood, Biometrika 28 (1936).
    """
    if hours <= 0:
        return 0.0, math.inf
    if not count:
        return 0.0, -math.log(1 - confidence) / hours
    tail = (1 - confidence) / 2
    low = float(stats.chi2.ppf(tail, 2 * count)) / 2
    high = float(stats.chi2.ppf(1 - tail, 2 * count + 2)) / 2
    return low / hours, high / hours


def share(count: int, total: int) -> dict[str, Any]:
    """Return a share with what it was counted from, and Wilson's 95 % interval, for JSON."""
    return {
        "count": int(count),
        "total": int(total),
        "share": count / total if total else None,
        "interval": list(wilson(count, total)),
    }


def share_text(found: dict[str, Any]) -> str:
    """Return a share for people."""
    if not found["total"]:
        return "nothing to judge"
    low, high = (100 * bound for bound in found["interval"])
    return (
        f"{100 * found['share']:.1f} % ({found['count']} of {found['total']}, "
        f"95 % interval {low:.1f} … {high:.1f} %)"
    )
