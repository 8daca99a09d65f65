"""Confidence intervals for the two numbers that matter."""

from __future__ import annotations

import math

from scipy import stats


def wilson(count: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
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


def poisson_rate(count: int, hours: float, confidence: float = 0.95) -> tuple[float, float]:
    """Return the exact two-sided interval for a rate per hour; infinite without any hours.

    Source: Garwood, Biometrika 28 (1936).
    """
    if hours <= 0:
        return 0.0, math.inf
    tail = (1 - confidence) / 2
    low = float(stats.chi2.ppf(tail, 2 * count)) / 2 if count else 0.0
    high = float(stats.chi2.ppf(1 - tail, 2 * count + 2)) / 2
    return low / hours, high / hours
