"""Alarms in the long run: exact where it must be, near the truth where counts are far from it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from models.alarm_tail import long_run_rates
from models.operating_points import (
    LOG_ODDS,
    OperatingPoint,
    choose_on_validation,
    choose_point,
    limit_of,
)

HOURS = 1.1


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


def _exponential(rng: np.random.Generator) -> np.ndarray:
    return rng.exponential(1.5, rng.poisson(150 * HOURS))


def _with_confusers(rng: np.random.Generator) -> np.ndarray:
    """Many weak alarms, and three an hour that nearly reach the keyword's own scores."""
    weak = rng.exponential(1.0, rng.poisson(150 * HOURS))
    return np.concatenate([weak, rng.normal(8.0, 2.0, rng.poisson(3 * HOURS))])


@pytest.mark.parametrize(
    ("alarms", "rate", "median", "late_share"),
    [
        (_exponential, lambda t: 150 * np.exp(-t / 1.5), 0.46, 0.65),
        (_with_confusers, lambda t: 150 * np.exp(-t) + 3 * stats.norm.sf((t - 8) / 2), 0.41, 1.0),
    ],
    ids=["a tail", "a tail and confusers"],
)
def test_thresholds_chosen_in_an_hour_by_what_is_expected(alarms, rate, median, late_share) -> None:
    """1.1 hours of alarms whose true rate is known, 400 times, 0.5 an hour allowed."""
    rng = np.random.default_rng(2)
    true_rates: dict[str, list[float]] = {"by counts": [], "by the tail": []}
    for _ in range(400):
        points = _points(alarms(rng), rng.normal(9.0, 3.0, 300), HOURS)
        for name, chosen in (
            ("by counts", choose_point(points, 0.5)),
            ("by the tail", choose_on_validation(points, 0.5)),
        ):
            true_rates[name].append(rate(np.log(chosen.threshold / (1 - chosen.threshold))))
    medians = {name: float(np.median(rates)) for name, rates in true_rates.items()}
    assert medians["by the tail"] == pytest.approx(median, abs=0.05)
    assert medians["by counts"] > medians["by the tail"], "the luckiest threshold"
    late = {name: np.quantile(rates, 0.9) for name, rates in true_rates.items()}
    assert late["by the tail"] < late_share * late["by counts"]


def test_what_was_counted_is_never_explained_away() -> None:
    peaks = np.concatenate([np.linspace(-6.0, 1.0, 300), [14.0, 14.0, 14.0]])
    counts = _counts(peaks)
    assert (long_run_rates(LOG_ODDS, counts, 1.0) >= counts).all()


def test_alarms_that_debounce_joins_at_low_thresholds_change_nothing_above() -> None:
    peaks = np.random.default_rng(3).exponential(1.5, 300)
    counts = _counts(peaks)
    joined = counts.copy()
    joined[:30] = 3  # one long alarm in each recording
    rates, of_joined = (long_run_rates(LOG_ODDS, c, 1.0) for c in (counts, joined))
    np.testing.assert_array_equal(of_joined[30:], rates[30:])


def test_alarms_beyond_the_last_threshold_are_censored_there() -> None:
    """15 exceed u = 4 by half on average; of 5 no more is known than that they exceed it by 11."""
    peaks = np.concatenate([4.0 + (np.arange(15) + 0.5) / 15, np.full(5, 99.0)])
    mean_excess = (15 * 0.5 + 5 * 11.0) / 15
    rates = long_run_rates(LOG_ODDS, _counts(peaks), 1.0)
    at = int(np.argmin(abs(LOG_ODDS - 8.0)))
    assert rates[at] == pytest.approx(20 * np.exp(-4.0 / mean_excess), rel=0.03)


def test_few_alarms_are_taken_as_counted() -> None:
    counts = _counts(np.array([1.0, 2.0, 3.0, 4.0]))
    assert (long_run_rates(LOG_ODDS, counts, 2.0) == counts / 2.0).all()
    assert (long_run_rates(LOG_ODDS, counts, 0.0) == 0.0).all()
    five = long_run_rates(LOG_ODDS, _counts(np.array([1.0, 2.0, 3.0, 4.0, 5.0])), 2.0)
    assert five[np.argmin(abs(LOG_ODDS - 6.0))] > 0.0, "there is a tail"


def test_where_no_threshold_keeps_the_limit_the_counts_decide() -> None:
    """Of the thresholds without an alarm the one that misses least, and not the deafest."""
    peaks = np.random.default_rng(4).exponential(4.0, 40)
    points = _points(peaks[peaks < 12.0], np.linspace(6.0, 16.0, 100), 0.3)
    chosen = choose_on_validation(points, 0.01)
    silent = [p for p in points if p.num_false_accepts == 0]
    assert chosen.num_false_accepts == 0
    assert chosen.num_misses == min(p.num_misses for p in silent) < silent[-1].num_misses
    assert not limit_of(chosen, 0.01)["limit_kept"]
