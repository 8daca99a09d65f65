"""Events that a recipe pins in time: there to the sample, beside what is drawn."""

from __future__ import annotations

from collections import Counter

import pytest
from pydantic import ValidationError
from scipy import stats

from pipeline.scene_planner import ScenePlanner
from schemas.errors import InfeasibleScene, MaterialError
from schemas.scene import ScenePlan
from tests.fakes import clip, recipe

CLIPS = [
    *(clip(f"k{i}.wav", 8000 + 900 * i) for i in range(4)),
    *(clip(f"n{i}.wav", 6000 + 800 * i, role="negative") for i in range(4)),
    clip("b.wav", 200_000, role="background"),
]
PINS = [{"label": "kw", "onset_s": 4.0}, {"label": "speech", "onset_s": 8.0, "probability": 0.5}]


def _planner(clips: list = CLIPS, pinned: list = PINS, **scene: object) -> ScenePlanner:
    wanted = {"duration_s": 10.0, "num_keywords": [0, 2], "num_negatives": [0, 2]} | scene
    return ScenePlanner(recipe(scene=wanted | {"pinned": pinned}), clips, "train")


def _at(plan: ScenePlan, onset: int) -> list:
    return [event for event in plan.events if event.onset_samples == onset]


def test_pinned_events_are_where_they_were_pinned() -> None:
    planner = _planner()
    second, counts, sources = 0, Counter(), Counter()
    for i in range(2000):
        plan = planner.plan(i)
        (first,) = _at(plan, 64_000)
        assert first.label == "kw"
        sources[first.source] += 1
        here = _at(plan, 128_000)
        second += len(here)
        counts[len(plan.events) - 1 - len(here)] += 1
        spans = [(e.onset_samples, e.offset_samples) for e in plan.events]
        assert all(b + 1600 <= c for (_, b), (c, _) in zip(spans, spans[1:], strict=False))
    assert stats.binomtest(second, 2000, 0.5).pvalue > 0.001
    assert stats.chisquare([sources[c.clip_id] for c in CLIPS[:4]]).pvalue > 0.001
    expected = [2000 * p for p in (1 / 9, 2 / 9, 3 / 9, 2 / 9, 1 / 9)]
    assert stats.chisquare([counts[n] for n in range(5)], expected).pvalue > 0.001


def test_with_polyphony_they_have_a_lane_of_their_own() -> None:
    planner = _planner(polyphony=3, num_keywords=[2, 3])
    over = 0
    for i in range(300):
        plan = planner.plan(i)
        (pinned,) = _at(plan, 64_000)
        assert pinned.track == 0
        others = [e for e in plan.events if e.track]
        assert {e.track for e in others} <= {1, 2}
        over += any(
            e.onset_samples < pinned.offset_samples and e.offset_samples > 64_000 for e in others
        )
    assert over > 10, "free clips may lie over them"


def test_plans_repeat_and_survive_json() -> None:
    import json

    plan = _planner().plan(5)
    assert _planner().plan(5) == plan
    assert ScenePlan.from_json(json.loads(plan.to_json())) == plan


def test_a_clip_too_long_for_its_place_is_refused_or_left_out() -> None:
    near = [{"label": "kw", "onset_s": 4.0}, {"label": "speech", "onset_s": 4.75}]
    with pytest.raises(InfeasibleScene, match="1 of the 4 clips of 'kw' don't fit at 4 s"):
        _planner(pinned=near)
    planner = _planner(pinned=near, on_infeasible="condition")
    drawn = {_at(planner.plan(i), 64_000)[0].source for i in range(300)}
    assert drawn == {c.clip_id for c in CLIPS[:3]}
    with pytest.raises(InfeasibleScene, match="4 of the 4"):
        _planner(pinned=[{"label": "kw", "onset_s": 9.9}], on_infeasible="condition")


def test_what_does_not_fit_between_them_is_refused_or_not_drawn() -> None:
    tight = [{"label": "kw", "onset_s": s} for s in (1.0, 3.0, 5.0, 7.0)]
    fixed = {"pinned": tight, "num_keywords": [4, 4], "num_negatives": [4, 4], "min_gap_s": 0.2}
    with pytest.raises(InfeasibleScene, match="don't fit between the pinned events"):
        _planner(**fixed)
    planner = _planner(**fixed | {"num_keywords": [0, 4], "on_infeasible": "condition"})
    assert 0.0 < planner.fit_probability < 1.0
    assert all(len(_at(planner.plan(i), 16_000)) == 1 for i in range(200))


def test_a_recipe_that_pins_what_it_has_not_is_refused() -> None:
    with pytest.raises(ValidationError, match="no clip of the recipe has the label 'door'"):
        _planner(pinned=[{"label": "door", "onset_s": 1.0}])
    with pytest.raises(ValidationError, match="at most 8 other events"):
        _planner(num_keywords=[0, 7])
    with pytest.raises(MaterialError, match="has no clip with the label 'speech'"):
        _planner(clips=[c for c in CLIPS if c.role != "negative"], num_negatives=[0, 0])


def test_a_pinned_keyword_keeps_its_tail_too() -> None:
    late = {"pinned": [{"label": "kw", "onset_s": 8.8}], "margin_s": 0.6, "num_keywords": [0, 0]}
    assert _planner(**late).plan(0)
    with pytest.raises(InfeasibleScene, match=r"there is room for 0.600 s"):
        _planner(**late, keyword_tail_s=0.6)


def test_margins_hold_beside_events_that_are_pinned_into_them() -> None:
    pins = [{"label": "kw", "onset_s": 0.2}, {"label": "kw", "onset_s": 9.3}]
    planner = _planner(pinned=pins, margin_s=2.0)
    for i in range(300):
        free = [e for e in planner.plan(i).events if e.onset_samples not in (3200, 148_800)]
        assert all(e.onset_samples >= 32_000 and e.offset_samples <= 128_000 for e in free)


def test_clips_that_no_pinned_event_can_hold_are_reported() -> None:
    near = [{"label": "kw", "onset_s": 4.0}, {"label": "speech", "onset_s": 4.75}]
    alone = {"pinned": near, "num_keywords": [0, 0], "on_infeasible": "condition"}
    assert [c.clip_id for c in _planner(**alone).never_placed] == ["keyword/folder/k3.wav"]
    assert _planner(**alone | {"num_keywords": [0, 1]}).never_placed == ()
