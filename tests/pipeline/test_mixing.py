"""The compiled loops: each equal to its numpy formula, for any length and both sample types."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import signal

from pipeline import exact_floor, mixing
from pipeline.biquads import filter_biquads
from pipeline.effects import filters

PCM = arrays.arrays(np.int16, st.integers(0, 700), elements=st.integers(-32768, 32767))
COUNTS = st.floats(-40_000, 40_000, width=32)
FLOATS = arrays.arrays(np.float32, st.integers(0, 700), elements=COUNTS)
GAINS = st.floats(0, 4, width=32).map(np.float32)


@settings(deadline=None)
@given(x=st.one_of(PCM, FLOATS), gain=GAINS)
def test_scale_and_add_are_single_float32_operations(x: np.ndarray, gain: np.float32) -> None:
    expected = x.astype(np.float32) * gain
    out = np.full(len(x), np.nan, dtype=np.float32)
    mixing.scale(x, gain, out)
    np.testing.assert_array_equal(out, expected)
    mixing.add_scaled(x, gain, out)
    np.testing.assert_array_equal(out, expected + expected)


@settings(deadline=None)
@given(x=FLOATS)
def test_peak_and_rounding(x: np.ndarray) -> None:
    assert mixing.peak(x) == np.abs(x).max(initial=0.0)
    out = np.empty(len(x), dtype=np.int16)
    gain = np.float32(0.8)
    mixing.round_scaled(x, gain, out)
    np.testing.assert_array_equal(out, np.rint(x * gain).astype(np.int16))


def test_halves_are_rounded_to_even() -> None:
    out = np.empty(4, dtype=np.int16)
    mixing.round_scaled(np.array([0.5, 1.5, -0.5, 2.5], np.float32), np.float32(1.0), out)
    np.testing.assert_array_equal(out, [0, 2, 0, 2])


@settings(deadline=None)
@given(x=PCM)
def test_energy_of_integers_is_exact(x: np.ndarray) -> None:
    exact = sum(int(value) ** 2 for value in x)
    assert mixing.integer_energy(x) == exact
    assert mixing.energy(x) == exact, "below 2^53 a float64 sum of integers is exact too"


@settings(deadline=None)
@given(x=FLOATS)
def test_energy_of_floats(x: np.ndarray) -> None:
    assert mixing.energy(x) == pytest.approx(float(np.square(x, dtype=np.float64).sum()), rel=1e-12)


@settings(deadline=None)
@given(x=PCM, factor=st.floats(0, 4) | st.floats(0, 1e12))
def test_floor_and_saturation(x: np.ndarray, factor: float) -> None:
    out = np.empty(len(x), dtype=np.int16)
    mixing.floor_scaled(x, factor, out)
    wide = np.floor(np.clip(x.astype(np.float64) * factor, -32768, 32767))
    np.testing.assert_array_equal(out, wide.astype(np.int16))
    mixing.add_saturating(x, out)
    summed = np.clip(wide + x, -32768, 32767)
    np.testing.assert_array_equal(out, summed.astype(np.int16))


ALL = np.arange(-32768, 32768).astype(np.int16)
FACTORS = (
    0.0,
    0.1,
    0.25,
    1 / 3,
    0.5,
    1 - 2**-53,
    1.0,
    1 + 2**-52,
    1.7,
    2.0,
    7 / 3,
    10.0,
    32767.0,
    1e300,
)


@settings(max_examples=300)
@given(
    factor=st.sampled_from(FACTORS) | st.floats(0, 2) | st.floats(0, 40_000),
    peak=st.integers(0, 32768),
)
def test_floors_by_parts_are_those_of_doubles(factor: float, peak: int) -> None:
    x = np.resize(ALL[np.abs(ALL.astype(int)) <= peak], exact_floor._LONG)
    expected, out = np.empty_like(x), np.empty_like(x)
    mixing.floor_scaled(x, factor, expected)
    exact_floor.floor_product(x, factor, out)
    np.testing.assert_array_equal(out, expected)


def test_a_factor_whose_products_come_close_to_integers_is_left_to_doubles() -> None:
    close = (1234.0 + 2.0**-27) / 20_001
    assert not exact_floor._clear(close)
    assert exact_floor._clear(0.1), "tenths are integers in doubles or far from them"
    x = np.resize(ALL, exact_floor._LONG)
    expected, out = np.empty_like(x), np.empty_like(x)
    mixing.floor_scaled(x, close, expected)
    exact_floor.floor_product(x, close, out)
    np.testing.assert_array_equal(out, expected)


@settings(deadline=None)
@given(x=FLOATS, cutoff_hz=st.integers(60, 7000), kind=st.sampled_from(["lowpass", "highpass"]))
def test_biquads_are_scipys(x: np.ndarray, cutoff_hz: int, kind: str) -> None:
    sections = filters._butterworth(16_000, cutoff_hz, kind)
    ours = filter_biquads(x, sections)
    assert ours.dtype == np.float32
    expected = signal.sosfilt(sections, x.astype(np.float64)) if len(x) else x
    np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-3)
