"""Impulse responses of rooms that don't exist: image sources first, a decaying noise after.

A shoebox of drawn size and reverberation time; a talker and a microphone in it, each at least half
a metre from the walls. Up to 80 ms every image of the talker in the six walls is summed, with a
windowed sinc for its fractional delay; each reflection loses √(1 − α), α from Eyring's formula,
T60 = 0.161 V / (−S ln(1 − α)). From there on the response is noise that falls by 60 dB in T60,
begun at the level that the images have in their last 20 ms: so late, echoes are too dense to tell
apart.

Sources: Allen and Berkley, "Image method for efficiently simulating small-room acoustics", JASA
65(4), 1979; Eyring, "Reverberation time in dead rooms", JASA 1, 1930.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.wav_file import write_wav

FloatArray = npt.NDArray[np.float64]
_SPEED_OF_SOUND = 343.0
_SMALLEST_M, _LARGEST_M = np.array([3.0, 2.5, 2.3]), np.array([10.0, 8.0, 4.0])
_T60_S = (0.15, 0.9)
_WALL_M = 0.5
_EARLY_S, _JOIN_S = 0.080, 0.020
_HALF_TAPS = 16


@dataclass(frozen=True)
class Room:
    """A room with a talker and a microphone.

    Attributes:
        size_m, talker_m, microphone_m: (3,) each.
        t60_s: time in which sound falls by 60 dB.
    """

    size_m: FloatArray
    talker_m: FloatArray
    microphone_m: FloatArray
    t60_s: float

    @property
    def distance_m(self) -> float:
        """From the talker to the microphone."""
        return float(np.linalg.norm(self.talker_m - self.microphone_m))


def draw_room(rng: np.random.Generator) -> Room:
    """Draw a room; sizes, places and the logarithm of T60 are uniform."""
    size = rng.uniform(_SMALLEST_M, _LARGEST_M)
    low, high = np.full(3, _WALL_M), size - _WALL_M
    t60 = float(np.exp(rng.uniform(*np.log(_T60_S))))
    return Room(size, rng.uniform(low, high), rng.uniform(low, high), t60)


def impulse_response(room: Room, sample_rate_hz: int, rng: np.random.Generator) -> FloatArray:
    """Return the response from the talker to the microphone, its highest peak 1.

    Args:
        room: the room.
        sample_rate_hz: of the response.
        rng: for the late noise.

    Returns:
        (num_samples,) float64, T60 long and at least 100 ms.
    """
    length = round(max(room.t60_s, _EARLY_S + _JOIN_S) * sample_rate_hz)
    early = _images(room, sample_rate_hz, length)
    join = round(_EARLY_S * sample_rate_hz)
    late_s = np.arange(length - join) / sample_rate_hz
    noise = rng.standard_normal(length - join) * 10.0 ** (-3.0 * late_s / room.t60_s)
    before = early[join - round(_JOIN_S * sample_rate_hz) : join]
    decay = 10.0 ** (-3.0 * (_JOIN_S / 2) / room.t60_s)
    early[join:] = noise * np.sqrt(np.mean(before**2)) * decay
    return np.asarray(early / np.abs(early).max())


def generate_rooms(
    out: Path,
    *,
    count: int,
    seed: int,
    sample_rate_hz: int,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Write `room-NNN__T60__distance.wav` files into `out`; those that are there are kept.

    Returns:
        How many were made.
    """
    out.mkdir(parents=True, exist_ok=True)
    made = 0
    for number in range(count):
        rng = np.random.Generator(
            np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(number,)))
        )
        room = draw_room(rng)
        name = f"room-{number:03d}__{1000 * room.t60_s:.0f}ms__{room.distance_m:.1f}m.wav"
        path = out / name
        if not path.exists():
            response = impulse_response(room, sample_rate_hz, rng)
            write_wav(path, 0.9 * response, sample_rate_hz)
            made += 1
        if progress is not None:
            progress(number + 1, count)
    return made


def _images(room: Room, rate: int, length: int) -> FloatArray:
    volume = float(np.prod(room.size_m))
    x, y, z = room.size_m
    surface = 2.0 * (x * y + y * z + x * z)
    loss = np.exp(-0.161 * volume / (surface * room.t60_s) / 2.0)  # √(1 − α) at each reflection
    reach = _SPEED_OF_SOUND * (_EARLY_S + _JOIN_S)
    axes = []
    for size, talker, microphone in zip(room.size_m, room.talker_m, room.microphone_m, strict=True):
        n = np.arange(-int(reach / (2 * size)) - 1, int(reach / (2 * size)) + 2)
        mirrored = [(2 * n * size + talker, 2 * np.abs(n)), (2 * n * size - talker, abs(2 * n - 1))]
        places = np.concatenate([place for place, _ in mirrored]) - microphone
        axes.append((places, np.concatenate([bounces for _, bounces in mirrored])))
    grids = [np.meshgrid(*(axis[i] for axis in axes), indexing="ij") for i in (0, 1)]
    distance = np.sqrt(np.sum(np.square(grids[0]), axis=0)).ravel()
    bounces = np.sum(grids[1], axis=0).ravel()
    near = distance < reach
    delay = distance[near] / _SPEED_OF_SOUND * rate
    gain = loss ** bounces[near] / np.maximum(distance[near], 0.1)
    whole = np.floor(delay).astype(np.int64)
    out = np.zeros(length + 2 * _HALF_TAPS + round((_EARLY_S + _JOIN_S) * rate) + 1)
    for tap in range(-_HALF_TAPS + 1, _HALF_TAPS + 1):
        t = tap - (delay - whole)
        window = 0.5 + 0.5 * np.cos(np.pi * t / _HALF_TAPS)
        np.add.at(out, whole + tap + _HALF_TAPS, gain * np.sinc(t) * window)
    first = int(round(room.distance_m / _SPEED_OF_SOUND * rate)) + _HALF_TAPS
    start = max(0, first - _HALF_TAPS)
    return out[start : start + length]
