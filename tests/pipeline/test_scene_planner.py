"""Plans: pure functions of their address, complete, feasible, made without audio."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
from scipy import stats

from pipeline.scene_planner import ScenePlanner
from schemas.errors import InfeasibleScene, MaterialError
from schemas.scene import ScenePlan
from tests.fakes import clip, recipe

CLIPS = [
    *(clip(f"k{i}.wav", 8000 + 900 * i, level_dbfs=-18.0 - i) for i in range(5)),
    *(clip(f"n{i}.wav", 6000 + 800 * i, role="negative") for i in range(7)),
    *(clip(f"b{i}.wav", 50_000 + 90_000 * i, role="background") for i in range(3)),
]
ROOMY = {"duration_s": 10.0, "effects": {"speed": [0.9, 1.1]}}


def _planner(split: str = "train", clips: list = CLIPS, **scene: object) -> ScenePlanner:
    return ScenePlanner(recipe(scene=ROOMY | scene), clips, split)


def test_R14_hundred_indices_differ_and_each_repeats() -> None:
    plans = [_planner().plan(i) for i in range(100)]
    assert len({plan.to_json() for plan in plans}) == 100
    again = _planner()
    assert [again.plan(i) for i in reversed(range(100))] == plans[::-1]


def test_splits_and_seeds_are_other_scenes() -> None:
    train, test = _planner().plan(0), _planner("test").plan(0)
    assert train.events != test.events
    other = ScenePlanner(recipe(scene=ROOMY, seed=8), CLIPS, "train").plan(0)
    assert train.events != other.events


def test_R13_every_drawn_clip_is_placed_and_counts_are_uniform() -> None:
    planner = _planner()
    keywords, negatives = Counter(), Counter()
    for i in range(4000):
        kinds = Counter(event.kind for event in planner.plan(i).events)
        keywords[kinds["keyword"]] += 1
        negatives[kinds["speech"]] += 1
    assert stats.chisquare([keywords[i] for i in range(4)]).pvalue > 0.001
    assert stats.chisquare([negatives[i] for i in range(5)]).pvalue > 0.001


def test_R13_a_recipe_whose_worst_case_does_not_fit_is_refused_by_name() -> None:
    long = [*CLIPS, clip("long.wav", 60_000)]
    with pytest.raises(InfeasibleScene) as refusal:
        _planner(clips=long)
    message = str(refusal.value)
    assert "7 clips of 4.167 s" in message  # 60,000 samples at the slowest speed
    assert "the scene has 10.000 s" in message
    assert "on_infeasible: condition" in message


def test_R11_an_infeasible_scene_is_refused_before_audio_is_read() -> None:
    """The planner takes clip facts only; there is no audio within its reach."""
    with pytest.raises(InfeasibleScene, match="need"):
        _planner(duration_s=1.0)


def test_condition_keeps_within_the_scene_and_reports_what_never_fits() -> None:
    clips = [*CLIPS, clip("long.wav", 60_000), clip("endless.wav", 170_000)]
    planner = _planner(clips=clips, on_infeasible="condition")
    assert 0.3 < planner.fit_probability < 1.0
    assert [c.clip_id for c in planner.never_placed] == ["keyword/folder/endless.wav"]
    for i in range(500):
        plan = planner.plan(i)
        assert all(event.source != "keyword/folder/endless.wav" for event in plan.events)


def test_gap_and_margin_hold() -> None:
    planner = _planner(min_gap_s=0.2, margin_s=0.5)
    for i in range(300):
        edge = 8000 - 3200
        for event in planner.plan(i).events:
            assert event.onset_samples >= edge + 3200
            edge = event.offset_samples
        assert edge <= 160_000 - 8000


def test_levels_and_headroom() -> None:
    planner = _planner()
    by_id = {c.clip_id: c for c in CLIPS}
    for i in range(300):
        plan = planner.plan(i)
        (window,) = plan.backgrounds
        background = by_id[window.source]
        level = background.level_dbfs + window.gain_db
        assert -55.001 <= level <= -31.999
        loudest = background.peak * 10 ** (window.gain_db / 20)
        peaks = [0.0]
        for event in plan.events:
            assert 0 <= event.snr_db <= 20
            event_level = by_id[event.source].level_dbfs + event.gain_db
            assert event_level - level == pytest.approx(event.snr_db, abs=0.01)
            peaks.append(by_id[event.source].peak * 10 ** (event.gain_db / 20))
        total = (max(peaks) + loudest) * 10 ** (plan.headroom_db / 20)
        assert plan.headroom_db <= 0
        assert total <= 32767


def test_background_level_is_no_shortcut() -> None:
    """Loudness of the background must not tell empty scenes from full ones."""
    planner = _planner(num_keywords=[0, 1], num_negatives=[0, 0])
    levels: dict[bool, list[float]] = {True: [], False: []}
    for i in range(2000):
        plan = planner.plan(i)
        levels[bool(plan.events)].append(plan.backgrounds[0].gain_db + plan.headroom_db)
    assert stats.ks_2samp(levels[True], levels[False]).pvalue > 0.001


def test_background_offsets_reach_both_ends() -> None:
    clips = [c for c in CLIPS if c.role != "background"]
    clips.append(clip("b.wav", 160_003, role="background"))
    planner = _planner(clips=clips)
    offsets = {planner.plan(i).backgrounds[0].offset_samples for i in range(200)}
    assert offsets == {0, 1, 2, 3}


def test_a_split_without_clips_is_named() -> None:
    with pytest.raises(MaterialError, match="split 'test' has no negative clip"):
        _planner("test", clips=[c for c in CLIPS if c.role != "negative"])


def test_labels_are_balanced_whatever_the_number_of_takes() -> None:
    clips = [*CLIPS, clip("rare.wav", 8000, label="rare")]
    planner = _planner(clips=clips)
    seen = Counter(
        event.label
        for i in range(1500)
        for event in planner.plan(i).events
        if event.kind == "keyword"
    )
    share = seen["rare"] / (seen["rare"] + seen["kw"])
    assert 0.45 < share < 0.55


def test_plan_json_round_trip_is_canonical() -> None:
    plan = _planner().plan(17)
    text = plan.to_json()
    assert ScenePlan.from_json(json.loads(text)) == plan
    assert json.dumps(json.loads(text), sort_keys=True, separators=(",", ":")).encode() == text


def test_speeds_are_hundredths_within_the_range() -> None:
    planner = _planner()
    speeds = {event.speed for i in range(400) for event in planner.plan(i).events}
    assert speeds == {round(x, 2) for x in np.arange(0.9, 1.101, 0.01)}


@pytest.mark.parametrize("low", [0.5, 0.55, 0.56, 0.57, 0.58, 1.1, 1.13, 1.15])
def test_the_slowest_speed_that_is_drawn_is_the_one_that_was_reckoned_with(low: float) -> None:
    clips = [clip("k.wav", 16000), CLIPS[-1]]
    exact = -(-16000 * 100 // round(100 * low))
    scene = {"num_keywords": [2, 2], "num_negatives": [0, 0], "min_gap_s": 0.0}
    speed = {"speed": [low, low + 0.02]}
    planner = _planner(clips=clips, duration_s=2 * exact / 16000, effects=speed, **scene)
    speeds = {event.speed for i in range(100) for event in planner.plan(i).events}
    assert speeds == {round(low + step, 2) for step in (0.0, 0.01, 0.02)}
    with pytest.raises(InfeasibleScene):
        _planner(clips=clips, duration_s=(2 * exact - 1) / 16000, effects=speed, **scene)


def test_a_clip_that_fits_alone_but_never_with_the_least_of_others_is_named() -> None:
    clips = [clip("short.wav", 16000), clip("long.wav", 3 * 16000), CLIPS[-1]]
    scene = {"num_keywords": [2, 2], "num_negatives": [0, 0], "effects": {}}
    planner = _planner(clips=clips, duration_s=4.0, on_infeasible="condition", **scene)
    assert [c.clip_id for c in planner.never_placed] == ["keyword/folder/long.wav"]
