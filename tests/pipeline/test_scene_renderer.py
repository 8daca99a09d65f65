"""Rendering: obeys the plan to the sample, never clips, never draws, reads what it needs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.scene_planner import ScenePlanner
from pipeline.scene_renderer import render_scene
from schemas.errors import DatasetError
from schemas.scene import BackgroundWindow, PlacedEvent, ScenePlan
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
        super().__init__([clip(name, len(x)) for name, x in samples.items()])
        self._samples = {f"keyword/folder/{name}": x for name, x in samples.items()}

    def samples(self, item):
        return self._samples[item.clip_id].astype(np.int16)


def _plan(events=(), *, n=1000, background="b", offset=0, gain_db=0.0, **fields) -> ScenePlan:
    return ScenePlan(
        split="train",
        index=0,
        sample_rate_hz=16000,
        num_samples=n,
        backgrounds=(BackgroundWindow(f"keyword/folder/{background}", offset, gain_db),),
        events=tuple(events),
        **fields,
    )


def _event(name: str, onset: int, length: int, gain_db: float = 0.0, **fields) -> PlacedEvent:
    source = f"keyword/folder/{name}"
    return PlacedEvent(source, "kw", "keyword", onset, length, gain_db, 0.0, **fields)


def test_integer_positions_and_gains_by_hand() -> None:
    bank = FixedBank(b=np.full(1000, 10), a=np.full(100, 1000), c=np.full(50, -200))
    plan = _plan([_event("a", 0, 100, -20.0), _event("c", 950, 50, 6.0)])
    audio = render_scene(plan, bank)
    expected = np.full(1000, 10)
    expected[:100] += 100
    expected[950:] += round(-200 * 10**0.3)
    np.testing.assert_array_equal(audio, expected)
    assert audio.dtype == np.int16


def test_headroom_scales_the_whole_mix() -> None:
    bank = FixedBank(b=np.full(10, 1000), a=np.full(10, 30_000))
    plan = _plan([_event("a", 0, 10)], n=10, headroom_db=-6.0)
    np.testing.assert_array_equal(render_scene(plan, bank), round(31_000 * 10**-0.3))


def test_without_headroom_saturates_instead_of_wrapping() -> None:
    bank = FixedBank(b=np.full(4, 30_000), a=np.full(4, 30_000))
    np.testing.assert_array_equal(render_scene(_plan([_event("a", 0, 4)], n=4), bank), 32767)


def test_fades_are_linear_and_symmetric() -> None:
    bank = FixedBank(b=np.zeros(20), a=np.full(8, 1000))
    audio = render_scene(_plan([_event("a", 2, 8)], n=20, fade_samples=4), bank)
    np.testing.assert_array_equal(audio[2:6], [125, 375, 625, 875])
    np.testing.assert_array_equal(audio[6:10], [875, 625, 375, 125])
    assert not audio[:2].any() and not audio[10:].any()


def test_a_long_background_is_a_plain_window() -> None:
    ramp = np.arange(5000)
    audio = render_scene(_plan(n=1000, offset=3210), FixedBank(b=ramp))
    np.testing.assert_array_equal(audio, ramp[3210:4210])


def test_a_short_background_wraps_with_equal_power() -> None:
    rng = np.random.default_rng(0)
    noise = np.rint(rng.standard_normal(4000) * 3000)
    plan = _plan(n=40_000, offset=123, crossfade_samples=800)
    audio = render_scene(plan, FixedBank(b=noise)).astype(float)
    period = 4000 - 800
    np.testing.assert_array_equal(audio[:period], audio[period : 2 * period])
    seam = audio[period - 123 : period - 123 + 800]
    assert np.sqrt(np.mean(seam**2)) == pytest.approx(3000, rel=0.15)


def test_another_bank_is_refused() -> None:
    bank = FixedBank(b=np.zeros(1000), a=np.zeros(99))
    with pytest.raises(DatasetError, match="the 100 samples of the plan"):
        render_scene(_plan([_event("a", 0, 100)]), bank)


def test_each_clip_is_read_once_and_never_written_to() -> None:
    bank = MemoryBank(CLIPS)
    planner = ScenePlanner(recipe(), CLIPS, "train")
    plan = planner.plan(3)
    render_scene(plan, bank)
    assert bank.num_reads == 1 + len(plan.events)


@settings(max_examples=30, deadline=None)
@given(index=st.integers(0, 10**6), seed=st.integers(0, 2**40))
def test_planned_scenes_never_clip_and_repeat_exactly(index: int, seed: int) -> None:
    wanted = recipe(seed=seed, scene={"effects": {"speed": [0.8, 1.25]}, "level_dbfs": [-6, 0]})
    bank = MemoryBank(CLIPS)
    plan = ScenePlanner(wanted, CLIPS, "train").plan(index)
    audio = render_scene(plan, bank)
    assert len(audio) == plan.num_samples
    assert np.abs(audio.astype(int)).max() < 32767
    np.testing.assert_array_equal(audio, render_scene(plan, bank))
    quiet = render_scene(replace(plan, events=()), bank)
    for event in plan.events:
        span = slice(event.onset_samples, event.offset_samples)
        assert (audio[span] != quiet[span]).any()
        quiet[span] = audio[span]
    np.testing.assert_array_equal(audio, quiet)
