"""Counts, clips and places where a scene has several: the stated law, and never without room."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pipeline.feasibility import ClipPool
from pipeline.scene_planner import ScenePlanner
from pipeline.slot_law import SlotLaw
from schemas.errors import MaterialError
from schemas.recipe import CountRange
from tests.fakes import clip, draws, recipe


def _pool(lengths: list[int], weights: list[float] | None = None) -> ClipPool:
    w = np.array(weights or [1.0] * len(lengths), dtype=float)
    return ClipPool(np.array(lengths, dtype=np.int64), w / max(w.sum(), 1e-9))


def _law(
    kw: list[int], neg: list[int], counts, rooms, gap: int = 0, w_kw=None, w_neg=None
) -> SlotLaw:
    return SlotLaw(
        _pool(kw, w_kw),
        _pool(neg, w_neg),
        num_keywords=CountRange(range=counts[0]),
        num_negatives=CountRange(range=counts[1]),
        rooms=rooms,
        gap_samples=gap,
    )


def _expected(kw, neg, counts, rooms, w_kw, w_neg) -> dict[tuple, float]:
    """The module's text, told again by recursion over all outcomes."""
    unit = max(min(pool) for pool, (_, most) in zip((kw, neg), counts, strict=True) if most)
    pairs = [
        (i, j)
        for i in range(counts[0][0], counts[0][1] + 1)
        for j in range(counts[1][0], counts[1][1] + 1)
        if i + j <= sum(room // unit for room in rooms)
    ]
    found: dict[tuple, float] = defaultdict(float)

    def go(i, j, free, clips, places, p):
        if not i and not j:
            found[tuple(clips), tuple(places)] += p / len(pairs)
            return
        pool, weights = (kw, w_kw) if i else (neg, w_neg)
        to_come, whole = i + j - 1, sum(room // unit for room in free)
        spare = [room - unit * max(0, to_come - whole + room // unit) for room in free]
        allowed = [c for c, n in enumerate(pool) if n <= max(spare)]
        total = sum(weights[c] for c in allowed)
        for c in allowed:
            ways = [max(0, s - pool[c] + 1) for s in spare]
            for place, way in enumerate(ways):
                if way:
                    left = [f - pool[c] * (s == place) for s, f in enumerate(free)]
                    more = p * weights[c] / total * way / sum(ways)
                    taken = [*clips, (not i, c)]
                    go(max(0, i - 1), j if i else j - 1, left, taken, [*places, place], more)

    for i, j in pairs:
        go(i, j, list(rooms), [], [], 1.0)
    return found


@pytest.mark.parametrize(
    ("kw", "neg", "counts", "rooms"),
    [
        ([2, 5], [3], ((0, 2), (0, 1)), (7, 4)),
        ([4], [2, 6, 9], ((1, 1), (0, 2)), (10, 5, 3)),
        ([3, 3, 8], [1], ((0, 3), (0, 0)), (8, 8)),
    ],
)
def test_outcomes_have_the_probabilities_of_the_law(kw, neg, counts, rooms) -> None:
    w_kw, w_neg = [1.0 + c for c in range(len(kw))], [2.0 + c for c in range(len(neg))]
    law, numbers = _law(kw, neg, counts, rooms, 0, w_kw, w_neg), draws(3)
    expected = _expected(kw, neg, counts, rooms, w_kw, w_neg)
    assert sum(expected.values()) == pytest.approx(1.0)
    seen: Counter[tuple] = Counter()
    for _ in range(20_000):
        drawn = law.draw(numbers)
        clips = [(False, c) for c in drawn.keywords] + [(True, c) for c in drawn.negatives]
        seen[tuple(clips), drawn.places] += 1
    assert set(seen) <= set(expected)
    often = [key for key, p in expected.items() if 20_000 * p >= 5]
    rest = 1.0 - sum(expected[key] for key in often)
    counted = [seen[key] for key in often] + [20_000 - sum(seen[key] for key in often)]
    wanted = [20_000 * expected[key] for key in often] + [20_000 * rest]
    if wanted[-1] < 5:
        counted, wanted = counted[:-1], wanted[:-1]
        wanted = [w * sum(counted) / sum(wanted) for w in wanted]
    assert stats.chisquare(counted, wanted).pvalue > 0.001


@settings(deadline=None)
@given(
    kw=st.lists(st.integers(1, 40), min_size=1, max_size=5),
    neg=st.lists(st.integers(1, 40), min_size=1, max_size=5),
    most=st.tuples(st.integers(0, 5), st.integers(0, 5)),
    rooms=st.lists(st.integers(0, 90), min_size=2, max_size=5),
    gap=st.integers(0, 5),
    seed=st.integers(0, 2**32),
)
def test_places_are_never_overfull(kw, neg, most, rooms, gap, seed) -> None:
    law = _law(kw, neg, ((0, most[0]), (0, most[1])), rooms, gap)
    for number in range(20):
        drawn = law.draw(draws(seed + number))
        costs = [kw[c] + gap for c in drawn.keywords] + [neg[c] + gap for c in drawn.negatives]
        for place, room in enumerate(rooms):
            used = sum(c for c, at in zip(costs, drawn.places, strict=True) if at == place)
            assert used <= room
        assert law.can_be_drawn(0)[list(drawn.keywords)].all()
        assert law.can_be_drawn(1)[list(drawn.negatives)].all()


def test_what_can_not_be_is_refused() -> None:
    with pytest.raises(MaterialError, match="hold up to 2 clips of 6 samples"):
        _law([6], [1], ((3, 4), (0, 0)), (8, 11))


NOISE = clip("b.wav", 300_000, role="background")


def _planner(clips: list, **scene: object) -> ScenePlanner:
    wanted = {"duration_s": 10.0, "on_infeasible": "condition", "min_gap_s": 0.0, "effects": {}}
    return ScenePlanner(recipe(scene=wanted | scene), [*clips, NOISE], "train")


def test_many_clips_among_pinned_events_are_planned() -> None:
    clips = [clip("k.wav", 8000), clip("a.wav", 8000, role="negative")]
    clips.append(clip("b.wav", 20_000, role="negative"))
    pins = [{"label": "kw", "onset_s": s} for s in (1.5, 3.5, 5.5, 7.5)]
    shares = {}
    for count in (6, 7, 8):
        only = {"num_keywords": [0, 0], "num_negatives": [count, count], "pinned": pins}
        planner = _planner(clips, **only)
        shares[count] = planner.fit_probability
        for i in range(50):
            assert len(planner.plan(i).events) == count + 4
        assert planner.never_placed == ()
    assert shares[6] > shares[7] > shares[8] > 0.2


def test_a_long_clip_in_the_pool_does_not_keep_the_others_out() -> None:
    clips = [clip("short.wav", 16_000), clip("long.wav", 100_000)]
    planner = _planner(clips, polyphony=3, num_keywords=[18, 18], num_negatives=[0, 0])
    lengths = Counter(e.num_samples for i in range(100) for e in planner.plan(i).events)
    assert lengths[100_000] > 50
    assert all(len(planner.plan(i).events) == 18 for i in range(20))
