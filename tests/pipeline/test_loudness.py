"""Loudness: the standard's coefficients and its reference tone, its gates, ffmpeg as an oracle."""

from __future__ import annotations

import math
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from pipeline.loudness import _k_weighting, integrated_lufs

RATES = (8000, 16000, 22050, 44100, 48000, 96000)


def _tone(rate: int, level_dbfs: float, seconds: float = 5.0, frequency: float = 997.0):
    t = np.arange(int(rate * seconds)) / rate
    return (10 ** (level_dbfs / 20) * np.sin(2 * np.pi * frequency * t)).astype(np.float32)


def test_at_48_khz_the_coefficients_are_the_standards() -> None:
    """Tables 1 and 2 of ITU-R BS.1770-4."""
    shelf, high_pass = _k_weighting(48_000)
    expected = [1.53512485958697, -2.69169618940638, 1.19839281085285]
    expected += [1.0, -1.69065929318241, 0.73248077421585]
    np.testing.assert_allclose(shelf, expected, atol=1e-8)
    expected = [1.0, -2.0, 1.0, 1.0, -1.99004745483398, 0.99007225036621]
    np.testing.assert_allclose(high_pass, expected, atol=1e-8)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("level_dbfs", [0.0, -23.0])
def test_a_full_scale_tone_at_1_khz_has_minus_3_01_lufs(rate: int, level_dbfs: float) -> None:
    assert integrated_lufs(_tone(rate, level_dbfs), rate) == pytest.approx(
        level_dbfs - 3.01, abs=0.06
    )


def test_silence_between_tones_is_gated_out() -> None:
    """Blocks that straddle an edge stay in: up to 0.3 s of each."""
    tone, silence = _tone(16_000, -20.0, 10.0), np.zeros(160_000, np.float32)
    alone = integrated_lufs(tone, 16_000)
    assert integrated_lufs(np.r_[tone, silence], 16_000) == pytest.approx(alone, abs=0.1)
    quiet = _tone(16_000, -45.0, 10.0)
    assert integrated_lufs(np.r_[tone, quiet], 16_000) == pytest.approx(alone, abs=0.1)


def test_silence_and_short_sounds() -> None:
    assert integrated_lufs(np.zeros(0, np.float32), 16_000) == -math.inf
    assert integrated_lufs(np.zeros(50_000, np.float32), 16_000) == -math.inf
    short = integrated_lufs(_tone(16_000, -20.0, 0.2), 16_000)
    assert short == pytest.approx(-23.01, abs=0.2)
    assert math.isfinite(integrated_lufs(np.ones(1, np.float32), 16_000))


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_equal_to_ffmpegs_meter(rate: int, tmp_path: Path) -> None:
    """It prints a tenth of a unit, and resamples to 48 kHz first."""
    import imageio_ffmpeg

    rng = np.random.default_rng(0)
    t = np.arange(rate * 12) / rate
    x = (rng.standard_normal(len(t)) * np.where(t % 3 < 1.2, 0.1, 0.004)).astype(np.float32)
    soundfile.write(tmp_path / "x.wav", x, rate, subtype="FLOAT")
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(tmp_path / "x.wav")]
    command += ["-af", "ebur128=framelog=quiet", "-f", "null", "-"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    theirs = float(re.findall(r"I:\s+(-[\d.]+) LUFS", said)[-1])
    assert integrated_lufs(x, rate) == pytest.approx(theirs, abs=0.15)


def test_near_silence_does_not_lower_the_relative_gate() -> None:
    """With the absolute gate the soft tone is out; without it, silence would let it in."""
    parts = [_tone(16_000, level, seconds) for level, seconds in ((-40, 10), (-55, 10), (-90, 60))]
    assert integrated_lufs(np.concatenate(parts), 16_000) == pytest.approx(-43.0, abs=0.3)
