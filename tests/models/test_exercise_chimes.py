"""R31: both of the classic exercise's chime rules, step for step, on its own steps."""

from __future__ import annotations

import numpy as np
import pytest

from models.exercise_chimes import later_chimes, original_chimes

STEPS = 1375


def _run(first: int, last: int) -> np.ndarray:
    scores = np.zeros(STEPS)
    scores[first : last + 1] = 1.0
    return scores


def test_R31_all_ones() -> None:
    assert original_chimes(np.ones(STEPS)) == list(range(75, STEPS, 76))[:18]
    assert len(original_chimes(np.ones(STEPS))) == 18
    assert later_chimes(np.ones(STEPS)) == [20 + 75 * i for i in range(19)]


@pytest.mark.parametrize(
    ("run", "chimes"), [((10, 59), []), ((30, 79), [75]), ((100, 199), [100, 176])]
)
def test_R31_runs_by_the_original_rule(run, chimes) -> None:
    assert original_chimes(_run(*run)) == chimes


def test_R31_one_run_by_the_later_rule_may_chime_twice_or_never() -> None:
    assert later_chimes(_run(120, 169)) == [140, 170]
    wrong = sum(len(later_chimes(_run(start, start + 49))) != 1 for start in range(1330))
    assert wrong == 180


def test_R31_a_score_equal_to_the_threshold_counts_in_the_later_rule_only() -> None:
    even = np.full(STEPS, 0.5)
    assert original_chimes(even) == []
    assert later_chimes(even)[0] == 20
