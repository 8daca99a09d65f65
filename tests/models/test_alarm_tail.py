"""Alarms in the long run: exact where it must be, near the truth where counts are far from it."""

from __future__ import annotations

import numpy as np
import pytest

from models.alarm_tail import long_run_rates
from models.operating_points import LOG_ODDS, OperatingPoint, choose_on_validation, choose_point


def _counts(peaks: np.ndarray) -> np.ndarray:
    return np.array([np.count_nonzero(np.minimum(peaks, 15.0) >= t) for t in LOG_ODDS])


def _points(alarms: np.ndarray, keywords: np.ndarray, hours: float) -> list[OperatingPoint]:
    missed = [int(np.count_nonzero(keywords < t)) for t in LOG_ODDS]
    return [
        OperatingPoint(float(1 / (1 + np.exp(-t))), len(keywords), m, int(a), hours)
        for t, m, a in zip(LOG_ODDS, missed, _counts(alarms), strict=True)
    ]


def test_the_tail_of_exponential_scores_is_found() -> None:
    rng = np.random.default_rng(1)
    peaks = rng.exponential(1.5, 20_000)
    rates = long_run_rates(LOG_ODDS, _counts(peaks), 100.0)
    for t in (4.0, 8.0, 12.0):
        true = 200.0 * np.exp(-t / 1.5)
        assert rates[np.argmin(abs(LOG_ODDS - t))] == pytest.approx(true, rel=0.6)
    assert rates[0] == pytest.approx(200.0)


def test_a_threshold_chosen_in_an_hour_keeps_its_limit_in_the_long_run() -> None:
    """1.1 hours of alarms whose true rate is known, 400 times: the typical choice keeps 0.5 / h."""
    rng = np.random.default_rng(2)
    per_hour, mean_excess = 150.0, 1.5
    true_rates: dict[str, list[float]] = {"by counts": [], "by the tail": []}
    for _ in range(400):
        alarms = rng.exponential(mean_excess, rng.poisson(per_hour * 1.1))
        keywords = rng.normal(9.0, 3.0, 300)
        points = _points(alarms, keywords, 1.1)
        for name, chosen in (
            ("by counts", choose_point(points, 0.5)),
            ("by the tail", choose_on_validation(points, 0.5)),
        ):
            t = np.log(chosen.threshold / (1 - chosen.threshold))
            true_rates[name].append(per_hour * np.exp(-t / mean_excess))
    medians = {name: float(np.median(rates)) for name, rates in true_rates.items()}
    assert medians["by the tail"] == pytest.approx(0.55, abs=0.1)
    assert medians["by counts"] > medians["by the tail"], "the luckiest threshold"
    late = {name: np.quantile(rates, 0.9) for name, rates in true_rates.items()}
    assert late["by the tail"] < 0.65 * late["by counts"]


def test_few_alarms_are_taken_as_counted() -> None:
    peaks = np.array([1.0, 2.0, 3.0])
    counts = _counts(peaks)
    assert (long_run_rates(LOG_ODDS, counts, 2.0) == counts / 2.0).all()
    assert (long_run_rates(LOG_ODDS, counts, 0.0) == 0.0).all()


def test_alarms_at_every_threshold_have_no_end() -> None:
    rates = long_run_rates(LOG_ODDS, np.full(106, 30), 1.0)
    assert rates[-1] > 25.0
