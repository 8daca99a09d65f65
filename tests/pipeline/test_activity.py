"""Active regions at known places, levels by formula, refusals by reason."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.activity import active_level_dbfs, find_active
from schemas.errors import AudioError
from tests.audio_factory import burst


@settings(max_examples=40, deadline=None)
@given(st.floats(0, 2), st.floats(0.08, 1.5), st.floats(0, 2), st.floats(0.02, 0.9))
def test_the_burst_is_found(before_s, sound_s, after_s, level) -> None:
    x = burst(before_s=before_s, sound_s=sound_s, after_s=after_s, level=level)
    region = find_active(x.astype(np.float32), 16000)
    start, stop = round(before_s * 16000), round(before_s * 16000) + round(sound_s * 16000)
    assert max(0, start - 800) <= region.start <= start
    assert stop <= region.stop <= min(len(x), stop + 800) or region.stop == len(x)


def test_clicks_are_not_sound_and_pauses_stay_in() -> None:
    x = np.concatenate([burst(after_s=0.0), burst(before_s=0.25)]).astype(np.float32)
    alone = find_active(x, 16000)
    assert (alone.stop - alone.start) / 16000 == pytest.approx(0.5 + 0.25 + 0.5 + 0.06, abs=0.03)
    x[100:200] = 0.5
    assert find_active(x, 16000) == alone


def test_a_stray_sound_far_from_the_word_is_left_out() -> None:
    word = burst(before_s=0.6, sound_s=0.4, after_s=0.6)
    mouse = burst(before_s=0.0, sound_s=0.06, after_s=0.0)
    for x in (np.concatenate([mouse, word]), np.concatenate([word, mouse])):
        region = find_active(x.astype(np.float32), 16000)
        assert (region.stop - region.start) / 16000 == pytest.approx(0.46, abs=0.03)
    alone = np.concatenate([mouse, np.zeros(16000), mouse]).astype(np.float32)
    assert find_active(alone, 16000).stop > 17000, "short sounds alone are what there is"


def test_hiss_that_rises_after_the_word_is_not_sound() -> None:
    """A recorder that adapts its gain: 45 dB below the word before it, 22 dB after."""
    word = burst(before_s=0.8, sound_s=0.5, after_s=1.5, level=0.3)
    hiss = np.random.default_rng(0).normal(0.0, 1.0, len(word))
    hiss *= np.where(np.arange(len(word)) < 1.3 * 16000, 0.0012, 0.017)
    region = find_active((word + hiss).astype(np.float32), 16000)
    assert region.start / 16000 == pytest.approx(0.8, abs=0.05)
    assert region.stop / 16000 == pytest.approx(1.3, abs=0.05)


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
def test_a_word_is_found_over_hum_and_rumble_louder_than_itself(rate: int) -> None:
    """Hum of 60 Hz 6 dB over the word, on an offset; its end is where the word's is."""
    n = np.arange(2 * rate)
    word = 0.05 * np.sin(2 * np.pi * 440 * n / rate) * ((n >= 0.8 * rate) & (n < 1.3 * rate))
    x = word + 0.1 * np.sin(2 * np.pi * 60 * n / rate) + 0.05
    region = find_active(x.astype(np.float32), rate)
    assert region.start / rate == pytest.approx(0.8, abs=0.05)
    assert region.stop / rate == pytest.approx(1.3, abs=0.05)


def test_level_is_that_of_the_sound_not_of_the_file() -> None:
    for before_s in (0.0, 3.0):
        x = burst(before_s=before_s, level=0.1).astype(np.float32)
        assert active_level_dbfs(x, 16000) == pytest.approx(20 * np.log10(0.1 / 2**0.5), abs=0.3)


@pytest.mark.parametrize(
    ("x", "says"),
    [
        (np.zeros(16000), "silent"),
        (np.full(16000, 1e-5), "silent"),
        (np.zeros(0), "silent"),
        (burst(before_s=0.0, sound_s=0.02, after_s=0.0), "too short"),
        (burst(before_s=0.5, sound_s=0.02, after_s=0.5), "too short"),
    ],
)
def test_nothing_to_hear_is_refused(x, says) -> None:
    with pytest.raises(AudioError, match=says):
        find_active(x.astype(np.float32), 16000)
