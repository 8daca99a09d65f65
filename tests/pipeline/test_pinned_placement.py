"""Placement among pinned events: refusals, no overlap, uniform over all layouts."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pipeline.pinned_placement import free_windows, num_layouts, place_among_pinned
from pipeline.placement import place
from schemas.errors import InfeasibleScene
from tests.fakes import draws


def _is_legal(spans: list[tuple[int, int]], pinned, n: int, gap: int, margin: int) -> bool:
    if any(start < margin or stop > n - margin for start, stop in spans):
        return False
    every = sorted([*spans, *pinned])
    return all(stop + gap <= start for (_, stop), (start, _) in itertools.pairwise(every))


def _every_layout(lengths: list[int], pinned, n: int, gap: int, margin: int) -> list[tuple]:
    return [
        onsets
        for onsets in itertools.product(*(range(n - length + 1) for length in lengths))
        if _is_legal(
            [(o, o + length) for o, length in zip(onsets, lengths, strict=True)],
            pinned,
            n,
            gap,
            margin,
        )
    ]


CASES = [
    ([2], [(4, 6)], 12, 0, 0),
    ([2, 1], [(3, 5)], 11, 1, 0),
    ([1, 3], [(2, 4), (8, 9)], 14, 0, 1),
    ([2, 2, 1], [(5, 6)], 12, 0, 0),
    ([1, 1, 1], [(0, 2), (9, 12)], 12, 1, 0),
    ([4], [(4, 5)], 11, 1, 0),
    ([2, 3], [(0, 3)], 20, 0, 4),
    ([2, 1], [(17, 20)], 20, 1, 4),
    ([3], [(0, 1), (19, 20)], 20, 0, 3),
]


@pytest.mark.parametrize(("lengths", "pinned", "n", "gap", "margin"), CASES)
def test_uniform_over_all_layouts(lengths, pinned, n: int, gap: int, margin: int) -> None:
    every = _every_layout(lengths, pinned, n, gap, margin)
    windows = free_windows(pinned, num_samples=n, min_gap_samples=gap, margin_samples=margin)
    assert num_layouts(lengths, windows, min_gap_samples=gap) == len(every) > 1
    numbers = draws(11)
    found = Counter(
        tuple(
            place_among_pinned(
                lengths,
                pinned,
                num_samples=n,
                draws=numbers,
                min_gap_samples=gap,
                margin_samples=margin,
            )
        )
        for _ in range(200 * len(every))
    )
    assert set(found) == set(every)
    assert stats.chisquare([found[layout] for layout in every]).pvalue > 0.001


@settings(deadline=None)
@given(
    lengths=st.lists(st.integers(1, 9), max_size=5),
    pins=st.lists(st.integers(0, 60), max_size=3, unique=True),
    gap=st.integers(0, 4),
    margin=st.integers(0, 4),
    n=st.integers(1, 70),
    seed=st.integers(0, 2**32),
)
def test_laid_out_legally_or_refused_before_a_draw(lengths, pins, gap, margin, n, seed) -> None:
    pinned = [(onset, onset + 3) for onset in sorted(pins)]
    numbers = draws(seed)
    settings_ = {"num_samples": n, "min_gap_samples": gap, "margin_samples": margin}
    try:
        onsets = place_among_pinned(lengths, pinned, draws=numbers, **settings_)
    except InfeasibleScene:
        assert numbers.num_taken == 0
        return
    spans = [(o, o + length) for o, length in zip(onsets, lengths, strict=True)]
    assert _is_legal(spans, pinned, n, gap, margin) or not lengths


def test_feasible_exactly_when_a_layout_exists() -> None:
    for lengths in ([3, 3], [4, 2], [5, 1], [2, 2, 2], [6], [3, 2, 1]):
        for n in range(6, 14):
            pinned = [(4, 5)]
            windows = free_windows(pinned, num_samples=n)
            count = num_layouts(lengths, windows, min_gap_samples=0)
            assert count == len(_every_layout(lengths, pinned, n, 0, 0))


def test_nothing_pinned_is_the_plain_law() -> None:
    lengths, n = [3, 5, 2], 16
    assert place_among_pinned(lengths, [], num_samples=n, draws=draws(4)) == place(
        lengths, num_samples=n, draws=draws(4)
    )


def test_pinned_events_that_collide_or_leave_the_scene_are_refused() -> None:
    with pytest.raises(InfeasibleScene, match="the one before it ends at 6"):
        free_windows([(2, 6), (7, 9)], num_samples=20, min_gap_samples=2)
    with pytest.raises(InfeasibleScene, match="the scene at 20"):
        free_windows([(18, 21)], num_samples=20)
