"""Rooms: the reverberation that was asked for, direct sound first, the same bytes each time."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.rooms import Room, draw_room, generate_rooms, impulse_response

SIZE = np.array([6.0, 5.0, 3.0])
TALKER = np.array([2.0, 2.0, 1.5])


def _room(t60_s: float, distance_m: float = 1.5) -> Room:
    return Room(SIZE, TALKER, TALKER + np.array([distance_m, 0.0, 0.0]), t60_s)


def _measured_t60(h: np.ndarray, rate: int) -> float:
    """Schroeder: the slope of the energy that is still to come, from −5 to −25 dB."""
    left = 10 * np.log10(np.cumsum(h[::-1] ** 2)[::-1] / np.sum(h**2))
    inside = np.flatnonzero((left < -5) & (left > -25))
    slope = np.polyfit(inside / rate, left[inside], 1)[0]
    return -60 / slope


@pytest.mark.parametrize("t60_s", [0.2, 0.4, 0.8])
@pytest.mark.parametrize("rate", [16000, 44100])
def test_sound_dies_away_as_fast_as_asked(t60_s: float, rate: int) -> None:
    h = impulse_response(_room(t60_s), rate, np.random.default_rng(0))
    assert _measured_t60(h, rate) == pytest.approx(t60_s, rel=0.25)


def test_the_direct_sound_is_the_highest_and_comes_first() -> None:
    h = impulse_response(_room(0.4), 16000, np.random.default_rng(0))
    assert np.abs(h).max() == 1.0
    assert 10 <= np.argmax(np.abs(h)) <= 20, "after half a filter, before any reflection"


def test_the_first_reflections_are_where_geometry_puts_them() -> None:
    """The floor: its image lies 1.5 m below it."""
    room = _room(0.8, 1.5)
    rate = 48_000
    h = impulse_response(room, rate, np.random.default_rng(0))
    direct = np.argmax(np.abs(h))
    path = np.hypot(1.5, 2 * 1.5)
    at = direct + (path - 1.5) / 343 * rate
    window = slice(int(at) - 3, int(at) + 5)
    around = np.abs(h[int(at) - 60 : int(at) - 8]).max()
    assert np.abs(h[window]).max() > 3 * around


def test_farther_away_there_is_more_room_in_it() -> None:
    shares = []
    for distance_m in (0.4, 1.2, 3.0):
        h = impulse_response(_room(0.4, distance_m), 16000, np.random.default_rng(0))
        direct = np.argmax(np.abs(h))
        shares.append(np.sum(h[direct + 40 :] ** 2) / np.sum(h**2))
    assert shares == sorted(shares)
    assert shares[0] < 0.5 < shares[2]


def test_rooms_are_named_repeatable_and_kept(tmp_path) -> None:
    how = {"count": 4, "seed": 3, "sample_rate_hz": 16000}
    assert generate_rooms(tmp_path / "a", **how) == 4
    assert generate_rooms(tmp_path / "a", **how) == 0
    assert generate_rooms(tmp_path / "b", **how) == 4
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
    for seed in range(50):
        room = draw_room(np.random.default_rng(seed))
        assert (room.talker_m >= 0.5).all() and (room.talker_m <= room.size_m - 0.5).all()
        assert 0.15 <= room.t60_s <= 0.9
