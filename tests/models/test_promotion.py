"""A new model replaces the old one where it is better beyond doubt, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from models.promotion import Outcomes, compare, comparison_text


def _outcomes(misses: list[int], false_accepts: list[int]) -> Outcomes:
    count = len(misses)
    each = np.full(count, 2, np.int64)
    return Outcomes(0.5, np.array(misses), np.array(false_accepts), each, count / 36)


NONE = [0] * 100


@pytest.mark.parametrize(
    ("old", "new", "better"),
    [
        (([1] * 40 + [0] * 60, NONE), ([1] * 10 + [0] * 90, NONE), True),
        (([1] * 40 + [0] * 60, NONE), ([1] * 38 + [0] * 62, NONE), False),  # two of 200: chance
        (([1] * 10 + [0] * 90, NONE), ([1] * 40 + [0] * 60, NONE), False),  # worse
        (([1] * 40 + [0] * 60, NONE), (NONE, [1] * 50 + [0] * 50), False),  # bought with alarms
        ((NONE, [1] * 50 + [0] * 50), (NONE, NONE), True),  # as many found, fewer alarms
        ((NONE, [1] * 50 + [0] * 50), ([1] * 5 + [0] * 95, NONE), False),  # fewer, but it misses
        ((NONE, NONE), (NONE, NONE), False),  # the same
    ],
)
def test_who_is_better(old, new, better: bool) -> None:
    found = compare(_outcomes(*old), _outcomes(*new), limit_per_hour=0.5)
    assert found["better"] is better
    assert ("not better" in comparison_text(found)) is not better


def test_the_interval_is_that_of_paired_recordings() -> None:
    rng = np.random.default_rng(1)
    old = rng.integers(0, 2, 200)
    gained = np.where(np.arange(200) < 20, -1, 0) * old  # only where the old one missed
    found = compare(
        _outcomes(old.tolist(), [0] * 200), _outcomes((old + gained).tolist(), [0] * 200),
        limit_per_hour=0.5,
    )  # fmt: skip
    difference = gained.sum() / 400
    low, high = found["miss_rate_difference_interval"]
    assert found["miss_rate_difference"] == pytest.approx(difference)
    spread = 1.96 * np.sqrt(gained.var() / 200) / 2
    assert (low, high) == pytest.approx((difference - spread, difference + spread), abs=0.004)
