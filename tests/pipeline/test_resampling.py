"""Resampling and convolution: scipy's slower ones as oracles, at every length and ratio."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from pipeline.effects.convolution import convolve
from pipeline.effects.resampling import _low_pass, resample


def _noise(n: int, seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(n) * 3000).astype(np.float32)


@settings(deadline=None, max_examples=60)
@given(
    n=st.integers(1, 3000),
    up=st.integers(1, 220),
    down=st.integers(1, 220),
    seed=st.integers(0, 99),
)
def test_resampling_is_scipys_polyphase_filter(n: int, up: int, down: int, seed: int) -> None:
    x, length = _noise(n, seed), -(-n * up // down)
    common = np.gcd(up, down)
    taps = _low_pass(up // common, down // common)
    whole = signal.upfirdn(taps.astype(float), x.astype(float), up // common, down // common)
    first = (len(taps) - 1) // 2 // (down // common)
    expected = np.pad(whole, (0, length))[first : first + length]
    ours = resample(x, up, down, length)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, expected, atol=0.02)


@settings(deadline=None, max_examples=60)
@given(n=st.integers(1, 9000), m=st.integers(1, 5000), seed=st.integers(0, 99))
def test_convolution_at_any_lengths(n: int, m: int, seed: int) -> None:
    x, response = _noise(n, seed), _noise(m, seed + 1) / np.float32(3000)
    expected = signal.fftconvolve(x.astype(float), response.astype(float))
    ours = convolve(x, response)
    assert (ours.dtype, ours.shape) == (np.float32, expected.shape)
    np.testing.assert_allclose(ours, expected, atol=2e-6 * np.abs(expected).max() + 1e-6)


def test_a_long_sound_is_convolved_in_blocks() -> None:
    x, response = _noise(200_000, 0), _noise(255, 1)
    expected = signal.oaconvolve(x.astype(float), response.astype(float))
    np.testing.assert_allclose(convolve(x, response), expected, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize("length", [1, 10, 1000])
def test_beyond_the_end_is_silence(length: int) -> None:
    out = resample(np.ones(5, np.float32), 1, 1, length)
    np.testing.assert_allclose(out[5:], 0, atol=1e-6)
