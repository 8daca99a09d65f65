"""Rendering: obeys the plan to the sample, never clips, never draws, reads what it needs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.activity import active_level_dbfs
from pipeline.loudness import integrated_lufs
from pipeline.scene_planner import ScenePlanner
from pipeline.scene_renderer import render_scene
from schemas.effects import AppliedEffect
from schemas.errors import DatasetError
from schemas.scene import BackgroundPiece, PlacedEvent, ScenePlan
from tests.fakes import MemoryBank, clip, recipe

CLIPS = [
    *(clip(f"k{i}.wav", 8000 + 900 * i) for i in range(3)),
    *(clip(f"n{i}.wav", 6000 + 800 * i, role="negative") for i in range(3)),
    clip("short.wav", 30_000, role="background"),
    clip("long.wav", 200_000, role="background"),
]


class FixedBank(MemoryBank):
    """Clips with given samples."""

    def __init__(self, **samples: np.ndarray) -> None:
        super().__init__(
            [clip(name, len(x), level_dbfs=_active_dbfs(x)) for name, x in samples.items()]
        )
        self._samples = {f"keyword/folder/{name}": x for name, x in samples.items()}

    def samples(self, item):
        return self._samples[item.clip_id].astype(np.int16)


def _active_dbfs(x: np.ndarray) -> float:
    return active_level_dbfs(x.astype(np.float32) / np.float32(32768), 16000, silent=-np.inf)


def _plan(events=(), *, n=1000, background="b", offset=0, gain_db=0.0, **fields) -> ScenePlan:
    piece = BackgroundPiece(f"keyword/folder/{background}", offset, 0, n, gain_db)
    return ScenePlan(
        split="train",
        index=0,
        sample_rate_hz=16000,
        num_samples=n,
        backgrounds=fields.pop("backgrounds", (piece,)),
        background_db=fields.pop("background_db", -40.0),
        background_unit=fields.pop("background_unit", "dbfs"),
        events=tuple(events),
        **fields,
    )


def _event(name: str, onset: int, length: int, gain_db: float = 0.0, **fields) -> PlacedEvent:
    source = f"keyword/folder/{name}"
    unit = fields.pop("level_unit", "gain_db")
    if "snr_db" in fields:
        gain_db, unit = fields.pop("snr_db"), "snr_db"
    return PlacedEvent(source, "kw", "keyword", onset, length, gain_db, unit, **fields)


def test_integer_positions_and_gains_by_hand() -> None:
    bank = FixedBank(b=np.full(1000, 10), a=np.full(100, 1000), c=np.full(50, -200))
    plan = _plan([_event("a", 0, 100, -20.0), _event("c", 950, 50, 6.0)])
    scene = render_scene(plan, bank)
    expected = np.full(1000, 10)
    expected[:100] += 100
    expected[950:] += round(-200 * 10**0.3)
    np.testing.assert_array_equal(scene.audio, expected)
    assert scene.audio.dtype == np.int16
    assert scene.gains_db == (-20.0, 6.0)
    assert scene.snrs_db == pytest.approx((20.0, 20 * np.log10(200 / 10) + 6), abs=0.001)


def test_headroom_is_what_is_needed_and_is_reported() -> None:
    bank = FixedBank(b=np.full(10, 1000), a=np.full(10, 30_000))
    scene = render_scene(_plan([_event("a", 0, 10, 6.0)], n=10), bank)
    wanted = 20 * np.log10(32767 / (1000 + 30_000 * 10**0.3))
    assert scene.headroom_db == pytest.approx(wanted, abs=0.0011)
    assert scene.audio.max() in (32764, 32765, 32766, 32767)
    assert scene.gains_db[0] == pytest.approx(6.0 + scene.headroom_db, abs=0.001)
    assert render_scene(_plan([_event("a", 0, 10)], n=10), bank).headroom_db == 0.0


def test_fades_are_linear_and_symmetric() -> None:
    bank = FixedBank(b=np.zeros(20), a=np.full(8, 1000))
    audio = render_scene(_plan([_event("a", 2, 8)], n=20, fade_samples=4), bank).audio
    np.testing.assert_array_equal(audio[2:6], [125, 375, 625, 875])
    np.testing.assert_array_equal(audio[6:10], [875, 625, 375, 125])
    assert not audio[:2].any() and not audio[10:].any()


def test_a_long_background_is_a_plain_window() -> None:
    ramp = np.arange(5000)
    audio = render_scene(_plan(n=1000, offset=3210), FixedBank(b=ramp)).audio
    np.testing.assert_array_equal(audio, ramp[3210:4210])


def test_pieces_join_with_equal_power() -> None:
    rng = np.random.default_rng(0)
    noise = {name: np.rint(rng.standard_normal(40_000) * 3000) for name in ("a", "b")}
    pieces = (
        BackgroundPiece("keyword/folder/a", 5, 0, 30_000, 0.0, 0, 20_000),
        BackgroundPiece("keyword/folder/b", 0, 10_000, 40_000, 0.0, 20_000, 0),
    )
    audio = render_scene(_plan(n=50_000, backgrounds=pieces), FixedBank(**noise)).audio
    blocks = audio.astype(float).reshape(-1, 2000)
    assert np.sqrt(np.mean(blocks**2, axis=1)) == pytest.approx(3000, rel=0.08)


def test_another_bank_is_refused() -> None:
    bank = FixedBank(b=np.zeros(1000), a=np.zeros(99))
    with pytest.raises(DatasetError, match="the 100 samples of the plan"):
        render_scene(_plan([_event("a", 0, 100)]), bank)
    with pytest.raises(DatasetError, match="at least 1001"):
        render_scene(_plan(n=1001), bank)


def test_each_clip_is_read_once_and_never_written_to() -> None:
    bank = MemoryBank(CLIPS)
    plan = ScenePlanner(recipe(), CLIPS, "train").plan(3)
    render_scene(plan, bank)
    assert bank.num_reads == len(plan.backgrounds) + len(plan.events)


def test_snr_asked_is_snr_measured_over_a_thousand_scenes() -> None:
    """From the audio itself: with and without its events, as one who hasn't the plan would."""
    bank = MemoryBank(CLIPS)
    effects = {"speed": [0.9, 1.1], "low_pass_hz": [1500, 6000], "soft_clip_db": [0, 12]}
    scene = {"effects": effects, "snr_db": [-5, 20], "level_dbfs": [-45, -30]}
    planner = ScenePlanner(recipe(scene=scene), CLIPS, "train")
    errors, asked = [], 0
    for index in range(1000):
        plan = planner.plan(index)
        full, empty = (render_scene(p, bank) for p in (plan, replace(plan, events=())))
        assert full.headroom_db == 0.0
        under = empty.audio.astype(float)
        above = full.audio.astype(float) - under
        for event, told in zip(plan.events, full.snrs_db, strict=True):
            span = slice(event.onset_samples, event.offset_samples)
            measured = 10 * np.log10(np.mean(above[span] ** 2) / np.mean(under[span] ** 2))
            errors.append((measured - event.level_db, told - event.level_db))
            asked += 1
    assert asked > 2500
    assert np.abs(errors).max() < 0.5
    assert np.abs(np.array(errors)[:, 1]).max() < 0.01


def test_a_pause_in_the_background_does_not_make_an_event_inaudible() -> None:
    noise = np.zeros(32_000)
    noise[:16_000] = 1000.0
    bank = FixedBank(b=noise, a=np.tile([500.0, -500.0], 1000))
    plan = _plan(
        [_event("a", 20_000, 2000, snr_db=10.0)],
        n=32_000,
        background_db=20 * np.log10(1000 / 32768),
    )
    scene = render_scene(plan, bank)
    assert np.abs(scene.audio[20_000:22_000]).max() == pytest.approx(1000, abs=1)
    assert scene.snrs_db == (100.0,), "nothing is under it"


def test_a_room_rings_on_after_its_event_and_is_cut_at_the_end() -> None:
    room = np.zeros(400)
    room[0], room[300] = 1000, 500
    bank = FixedBank(b=np.zeros(1000), a=np.full(100, 2000), r=room)
    effects = (AppliedEffect("room", 1.0, 0.0, "keyword/folder/r"),)
    events = [_event("a", 200, 100, effects=effects), _event("a", 900, 100, effects=effects)]
    audio = render_scene(_plan(events), bank).audio
    np.testing.assert_allclose(audio[200:300], 2000, atol=1)
    np.testing.assert_allclose(audio[500:600], 1000, atol=1)
    np.testing.assert_allclose(audio[300:500], 0, atol=1)
    np.testing.assert_allclose(audio[900:], 2000, atol=1)


@settings(max_examples=30, deadline=None)
@given(index=st.integers(0, 10**6), seed=st.integers(0, 2**40))
def test_planned_scenes_never_clip_and_repeat_exactly(index: int, seed: int) -> None:
    wanted = recipe(seed=seed, scene={"effects": {"speed": [0.8, 1.25]}, "level_dbfs": [-6, 0]})
    bank = MemoryBank(CLIPS)
    plan = ScenePlanner(wanted, CLIPS, "train").plan(index)
    scene = render_scene(plan, bank)
    assert len(scene.audio) == plan.num_samples
    np.testing.assert_array_equal(scene.audio, render_scene(plan, bank).audio)
    if scene.headroom_db == 0.0:
        quiet = render_scene(replace(plan, events=()), bank).audio.copy()
        for event in plan.events:
            span = slice(event.onset_samples, event.offset_samples)
            assert (scene.audio[span] != quiet[span]).any()
            quiet[span] = scene.audio[span]
        np.testing.assert_array_equal(scene.audio, quiet)


def _loudness_of(x: np.ndarray) -> float:
    return integrated_lufs(x.astype(np.float32) / np.float32(32768), 16_000)


@pytest.mark.parametrize("unit", ["dbfs", "lufs", "gain_db"])
def test_events_as_loud_as_the_recipe_says(unit: str) -> None:
    """From the audio itself, as the difference of the scene with and without its event."""
    level = {"unit": unit, "range": [-31.0, -30.0]}
    scene = {"event_level": level, "level_dbfs": [-60, -50], "effects": {"speed": [0.8, 0.9]}}
    scene |= {"num_keywords": [1, 1], "num_negatives": [0, 0]}
    planner, bank = ScenePlanner(recipe(scene=scene), CLIPS, "train"), MemoryBank(CLIPS)
    for index in range(40):
        plan = planner.plan(index)
        (event,) = plan.events
        assert -31 <= event.level_db <= -30
        assert -60 <= plan.background_db <= -50, "the background's own level"
        full, empty = (render_scene(p, bank) for p in (plan, replace(plan, events=())))
        alone = (full.audio.astype(float) - empty.audio)[event.onset_samples :][: event.num_samples]
        if unit == "lufs":
            measured = _loudness_of(alone)
        elif unit == "dbfs":
            measured = _active_dbfs(alone)
        else:
            assert full.gains_db == (event.level_db,)
            continue
        assert measured == pytest.approx(event.level_db, abs=0.2), "but for the ramps"


def test_backgrounds_as_loud_as_level_lufs_says() -> None:
    scene = {"level_lufs": [-40, -20], "snr_db": [0, 10], "num_backgrounds": [1, 3]}
    planner, bank = ScenePlanner(recipe(scene=scene), CLIPS, "train"), MemoryBank(CLIPS)
    for index in range(40):
        plan = planner.plan(index)
        assert plan.background_unit == "lufs"
        assert -50 <= plan.background_db <= -30
        empty = render_scene(replace(plan, events=()), bank)
        assert _loudness_of(empty.audio) == pytest.approx(plan.background_db, abs=0.05)
        full = render_scene(plan, bank)
        for asked, told in zip(plan.events, full.snrs_db, strict=True):
            assert told == pytest.approx(asked.level_db, abs=0.01)


def test_gains_of_backgrounds_are_told_as_they_were_reached() -> None:
    bank = FixedBank(b=np.full(1000, 100), a=np.full(100, 30_000))
    scene = render_scene(_plan([_event("a", 0, 100, 6.0)], gain_db=6.02), bank)
    assert scene.headroom_db < 0
    (gain_db,) = scene.background_gains_db
    assert gain_db == pytest.approx(6.02 + scene.headroom_db, abs=0.001)
    assert scene.audio[500] == round(100 * 10 ** (gain_db / 20))


def test_a_silent_background_stays_silent_at_any_loudness() -> None:
    bank = FixedBank(b=np.zeros(1000))
    scene = render_scene(_plan(background_unit="lufs"), bank)
    assert not scene.audio.any()


@pytest.mark.parametrize("level", [-40, -55, -69])
def test_quiet_rumble_gets_the_loudness_asked_for(level: int) -> None:
    """It lies under the absolute gate of the meter, and has a loudness all the same."""
    rumble = np.rint(2000 * np.sin(2 * np.pi * 40 * np.arange(64_000) / 16_000))
    plan = _plan(n=64_000, background_db=float(level), background_unit="lufs", gain_db=-40.0)
    bank = FixedBank(b=rumble)
    scene = render_scene(plan, bank)
    reached = scene.background_gains_db[0] + _loudness_of(rumble)
    assert reached == pytest.approx(level, abs=0.02)


def test_the_floor_in_a_pause_follows_the_loudness_correction() -> None:
    noise = np.random.default_rng(0).standard_normal(64_000) * 1000
    noise[32_000:] = 0
    bank = FixedBank(b=noise, a=np.tile([500.0, -500.0], 1000))
    event = _event("a", 40_000, 2000, snr_db=10.0)
    for more_db in (0.0, 12.0):
        plan = _plan(
            [event], n=64_000, background_db=-30.0, background_unit="lufs", gain_db=more_db
        )
        scene = render_scene(plan, bank)
        correction_db = scene.background_gains_db[0] - more_db
        loud = 20 * np.log10(500 / 32768) + scene.gains_db[0]
        assert loud == pytest.approx(-30.0 + correction_db - 10.0 + 10.0, abs=0.01)


def test_a_short_event_at_the_end_of_a_scene_with_a_room() -> None:
    room = np.zeros(400)
    room[0], room[300] = 1000, 500
    bank = FixedBank(b=np.zeros(1000), a=np.full(48, 2000), r=room)
    effects = (AppliedEffect("room", 1.0, 0.0, "keyword/folder/r"),)
    plan = _plan([_event("a", 952, 48, effects=effects)], fade_samples=80)
    assert render_scene(plan, bank).audio[952:].any()
