"""The law of counts and clips, against full enumeration."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from scipy import stats

from pipeline.clip_choice import choose
from pipeline.feasibility import ClipPool, CountLaw, worst_case
from schemas.errors import MaterialError
from schemas.recipe import CountRange
from tests.fakes import draws

KEYWORDS = ClipPool(np.array([300, 500]), np.array([0.25, 0.75]))
NEGATIVES = ClipPool(np.array([200, 900, 400]), np.array([0.5, 0.2, 0.3]))
COUNTS = {
    "num_keywords": CountRange(range=(0, 2)),
    "num_negatives": CountRange(range=(0, 2), weights=(1.0, 2.0, 1.0)),
}


def _enumerated(room: int, gap: int, tail: int = 0) -> dict[tuple, float]:
    law: dict[tuple, float] = {}
    kw, neg = (c.probabilities() for c in COUNTS.values())
    for i, j in itertools.product(kw, neg):
        for a in itertools.product(range(2), repeat=i):
            for b in itertools.product(range(3), repeat=j):
                cost = sum(KEYWORDS.lengths[list(a)]) + sum(NEGATIVES.lengths[list(b)])
                keywords = sum(KEYWORDS.lengths[list(a)]) + gap * i
                if cost + gap * (i + j) <= room and (i == 0 or keywords + tail <= room):
                    p = kw[i] * neg[j]
                    p *= np.prod(KEYWORDS.weights[list(a)]) * np.prod(NEGATIVES.weights[list(b)])
                    law[a, b] = p
    return law


@pytest.mark.parametrize(
    ("room", "gap", "tail"),
    [(1000, 0, 0), (1500, 100, 0), (2300, 50, 0), (950, 10, 0), (1500, 10, 700), (900, 0, 400)],
)
def test_condition_draws_from_the_conditional_law(room: int, gap: int, tail: int) -> None:
    law = _enumerated(room, gap, tail)
    total = sum(law.values())
    drawer = CountLaw(
        KEYWORDS,
        NEGATIVES,
        **COUNTS,
        room_samples=room,
        gap_samples=gap,
        tail_samples=tail,
        tick_samples=1,
        conditional=True,
    )
    assert drawer.fit_probability == pytest.approx(total, abs=1e-12)
    numbers = draws(11)
    n = 20_000
    seen = Counter()
    for _ in range(n):
        drawn = drawer.draw(numbers)
        seen[drawn.keywords, drawn.negatives] += 1
    assert set(seen) <= set(law), "something that doesn't fit was drawn"
    keys = sorted(law)
    expected = np.array([law[key] / total * n for key in keys])
    observed = np.array([seen[key] for key in keys])
    big = expected >= 5
    pooled = [expected[~big].sum(), observed[~big].sum()]
    f_exp = [*expected[big], *([pooled[0]] if pooled[0] > 0 else [])]
    f_obs = [*observed[big], *([pooled[1]] if pooled[0] > 0 else [])]
    assert stats.chisquare(f_obs, f_exp).pvalue > 0.001


def test_coarse_ticks_are_cautious_never_wrong() -> None:
    law = _enumerated(1000, 0)
    drawer = CountLaw(
        KEYWORDS,
        NEGATIVES,
        **COUNTS,
        room_samples=1000,
        gap_samples=0,
        tick_samples=16,
        conditional=True,
    )
    numbers = draws(0)
    for _ in range(3_000):
        drawn = drawer.draw(numbers)
        assert (drawn.keywords, drawn.negatives) in law


def test_counts_follow_their_weights_when_everything_fits() -> None:
    drawer = CountLaw(
        KEYWORDS,
        NEGATIVES,
        **COUNTS,
        room_samples=10**6,
        gap_samples=0,
        tick_samples=16,
        conditional=False,
    )
    numbers = draws(2)
    drawn_scenes = [drawer.draw(numbers) for _ in range(12_000)]
    keywords = Counter(len(drawn.keywords) for drawn in drawn_scenes)
    negatives = Counter(len(drawn.negatives) for drawn in drawn_scenes)
    assert stats.chisquare([keywords[i] for i in range(3)], [4000] * 3).pvalue > 0.001
    assert stats.chisquare([negatives[i] for i in range(3)], [3000, 6000, 3000]).pvalue > 0.001
    assert drawer.fit_probability == 1.0


def test_nothing_can_fit_is_refused_with_the_need() -> None:
    with pytest.raises(MaterialError, match="300 samples"):
        CountLaw(
            KEYWORDS,
            NEGATIVES,
            num_keywords=CountRange(range=(1, 2)),
            num_negatives=CountRange(range=(0, 0)),
            room_samples=250,
            gap_samples=0,
            tick_samples=1,
            conditional=True,
        )


def test_a_weight_of_zero_is_never_chosen() -> None:
    cumulative = np.cumsum([0.0, 0.3, 0.0, 0.7, 0.0])
    top = np.nextafter(1.0, 0.0)
    assert {choose(cumulative, u) for u in (0.0, 0.1, 0.299, 0.3, 0.5, top)} == {1, 3}


def test_worst_case_ignores_counts_of_weight_zero() -> None:
    counts = (CountRange(range=(0, 2), weights=(1, 1, 0)), CountRange(range=(0, 2)))
    assert worst_case((KEYWORDS, NEGATIVES), counts) == [500, 900, 900]
