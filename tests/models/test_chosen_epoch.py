"""Which epoch is kept: the last that can't be told from the best."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from models.training_folder import chosen_epoch


def _epochs(costs: list[float], error: float) -> list[dict]:
    return [
        {"epoch": i, "cost": cost, "cost_error": error} for i, cost in enumerate(costs, start=1)
    ]


def test_the_last_within_a_standard_error_of_the_best() -> None:
    costs = [0.42, 0.51, 0.49, 0.48]
    assert chosen_epoch(_epochs(costs, 0.15))["epoch"] == 4
    assert chosen_epoch(_epochs(costs, 0.05))["epoch"] == 1
    assert chosen_epoch(_epochs(costs, 0.06))["epoch"] == 4


def test_without_an_error_the_first_of_the_best() -> None:
    assert chosen_epoch(_epochs([0.3, 0.1, 0.1, 0.2], 0.0))["epoch"] == 2
    assert chosen_epoch([{"epoch": 1, "cost": 0.2}, {"epoch": 2, "cost": 0.1}])["epoch"] == 2


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.floats(0, 0.3))
def test_only_the_newest_can_become_the_chosen_one(costs: list[float], error: float) -> None:
    """So its weights are the only ones that need be written."""
    epochs = _epochs(costs, error)
    kept = epochs[0]
    for count in range(1, len(epochs) + 1):
        chosen = chosen_epoch(epochs[:count])
        assert chosen is kept or chosen is epochs[count - 1]
        kept = chosen
