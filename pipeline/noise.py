"""Generated backgrounds, for when there are no recordings of rooms and streets.

Coloured noise, mains hum, a fan, rain, an engine, and slow tones. Each file is a pure function of
(seed, kind, number, duration, rate).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import signal

from pipeline.wav_file import write_wav

Audio = npt.NDArray[np.float64]


def generate_backgrounds(
    out: Path, *, seed: int, count_per_kind: int, duration_s: float, sample_rate_hz: int
) -> int:
    """Write `<kind>-<number>.wav` files into `out`; files that exist are kept.

    Returns:
        The number of files.
    """
    out.mkdir(parents=True, exist_ok=True)
    for k, (kind, make) in enumerate(KINDS.items()):
        for number in range(count_per_kind):
            path = out / f"{kind}-{number:03d}.wav"
            if path.exists():
                continue
            address = np.random.SeedSequence(seed, spawn_key=(k, number))
            rng = np.random.Generator(np.random.PCG64(address))
            x = make(rng, round(duration_s * sample_rate_hz), sample_rate_hz)
            x *= 10 ** (rng.uniform(-35, -20) / 20) / max(1e-9, float(np.sqrt(np.mean(x**2))))
            write_wav(path, np.clip(x, -0.99, 0.99), sample_rate_hz)
    return len(KINDS) * count_per_kind


def _coloured(rng: np.random.Generator, n: int, exponent: float) -> Audio:
    """Noise with power ∝ 1/f^exponent."""
    spectrum = np.fft.rfft(rng.standard_normal(n))
    frequency = np.maximum(np.arange(len(spectrum)), 20.0)
    return np.asarray(np.fft.irfft(spectrum * frequency ** (-exponent / 2), n))


def _noise(rng: np.random.Generator, n: int, rate: int) -> Audio:
    return _coloured(rng, n, rng.uniform(0.0, 2.0))


def _hum(rng: np.random.Generator, n: int, rate: int) -> Audio:
    t = np.arange(n) / rate
    base = rng.choice([50.0, 60.0]) * rng.uniform(0.99, 1.01)
    tones = sum(
        rng.uniform(0, 1) / k * np.sin(2 * np.pi * (base * k * t + rng.uniform()))
        for k in range(1, 13)
    )
    return np.asarray(tones + 20.0 * _coloured(rng, n, 1.0))


def _fan(rng: np.random.Generator, n: int, rate: int) -> Audio:
    low = rng.uniform(80, 400)
    band = signal.butter(2, [low, low * rng.uniform(3, 12)], "band", fs=rate, output="sos")
    wobble = 1 + 0.4 * np.sin(2 * np.pi * rng.uniform(0.2, 8) * np.arange(n) / rate)
    return np.asarray(signal.sosfilt(band, rng.standard_normal(n)) * wobble)


def _rain(rng: np.random.Generator, n: int, rate: int) -> Audio:
    drops = np.zeros(n)
    places = rng.integers(0, n, int(n / rate * rng.uniform(30, 400)))
    drops[places] = rng.standard_normal(len(places)) * rng.exponential(1.0, len(places))
    ring = signal.butter(2, [800, min(6000, 0.45 * rate)], "band", fs=rate, output="sos")
    return np.asarray(signal.sosfilt(ring, drops) + 0.02 * rng.standard_normal(n))


def _engine(rng: np.random.Generator, n: int, rate: int) -> Audio:
    speed = rng.uniform(15, 60) * (
        1 + 0.1 * np.sin(2 * np.pi * rng.uniform(0.05, 0.5) * np.arange(n) / rate)
    )
    phase = np.cumsum(speed) / rate
    pulses = np.exp(-8 * (phase % 1.0)) * (1 + 0.3 * rng.standard_normal(n))
    return np.asarray(pulses - pulses.mean())


def _tones(rng: np.random.Generator, n: int, rate: int) -> Audio:
    out = np.zeros(n)
    note = max(1, int(rng.uniform(0.15, 0.6) * rate))
    for start in range(0, n, note):
        length = min(note, n - start)
        t = np.arange(length) / rate
        pitch = 110.0 * 2 ** (rng.integers(0, 36) / 12)
        shape = np.minimum(1, t * 50) * np.exp(-3 * t)
        out[start : start + length] += shape * signal.sawtooth(2 * np.pi * pitch * t)
    return np.asarray(out + 0.01 * rng.standard_normal(n))


KINDS: dict[str, Callable[[np.random.Generator, int, int], Audio]] = {
    "noise": _noise,
    "hum": _hum,
    "fan": _fan,
    "rain": _rain,
    "engine": _engine,
    "tones": _tones,
}
"""What can be generated: (rng, num_samples, sample_rate_hz) → (num_samples,) float64."""
