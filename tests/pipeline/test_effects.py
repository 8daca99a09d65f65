"""Effects: exact lengths, the right change, harmless to silence, single samples, full scale."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from pipeline.effects import TABLE, Setting, apply_effects, change_speed
from pipeline.effects.distortion import mu_law
from pipeline.effects.filters import _butterworth
from schemas.effects import EFFECTS, AppliedEffect, effected_length, scaled_length


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 3000), percent=st.integers(50, 200), level=st.sampled_from([0, 1, 32767]))
def test_any_length_and_level(n: int, percent: int, level: int) -> None:
    x = np.full(n, level, dtype=np.float32)
    y = change_speed(x, percent / 100)
    assert len(y) == scaled_length(n, percent / 100) == max(1, -(-n * 100 // percent))
    assert y.dtype == np.float32
    assert np.isfinite(y).all()
    assert np.abs(y).max() <= 2**0.5 * level, "more than plans allow for"


@pytest.mark.parametrize("speed", [0.5, 0.88, 0.99, 1.01, 1.14, 2.0])
def test_pitch_and_level(speed: float) -> None:
    x = np.sin(2 * np.pi * 500 * np.arange(16000) / 16000).astype(np.float32)
    y = change_speed(x, speed)
    spectrum = np.abs(np.fft.rfft(y * np.hanning(len(y)), 1 << 18))
    assert np.argmax(spectrum) * 16000 / (1 << 18) == pytest.approx(500 * speed, abs=0.5)
    inner = y[400:-400]
    assert np.sqrt(np.mean(inner**2)) == pytest.approx(np.sqrt(0.5), rel=2e-3)


@pytest.mark.parametrize("speed", [0.5, 0.9, 1.1, 2.0])
def test_aligned_with_scipy_to_the_sample(speed: float) -> None:
    rng = np.random.default_rng(0)
    x = signal.lfilter([0.1], [1, -0.9], rng.standard_normal(4000)).astype(np.float32)
    ours = change_speed(x, speed)
    theirs = signal.resample_poly(x, 100, round(100 * speed))[: len(ours)]
    inner = slice(300, len(ours) - 300)
    error = ours[inner] - theirs[inner]
    assert np.sqrt(np.mean(error**2)) < 0.02 * np.sqrt(np.mean(theirs[inner] ** 2))


def test_normal_speed_is_untouched() -> None:
    x = np.arange(10, dtype=np.float32)
    assert change_speed(x, 1.0) is x


ROOM = np.r_[1.0, 0.3 * np.random.default_rng(0).standard_normal(500)].astype(np.float32)
QUICK = [name for name in EFFECTS if not name.endswith("kbps")]


def _setting(name: str, share: float, place: float = 0.3) -> Setting:
    effect = EFFECTS[name]
    return Setting(effect.draw(effect.low, effect.high, share), place, ROOM)


def test_both_tables_have_the_same_effects_in_the_same_order() -> None:
    assert list(TABLE) == list(EFFECTS)


@settings(max_examples=300, deadline=None)
@given(
    name=st.sampled_from(QUICK),
    n=st.integers(1, 3000),
    kind=st.sampled_from(["silence", "full", "square", "noise"]),
    rate=st.sampled_from([8000, 16000, 44100]),
    share=st.floats(0, 0.999999),
    place=st.floats(0, 0.999999),
)
def test_every_effect_survives_any_length_and_level(name, n, kind, rate, share, place) -> None:
    x = {
        "silence": np.zeros(n),
        "full": np.full(n, -32768.0),
        "square": 32767.0 * (-1.0) ** np.arange(n),
        "noise": np.random.default_rng(n).uniform(-32768, 32767, n),
    }[kind].astype(np.float32)
    before = x.copy()
    setting = _setting(name, share, place)
    y = TABLE[name](x, rate, setting)
    applied = (AppliedEffect(name, setting.value, place),)
    tail = len(ROOM) - 1 if name == "room" else 0
    assert len(y) == effected_length(n, applied) + tail
    assert y.dtype == np.float32
    assert np.isfinite(y).all()
    assert np.abs(y).max() < 40 * 32768
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(TABLE[name](x, rate, setting), y)
    if kind == "silence" and name != "dc":
        assert np.abs(y).max() == 0.0


@pytest.mark.parametrize("name", ["mp3_kbps", "opus_kbps"])
@pytest.mark.parametrize("n", [1, 999, 16000])
def test_codecs_keep_length_and_sound(name: str, n: int) -> None:
    x = (8000 * np.sin(2 * np.pi * 700 * np.arange(n) / 16000)).astype(np.float32)
    y = TABLE[name](x, 16000, Setting(32.0, 0.0, None))
    assert len(y) == n
    np.testing.assert_array_equal(TABLE[name](x, 16000, Setting(32.0, 0.0, None)), y)
    if n == 16000:
        inner = slice(2000, -2000)
        assert np.corrcoef(x[inner], y[inner])[0, 1] > 0.95, "aligned, and the same sound"


def _loudness_at(y: np.ndarray, hz: float, rate: int) -> float:
    """Level of a tone in dB; other tones may sound too."""
    inner = y[2000:-2000].astype(float)
    wave = np.exp(-2j * np.pi * hz * np.arange(len(inner)) / rate) * np.hanning(len(inner))
    return 20 * np.log10(2 * abs(inner @ wave) / np.hanning(len(inner)).sum() + 1e-9)


@pytest.mark.parametrize(
    ("name", "value", "place", "gains"),
    [
        ("low_pass_hz", 1000, 0, {200: 0, 1000: -3, 2000: -24, 4000: -50}),
        ("high_pass_hz", 1000, 0, {250: -48, 1000: -3, 4000: 0}),
        ("tilt_db_per_octave", -3.0, 0, {500: 3, 1000: 0, 2000: -3, 4000: -6}),
        ("tilt_db_per_octave", 3.0, 0, {500: -3, 1000: 0, 2000: 3, 4000: 6}),
        ("resonance_db", 12.0, 0.5, {980: 12, 200: 0, 6000: 0}),
        ("telephone_hz", 3400, 0, {100: -35, 1000: 0, 6000: -60}),
        ("pitch_semitones", 0.0, 0, {500: 0}),
    ],
)
def test_filters_do_what_their_numbers_say(name, value, place, gains) -> None:
    for hz, gain_db in gains.items():
        x = (6000 * np.sin(2 * np.pi * hz * np.arange(32000) / 16000)).astype(np.float32)
        y = TABLE[name](x, 16000, Setting(value, place, None))
        got = _loudness_at(y, hz, 16000) - _loudness_at(x, hz, 16000)
        if gain_db <= -24:
            assert got < gain_db + 8
        else:
            assert got == pytest.approx(gain_db, abs=0.8)


@pytest.mark.parametrize("tempo", [0.7, 0.9, 1.2, 1.6])
def test_tempo_keeps_the_pitch_and_pitch_the_tempo(tempo: float) -> None:
    x = (6000 * signal.sawtooth(2 * np.pi * 180 * np.arange(32000) / 16000)).astype(np.float32)

    def pitch(y: np.ndarray) -> float:
        spectrum = np.abs(np.fft.rfft(y[3000:11000] * np.hanning(8000)))
        return 2.0 * np.argmax(spectrum)  # a sawtooth is strongest at its pitch

    y = TABLE["tempo"](x, 16000, Setting(tempo, 0, None))
    assert pitch(y) == pytest.approx(180, rel=0.03)
    level = np.sqrt(np.mean(y[2000:-2000] ** 2)) / np.sqrt(np.mean(x[2000:-2000] ** 2))
    assert level == pytest.approx(1.0, abs=0.1)
    z = TABLE["pitch_semitones"](x, 16000, Setting(12 * np.log2(tempo), 0, None))
    assert len(z) == len(x)
    assert pitch(z) == pytest.approx(180 * tempo, rel=0.03)


def test_mu_law_is_g711() -> None:
    """Every 16-bit value goes to the nearest of the 255 levels, at most half a step away."""
    x = np.arange(-32768, 32768).astype(np.float32)
    y = mu_law(x)
    assert len(np.unique(y)) == 255
    assert {0.0, 8.0, -8.0, 32124.0, -32124.0} <= set(np.unique(y).tolist())
    inside = np.abs(x) <= 32124
    assert (np.abs(y - x)[inside] <= np.maximum(4, np.abs(x[inside]) / 16 / 2 + 4.2)).all()


def test_soft_clipping_keeps_the_peak_and_raises_the_rest() -> None:
    x = np.linspace(-10_000, 10_000, 1001).astype(np.float32)
    for drive_db in (0.0, 12.0, 36.0):
        y = TABLE["soft_clip_db"](x, 16000, Setting(drive_db, 0, None))
        assert np.abs(y).max() == pytest.approx(10_000, rel=1e-4)
        assert (np.abs(y) >= np.abs(x) * 0.9999).all()
        assert (np.diff(y) >= 0).all()


def test_dropouts_are_where_and_as_long_as_said() -> None:
    x = np.ones(16000, dtype=np.float32)
    y = TABLE["dropout_s"](x, 16000, Setting(0.1, 0.5, None))
    assert (np.flatnonzero(y == 0) == np.arange(8000, 9600)).all()


def test_effects_follow_each_other_in_the_order_of_the_plan() -> None:
    x = np.random.default_rng(0).standard_normal(4000).astype(np.float32) * 1000
    chain = (AppliedEffect("speed", 1.1), AppliedEffect("room", 0.5, 0.0, "r"))
    y = apply_effects(x, 16000, chain, lambda source: {"r": ROOM}[source])
    by_hand = TABLE["room"](change_speed(x, 1.1), 16000, Setting(0.5, 0, ROOM))
    np.testing.assert_array_equal(y, by_hand)


def test_settings_go_through_json() -> None:
    for name in EFFECTS:
        setting = _setting(name, 0.4)
        needs = EFFECTS[name]
        source = "room/x/y.wav" if needs.needs_room else ""
        applied = AppliedEffect(name, setting.value, 0.25 if needs.placed else 0.0, source)
        assert AppliedEffect.from_json(applied.to_json()) == applied
    with pytest.raises(ValueError, match="isn't known"):
        AppliedEffect.from_json(["frobnicate", 1.0])


@pytest.mark.parametrize("kind", ["lowpass", "highpass"])
@pytest.mark.parametrize(
    ("rate", "cutoff"), [(16000, 60), (16000, 3400), (44100, 300), (8000, 3600)]
)
def test_filters_are_scipys_butterworths(kind: str, rate: int, cutoff: float) -> None:
    ours = signal.sosfreqz(_butterworth(rate, cutoff, kind), 512)[1]
    theirs = signal.sosfreqz(signal.butter(4, cutoff, kind, fs=rate, output="sos"), 512)[1]
    np.testing.assert_allclose(ours, theirs, atol=2e-4)
