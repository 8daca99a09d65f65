"""Sound files for tests: bursts of tone in silence or noise, in any container."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile


def burst(
    *, rate: int = 16000, before_s: float = 0.3, sound_s: float = 0.5, after_s: float = 0.4,
    hz: float = 600.0, level: float = 0.3, noise: float = 0.0005, seed: int = 0,
) -> np.ndarray:  # fmt: skip
    """Return (n,) float: noise with a tone burst in it."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(round((before_s + sound_s + after_s) * rate)) * noise
    start, length = round(before_s * rate), round(sound_s * rate)
    x[start : start + length] += level * np.sin(
        2 * np.pi * hz * np.arange(len(x[start : start + length])) / rate
    )
    return x


def write(path: Path, x: np.ndarray, rate: int = 16000, subtype: str = "PCM_16", **more) -> Path:
    """Write a sound file, making folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        soundfile.write(file, x, rate, subtype=subtype, format=more.pop("format", "WAV"), **more)
    return path


def material(
    folder: Path, *, keywords: int = 12, negatives: int = 12, backgrounds: int = 6
) -> None:
    """Write folders `kw` (rising chirps), `other` (falling ones) and `noise`."""
    for i in range(keywords):
        write(folder / "kw" / f"{i}.wav", _chirp(400 + 15 * i, 1600 + 15 * i, i))
    for i in range(negatives):
        write(folder / "other" / f"{i}.wav", _chirp(1600 + 15 * i, 400 + 15 * i, 100 + i))
    for i in range(backgrounds):
        x = np.random.default_rng(200 + i).standard_normal(16000 * 3) * 0.01
        write(folder / "noise" / f"{i}.wav", x)


def _chirp(low: float, high: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    n = int(16000 * rng.uniform(0.35, 0.5))
    phase = 2 * np.pi * np.cumsum(np.linspace(low, high, n)) / 16000
    x = np.concatenate([np.zeros(3000), 0.3 * np.sin(phase), np.zeros(3000)])
    return x + rng.standard_normal(len(x)) * 0.0003
