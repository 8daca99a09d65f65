"""Speed: exact lengths, right pitch, aligned, harmless to silence and single samples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from pipeline.effects import change_speed
from schemas.effects import scaled_length


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
