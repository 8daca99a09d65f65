"""The placement law: refusals by name, no overlap, uniform over all layouts."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pipeline.placement import assign_lanes, place, require_lanes, slack
from schemas.errors import InfeasibleScene
from tests.fakes import draws

LAYOUTS = st.fixed_dictionaries(
    {
        "lengths": st.lists(st.integers(1, 60), min_size=0, max_size=7),
        "gap": st.integers(0, 9),
        "margin": st.integers(0, 20),
        "extra": st.integers(0, 50),
        "seed": st.integers(0, 2**32),
    }
)


def _needed(lengths: list[int], gap: int, margin: int) -> int:
    return sum(lengths) + max(0, len(lengths) - 1) * gap + 2 * margin


def _check_layout(lengths: list[int], onsets: list[int], n: int, gap: int, margin: int) -> None:
    placed = sorted(zip(onsets, lengths, strict=True))
    assert all(margin <= onset and onset + length <= n - margin for onset, length in placed)
    for (onset, length), (following, _) in itertools.pairwise(placed):
        assert onset + length + gap <= following


@given(LAYOUTS)
def test_R10_events_never_overlap_whatever_the_lengths(case: dict) -> None:
    lengths, gap, margin = case["lengths"], case["gap"], case["margin"]
    n = max(1, _needed(lengths, gap, margin) + case["extra"])
    numbers = draws(case["seed"])
    onsets = place(
        lengths, num_samples=n, draws=numbers, min_gap_samples=gap, margin_samples=margin
    )
    _check_layout(lengths, onsets, n, gap, margin)


def test_R10_touching_is_allowed_and_an_exact_fit_is_placed() -> None:
    lengths = [3, 5, 2]
    orders = {tuple(place(lengths, num_samples=10, draws=draws(seed))) for seed in range(200)}
    assert len(orders) == math.factorial(3)
    for onsets in orders:
        _check_layout(lengths, list(onsets), 10, 0, 0)


def test_R10_the_first_and_the_last_legal_start_are_drawn() -> None:
    numbers = draws(1)
    starts = {place([4], num_samples=10, draws=numbers, margin_samples=1)[0] for _ in range(500)}
    assert starts == set(range(1, 6))


def test_R11_four_clips_of_2_4_s_are_planned_100_000_times() -> None:
    lengths = [int(2.4 * 44100)] * 4
    numbers = draws(3)
    edges = [place(lengths, num_samples=441_000, draws=numbers) for _ in range(100_000)]
    onsets = np.sort(np.array(edges), axis=1)
    assert onsets.min() >= 0
    assert (onsets[:, -1] + lengths[0]).max() <= 441_000
    assert (np.diff(onsets, axis=1) >= lengths[0]).all()


def test_R11_five_clips_of_2_4_s_are_refused_with_lengths_need_and_room() -> None:
    numbers = draws(0)
    with pytest.raises(InfeasibleScene) as refusal:
        place([int(2.4 * 44100)] * 5, num_samples=441_000, draws=numbers, sample_rate_hz=44100)
    message = str(refusal.value)
    assert "5 clips of 2.400 s, 2.400 s" in message
    assert "need 12.000 s" in message
    assert "the scene has 10.000 s, 2.000 s too few" in message
    assert numbers.num_taken == 0, "nothing may be drawn before a refusal"


@given(LAYOUTS, st.integers(1, 30))
def test_R11_infeasible_is_refused_before_anything_is_drawn(case: dict, missing: int) -> None:
    lengths = [*case["lengths"], 1 + missing]
    n = _needed(lengths, case["gap"], case["margin"]) - missing
    numbers = draws(0)
    with pytest.raises(InfeasibleScene):
        place(
            lengths,
            num_samples=n,
            draws=numbers,
            min_gap_samples=case["gap"],
            margin_samples=case["margin"],
        )
    assert numbers.num_taken == 0


def test_R12_six_clips_of_1_5_s_are_always_planned() -> None:
    numbers = draws(5)
    for _ in range(5_000):
        _check_layout(
            [1500] * 6, place([1500] * 6, num_samples=10_000, draws=numbers), 10_000, 0, 0
        )


@pytest.mark.parametrize(
    ("lengths", "n", "gap", "margin"),
    [
        ([3], 8, 0, 0),
        ([2, 3], 9, 0, 0),
        ([2, 2], 9, 1, 1),
        ([1, 2, 1], 9, 1, 0),
        ([2, 1, 3], 8, 0, 0),
        ([1, 1, 1, 1], 7, 0, 0),
        ([2, 2, 2], 8, 1, 0),
    ],
)
def test_layouts_are_uniform_compared_with_enumeration(
    lengths: list[int], n: int, gap: int, margin: int
) -> None:
    legal = []
    for onsets in itertools.product(range(n), repeat=len(lengths)):
        try:
            _check_layout(lengths, list(onsets), n, gap, margin)
        except AssertionError:
            continue
        legal.append(onsets)
    left = slack(lengths, num_samples=n, min_gap_samples=gap, margin_samples=margin)
    k = len(lengths)
    assert len(legal) == math.factorial(k) * math.comb(left + k, k)
    numbers = draws(2024)
    num_draws = 60 * len(legal)
    seen = Counter(
        tuple(
            place(lengths, num_samples=n, draws=numbers, min_gap_samples=gap, margin_samples=margin)
        )
        for _ in range(num_draws)
    )
    assert set(seen) <= set(legal)
    if len(legal) > 1:
        p = stats.chisquare([seen[layout] for layout in legal]).pvalue
        assert p > 0.001


def test_no_clips_need_no_draw() -> None:
    numbers = draws(0)
    assert place([], num_samples=10, draws=numbers) == []
    assert numbers.num_taken == 0


@pytest.mark.parametrize(
    ("lengths", "n", "gap", "margin", "tail", "num_tailed"),
    [
        ([3], 9, 0, 0, 2, 1),
        ([2, 3], 11, 0, 0, 3, 1),
        ([2, 3], 11, 0, 1, 3, 1),
        ([2, 1], 9, 1, 0, 4, 2),
        ([2, 1, 2], 10, 0, 0, 3, 1),
        ([1, 1, 2], 9, 1, 0, 4, 1),
        ([2, 1, 1], 9, 0, 1, 3, 2),
        ([2, 1, 1], 6, 0, 0, 2, 1),
        ([1, 1, 1, 1], 8, 0, 0, 3, 2),
    ],
)
def test_layouts_with_tails_are_uniform_compared_with_enumeration(
    lengths, n, gap, margin, tail, num_tailed
) -> None:
    legal = []
    for onsets in itertools.product(range(n), repeat=len(lengths)):
        try:
            _check_layout(lengths, list(onsets), n, gap, margin)
        except AssertionError:
            continue
        ends = [onset + length for onset, length in zip(onsets, lengths, strict=True)]
        if all(end + tail <= n for end in ends[:num_tailed]):
            legal.append(onsets)
    assert legal
    limits = {"num_samples": n, "min_gap_samples": gap, "margin_samples": margin}
    numbers = draws(2025)
    seen = Counter(
        tuple(place(lengths, draws=numbers, tail_samples=tail, num_tailed=num_tailed, **limits))
        for _ in range(60 * len(legal))
    )
    assert set(seen) <= set(legal)
    if len(legal) > 1:
        assert stats.chisquare([seen[layout] for layout in legal]).pvalue > 0.001


@given(LAYOUTS, st.integers(0, 90), st.integers(0, 7))
def test_a_tail_is_kept_or_refused_whatever_the_lengths(case: dict, tail: int, tailed: int) -> None:
    lengths, gap, margin = case["lengths"], case["gap"], case["margin"]
    tailed = min(tailed, len(lengths))
    n = max(1, _needed(lengths, gap, margin) + case["extra"])
    behind = sum(lengths[tailed:]) + gap * (len(lengths) - tailed)
    needs = tailed > 0 and max(0, tail - margin - behind) > case["extra"]
    limits = {"num_samples": n, "min_gap_samples": gap, "margin_samples": margin}
    numbers = draws(case["seed"])
    try:
        onsets = place(lengths, draws=numbers, tail_samples=tail, num_tailed=tailed, **limits)
    except InfeasibleScene as refusal:
        assert needs
        assert "after the last keyword" in str(refusal)
        assert numbers.num_taken == 0
    else:
        assert not needs
        _check_layout(lengths, onsets, n, gap, margin)
        for onset, length in list(zip(onsets, lengths, strict=True))[:tailed]:
            assert onset + length + tail <= n or tail <= margin


@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=12),
    st.integers(1, 4),
    st.integers(0, 5),
    st.integers(0, 2**32),
)
def test_lanes_never_leave_a_clip_over_once_required(
    lengths: list[int], num_lanes: int, gap: int, seed: int
) -> None:
    n = next(n for n in itertools.count(1) if _accepts(lengths, num_lanes, n, gap))
    numbers = draws(seed)
    lanes = assign_lanes(
        lengths, num_lanes=num_lanes, room_samples=n + gap, gap_samples=gap, draws=numbers
    )
    for lane in range(num_lanes):
        inside = [length for length, at in zip(lengths, lanes, strict=True) if at == lane]
        onsets = place(inside, num_samples=n, draws=numbers, min_gap_samples=gap)
        _check_layout(inside, onsets, n, gap, 0)


def _accepts(lengths: list[int], num_lanes: int, n: int, gap: int) -> bool:
    try:
        require_lanes(lengths, num_lanes=num_lanes, num_samples=n, min_gap_samples=gap)
    except InfeasibleScene:
        return False
    return True
