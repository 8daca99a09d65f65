"""Faults of takes and doubles: each is found where it was put, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from pipeline.activity import find_active
from pipeline.effects import TABLE, Setting
from pipeline.quality import faults, fingerprint, measure, near_doubles
from schemas.errors import AudioError
from tests.audio_factory import burst


def _speechlike(seed: int, seconds: float = 0.8, noise: float = 0.0005) -> np.ndarray:
    """A melody of vowels that fades in and out, between silences."""
    rng = np.random.default_rng(seed)
    n = int(seconds * 16000)
    pitch = 120 + 60 * np.interp(np.arange(n), np.linspace(0, n, 6), rng.uniform(0, 1, 6))
    x = signal.sawtooth(2 * np.pi * np.cumsum(pitch) / 16000)
    for _ in range(2):
        x = signal.lfilter([1], [1, -1.8 * np.cos(rng.uniform(0.2, 1.2)), 0.85], x)
    x *= np.interp(np.arange(n), np.linspace(0, n, 9), rng.uniform(0.1, 1, 9)) / np.abs(x).max()
    x *= np.minimum(1, np.minimum(np.arange(n), np.arange(n)[::-1]) / 2400) ** 2
    whole = np.concatenate([np.zeros(4000), 0.5 * x, np.zeros(4000)])
    return (whole + noise * rng.standard_normal(len(whole))).astype(np.float32)


def test_a_good_take_has_no_fault_and_its_level_and_noise_are_measured() -> None:
    takes = [_speechlike(i) for i in range(9)]
    measured = [measure(take, 16000) for take in takes]
    assert faults(measured) == [[]] * 9
    loud = measure(burst(level=0.5, noise=0.005).astype(np.float32), 16000)
    assert loud.level_dbfs == pytest.approx(20 * np.log10(0.5 / 2**0.5), abs=0.2)
    assert loud.snr_db == pytest.approx(20 * np.log10(0.5 / 2**0.5 / 0.005), abs=1.5)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda x: np.clip(x * 40, -1, 1), "clipped"),
        (lambda x: x + 0.2 * np.random.default_rng(0).standard_normal(len(x)), "noisy"),
        (lambda x: x * 0.012, "quiet"),
        (lambda x: x[8000:], "cut off at its start"),
        (lambda x: x[:-9000], "cut off at its end"),
        (lambda x: np.concatenate([x, x, x]), "s long, the others"),
    ],
)
def test_each_fault_is_named_and_only_in_its_take(spoil, says: str) -> None:
    takes = [_speechlike(i, noise=1e-5) for i in range(9)]
    takes[4] = spoil(takes[4]).astype(np.float32)
    found = faults([measure(take, 16000) for take in takes])
    assert any(says in word for word in found[4])
    assert all(not words for i, words in enumerate(found) if i != 4)


def test_silence_is_not_a_take() -> None:
    with pytest.raises(AudioError, match="silent"):
        measure(np.zeros(16000, dtype=np.float32), 16000)


def _print(x: np.ndarray) -> np.ndarray:
    region = find_active(x, 16000)
    return fingerprint(x[region.start : region.stop], 16000)


def test_the_same_recording_is_found_at_another_level_and_through_a_codec() -> None:
    takes = [_speechlike(i) for i in range(12)]
    coded = TABLE["mp3_kbps"](takes[3] * 32768, 16000, Setting(48.0, 0.0, None)) / 32768
    prints = np.stack([_print(x) for x in (*takes, 0.3 * takes[7], coded.astype(np.float32))])
    assert {(i, j) for i, j, _ in near_doubles(prints)} == {(7, 12), (3, 13)}
    assert near_doubles(prints[:12]) == []


def test_short_and_flat_sounds_have_fingerprints_too() -> None:
    for x in (np.zeros(1), np.ones(100), np.ones(16000)):
        assert np.isfinite(fingerprint(x.astype(np.float32), 16000)).all()
