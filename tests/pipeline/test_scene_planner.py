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


@pytest.mark.parametrize(("split", "odd"), [("train", {"long.wav", "short.wav"}), ("test", set())])
def test_keywords_of_odd_lengths_are_judged_by_and_not_trained_with(split: str, odd: set) -> None:
    takes = [clip(f"t{i}.wav", n) for i, n in enumerate((10_000, 11_000, 12_000, 13_000, 17_000))]
    takes += [clip("long.wav", 20_000), clip("short.wav", 5_000)]  # the median is 12,000
    clips = takes + [c for c in CLIPS if c.role != "keyword"]
    planner = _planner(split, clips, keyword_lengths=[0.5, 1.5], num_keywords=[2, 2])
    assert {c.clip_id.split("/")[-1] for c in planner.odd_keywords} == odd
    drawn = {e.source for i in range(200) for e in planner.plan(i).events if e.kind == "keyword"}
    assert drawn == {c.clip_id for c in takes} - {c.clip_id for c in planner.odd_keywords}


def test_gap_and_margin_hold() -> None:
    planner = _planner(min_gap_s=0.2, margin_s=0.5)
    for i in range(300):
        edge = 8000 - 3200
        for event in planner.plan(i).events:
            assert event.onset_samples >= edge + 3200
            edge = event.offset_samples
        assert edge <= 160_000 - 8000


def test_R36_background_level_does_not_depend_on_events() -> None:
    """Loudness of the background must not tell empty scenes from full ones."""
    planner = _planner(num_keywords=[0, 1], num_negatives=[0, 0])
    by_id = {c.clip_id: c for c in CLIPS}
    levels: dict[bool, list[float]] = {True: [], False: []}
    for i in range(2000):
        plan = planner.plan(i)
        assert -55.001 <= plan.background_db <= -31.999
        assert all(0 <= event.level_db <= 20 for event in plan.events)
        for piece in plan.backgrounds:
            level = by_id[piece.source].level_dbfs + piece.gain_db
            assert level == pytest.approx(plan.background_db, abs=0.002)
        levels[bool(plan.events)].append(plan.background_db)
    assert stats.ks_2samp(levels[True], levels[False]).pvalue > 0.001


def test_short_backgrounds_are_joined_without_a_hole() -> None:
    rng = np.random.default_rng(0)
    shorts = [clip(f"s{i}.wav", int(rng.integers(2, 60_000)), role="background") for i in range(12)]
    planner = _planner(clips=[c for c in CLIPS if c.role != "background"] + shorts)
    by_id = {c.clip_id: c for c in shorts}
    for i in range(300):
        edge = fade = 0
        for piece in planner.plan(i).backgrounds:
            assert piece.onset_samples == edge - fade, "joined where the piece before fades out"
            assert piece.fade_in_samples == fade
            assert piece.fade_in_samples + piece.fade_out_samples <= piece.num_samples
            assert piece.offset_samples + piece.num_samples <= by_id[piece.source].num_samples
            edge, fade = piece.onset_samples + piece.num_samples, piece.fade_out_samples
        assert (edge, fade) == (160_000, 0)


def test_layers_of_background_and_babble_add_up_to_the_level() -> None:
    babble = {"num_talkers": [3, 5], "level_db": [-6, -6], "probability": 0.5}
    planner = _planner(num_backgrounds=[2, 3], babble=babble)
    by_id = {c.clip_id: c for c in CLIPS}
    with_babble = 0
    for i in range(200):
        plan = planner.plan(i)
        starts = [p for p in plan.backgrounds if p.onset_samples == p.fade_in_samples == 0]
        power = sum(10 ** ((by_id[p.source].level_dbfs + p.gain_db) / 10) for p in starts)
        if all(piece.num_samples > 1 for piece in starts):
            assert 10 * np.log10(power) == pytest.approx(plan.background_db, abs=0.01)
        with_babble += any(p.source.startswith("negative") for p in plan.backgrounds)
    assert 60 < with_babble < 140


def test_shares_of_negative_kinds_are_kept() -> None:
    near = [clip(f"near{i}.wav", 7000, role="negative", kind="near_miss") for i in range(40)]
    shares = {"near_miss": 0.25, "speech": 0.75}
    planner = _planner(clips=CLIPS + near, negative_shares=shares, num_negatives=[4, 4])
    kinds = Counter(e.kind for i in range(1000) for e in planner.plan(i).events)
    share = kinds["near_miss"] / (kinds["near_miss"] + kinds["speech"])
    assert 0.22 < share < 0.28


def test_ambient_events_lie_over_all_else_and_reach_both_ends() -> None:
    ambient = [clip("a.wav", 159_998, role="negative", kind="ambient")]
    planner = _planner(clips=CLIPS + ambient, num_ambient=[1, 2], effects={})
    onsets = set()
    for i in range(300):
        plan = planner.plan(i)
        over = [e for e in plan.events if e.kind == "ambient"]
        assert len(over) in (1, 2)
        assert all(e.kind != "ambient" for e in plan.events if e.track == 0)
        onsets |= {event.onset_samples for event in over}
    assert onsets == {0, 1, 2}


def test_polyphony_is_never_passed_and_is_reached() -> None:
    planner = _planner(polyphony=3, num_keywords=[4, 4], num_negatives=[4, 4], effects={})
    most = 0
    for i in range(300):
        events = planner.plan(i).events
        for event in events:
            at = event.onset_samples
            sounding = sum(e.onset_samples <= at < e.offset_samples for e in events)
            most = max(most, sounding)
            assert sounding <= 3
    assert most == 3
    with pytest.raises(InfeasibleScene, match="in 3 lanes"):
        _planner(polyphony=3, num_keywords=[30, 30])
    crowded = _planner(polyphony=3, num_keywords=[0, 60], on_infeasible="condition")
    assert 0.0 < crowded.fit_probability < 1.0
    assert max(len(crowded.plan(i).events) for i in range(200)) > 10


def test_R8_a_keyword_has_the_tail_that_its_label_needs() -> None:
    scene = {"num_keywords": [2, 2], "num_negatives": [0, 2], "keyword_tail_s": 1.0}
    planner = _planner(duration_s=6.0, on_infeasible="condition", **scene)
    latest = 0
    for i in range(500):
        for event in planner.plan(i).events:
            if event.kind == "keyword":
                assert event.offset_samples <= 5 * 16000
            latest = max(latest, event.offset_samples)
    assert latest > 5.5 * 16000, "other sounds may lie in a tail"


def test_effects_are_drawn_as_often_and_as_far_as_asked() -> None:
    effects = {
        "speed": [0.9, 1.1],
        "low_pass_hz": {"range": [1000, 4000], "probability": 0.3},
        "resonance_db": [-6, 6],
    }
    planner = _planner(effects=effects, channel={"tilt_db_per_octave": [-3, 3]})
    events = [e for i in range(800) for e in planner.plan(i).events]
    names = Counter(effect.name for e in events for effect in e.effects)
    assert names["speed"] == names["resonance_db"] == len(events)
    assert 0.25 < names["low_pass_hz"] / len(events) < 0.35
    cutoffs = [x.value for e in events for x in e.effects if x.name == "low_pass_hz"]
    assert min(cutoffs) >= 1000 and max(cutoffs) <= 4000
    assert stats.kstest(np.log(cutoffs), "uniform", args=(np.log(1000), np.log(4))).pvalue > 0.001
    assert all(plan.channel for plan in map(planner.plan, range(20)))


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
    speeds = {event.effects[0].value for i in range(400) for event in planner.plan(i).events}
    assert speeds == {round(x, 2) for x in np.arange(0.9, 1.101, 0.01)}


@pytest.mark.parametrize("low", [0.5, 0.55, 0.56, 0.57, 0.58, 1.1, 1.13, 1.15])
def test_the_slowest_speed_that_is_drawn_is_the_one_that_was_reckoned_with(low: float) -> None:
    clips = [clip("k.wav", 16000), CLIPS[-1]]
    exact = -(-16000 * 100 // round(100 * low))
    scene = {"num_keywords": [2, 2], "num_negatives": [0, 0], "min_gap_s": 0.0}
    speed = {"speed": [low, low + 0.02]}
    planner = _planner(clips=clips, duration_s=2 * exact / 16000, effects=speed, **scene)
    speeds = {event.effects[0].value for i in range(100) for event in planner.plan(i).events}
    assert speeds == {round(low + step, 2) for step in (0.0, 0.01, 0.02)}
    with pytest.raises(InfeasibleScene):
        _planner(clips=clips, duration_s=(2 * exact - 1) / 16000, effects=speed, **scene)


def test_a_clip_that_fits_alone_but_never_with_the_least_of_others_is_named() -> None:
    clips = [clip("short.wav", 16000), clip("long.wav", 3 * 16000), CLIPS[-1]]
    scene = {"num_keywords": [2, 2], "num_negatives": [0, 0], "effects": {}}
    planner = _planner(clips=clips, duration_s=4.0, on_infeasible="condition", **scene)
    assert [c.clip_id for c in planner.never_placed] == ["keyword/folder/long.wav"]


def test_R8_tails_are_part_of_what_must_fit() -> None:
    short = [clip(f"k{i}.wav", 9600) for i in range(3)]
    scene = {"num_keywords": [0, 2], "num_negatives": [0, 0], "keyword_tail_s": 1.0, "effects": {}}
    scene |= {"duration_s": 2.1, "min_gap_s": 0.0, "on_infeasible": "condition"}
    planner = _planner(clips=[*short, CLIPS[-1]], **scene)
    counts = Counter(len(planner.plan(i).events) for i in range(300))
    assert set(counts) == {0, 1}, "two of 0.6 s with a tail of 1 s need 2.2 s"
    assert planner.fit_probability == pytest.approx(2 / 3)


def test_nothing_is_called_unplaceable_that_is_placed() -> None:
    for scene in ({"polyphony": 2}, {}, {"polyphony": 3, "on_infeasible": "condition"}):
        planner = _planner(**scene)
        placed = {e.source for i in range(400) for e in planner.plan(i).events}
        assert not placed & {c.clip_id for c in planner.never_placed}


def test_ambient_clips_longer_than_the_scene_are_refused_or_left_out() -> None:
    ambient = [
        clip(f"a{i}.wav", n, role="negative", kind="ambient") for i, n in ((0, 9000), (1, 200_000))
    ]
    with pytest.raises(InfeasibleScene, match="1 of 2 ambient clips"):
        _planner(clips=[*CLIPS, *ambient], num_ambient=[2, 2])
    planner = _planner(clips=[*CLIPS, *ambient], num_ambient=[2, 2], on_infeasible="condition")
    assert [c.clip_id for c in planner.never_placed] == ["negative/folder/a1.wav"]
    assert all(sum(e.kind == "ambient" for e in planner.plan(i).events) == 2 for i in range(50))
    with pytest.raises(InfeasibleScene, match="1 of 1 ambient clips"):
        _planner(clips=[*CLIPS, ambient[1]], num_ambient=[2, 2], on_infeasible="condition")
