"""Where the sound is in a take, and how loud it is there.

Frames of 10 ms of the take without what lies below 150 Hz (hum, wind and rumble are often stronger
than a voice, and its harmonics are above), their power averaged over five. A frame is active if it
reaches

    max(peak − 30 dB, min(floor + 6 dB, peak − 10 dB))

where `peak` is the loudest frame's power: the floor keeps hiss out, and its bound keeps a steady
sound in. A recorder that adapts its gain lets the hiss rise once the speaker is done, so there is a
floor for each side of the loudest frame: the median of stretches of 0.3 s that stay within 8 dB and
lie 12 dB below the peak, or the 10th percentile of all frames where there is no such stretch.

Active runs shorter than 30 ms are clicks. Runs with 0.3 s of quiet on both sides and together less
than 100 ms long (a mouse, a breath) don't count beside a group of 160 ms and more. The region goes
from the first to the last active frame that is left (pauses inside a phrase stay in), widened by
10 ms at both ends.

The active level is the RMS over frames within 30 dB of the loudest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.effects.filters import high_pass
from pipeline.mixing import energy, integer_energy
from schemas.errors import AudioError

FloatArray = npt.NDArray[np.float32]

SETTINGS_VERSION = 3
"""Part of a clip bank's digest: raise it when the region found for a take can change."""

FRAME_S = 0.010
_PAD_S = 0.010
_RUMBLE_HZ = 150.0
_STEADY_DB = 8.0
_FAR_BELOW_DB = 12.0
# in frames
_AVERAGED = 5
_WIDER = _AVERAGED - 1  # by so many is every run of active ones wider than its sound
_STEADY = 30
_CLICK = 3 + _WIDER
_SHORTEST = 5
_APART = 30
_STRAY = 10 + _WIDER
_NO_STRAY = 16 + _WIDER

_RANGE_DB = 30.0
_OVER_FLOOR_DB = 6.0
_SILENCE_DBFS = -60.0


@dataclass(frozen=True, slots=True)
class ActiveRegion:
    """The half-open range [start, stop) of samples that hold sound."""

    start: int
    stop: int


def find_active(x: FloatArray, sample_rate_hz: int) -> ActiveRegion:
    """Find the active region of a take.

    Args:
        x: (num_samples,) float32 in ±1.
        sample_rate_hz: its rate.

    Raises:
        AudioError: silent, or less than 50 ms of sound.
    """
    frame = max(1, round(FRAME_S * sample_rate_hz))
    loudest = float(_frame_power(x, frame).max(initial=0.0))
    loudest_db = 10.0 * math.log10(max(loudest, 1e-20))
    if loudest_db < _SILENCE_DBFS:
        raise AudioError(f"silent: the loudest 10 ms lie at {loudest_db:.0f} dBFS")
    power = _frame_power(_without_rumble(x, sample_rate_hz), frame)
    level_db = _averaged_db(power)
    threshold_db = _threshold_db(level_db)
    first, last = _without_strays(_without_clicks(_runs(level_db >= threshold_db)))
    heard = np.count_nonzero(power[first:last] >= 10.0 ** (threshold_db[first:last] / 10.0))
    if heard < _SHORTEST:
        raise AudioError(f"too short: {1000 * FRAME_S * heard:.0f} ms of sound")
    pad = round(_PAD_S * sample_rate_hz)
    return ActiveRegion(max(0, first * frame - pad), min(len(x), last * frame + pad))


def active_level_dbfs(x: FloatArray, sample_rate_hz: int, *, silent: float | None = None) -> float:
    """Return the RMS over frames within 30 dB of the loudest, in dB re full scale (1.0).

    Args:
        x: (num_samples,) float32 in ±1.
        sample_rate_hz: its rate.
        silent: what to return for digital silence.

    Raises:
        AudioError: digital silence, and `silent` isn't given.
    """
    power = _frame_power(x, max(1, round(FRAME_S * sample_rate_hz)))
    peak = float(power.max(initial=0.0))
    if peak == 0.0:
        if silent is not None:
            return silent
        raise AudioError("silent: all samples are zero")
    loud = power[power >= peak * 10.0 ** (-_RANGE_DB / 10.0)]
    return 10.0 * math.log10(float(loud.mean()))


def rms_dbfs(x: FloatArray | npt.NDArray[np.int16]) -> float:
    """Return the RMS of all samples, in dB re 1; −inf for silence."""
    pcm = x.dtype == np.int16  # exact either way; integers are summed faster
    total = integer_energy(np.asarray(x, dtype=np.int16)) if pcm else energy(x)
    power = total / len(x) if len(x) else 0.0
    return 10.0 * math.log10(power) if power > 0.0 else -math.inf


def frame_power_db(x: FloatArray, frame: int) -> npt.NDArray[np.float64]:
    """Return the power of each frame of `frame` samples in dB; −inf for silence."""
    with np.errstate(divide="ignore"):
        return np.asarray(10.0 * np.log10(_frame_power(x, frame)))


def _frame_power(x: FloatArray, frame: int) -> npt.NDArray[np.float64]:
    """Mean square of each frame; the last one may be shorter."""
    starts = np.arange(0, len(x), frame)
    if not starts.size:
        return np.empty(0)
    wide = x.astype(np.float64)
    energy = np.add.reduceat(np.square(wide, out=wide), starts)
    return np.asarray(energy / np.minimum(frame, len(x) - starts))


def _without_rumble(x: FloatArray, sample_rate_hz: int) -> FloatArray:
    """High-pass of order 4, begun as if the first sample had always been there."""
    return high_pass(x - x[0], sample_rate_hz, _RUMBLE_HZ)


def _averaged_db(power: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Power averaged over the frames around each, in dB; the ends are continued."""
    if not power.size:
        return power
    around = np.pad(power, _AVERAGED // 2, mode="edge")
    total = sum(around[i : i + len(power)] for i in range(_AVERAGED))
    return np.asarray(10.0 * np.log10(np.maximum(total / _AVERAGED, 1e-20)))


def _threshold_db(level_db: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """What each frame must reach."""
    at = int(level_db.argmax())
    peak = float(level_db[at])
    level_db = np.maximum(level_db, peak - 60.0)  # digital silence is steady too
    steady = _steady(level_db) & (level_db < peak - _FAR_BELOW_DB)
    threshold = np.empty_like(level_db)
    for side in (slice(0, at), slice(at, None)):
        quiet = level_db[side][steady[side]]
        floor = np.median(quiet) if quiet.size >= _STEADY // 2 else np.percentile(level_db, 10)
        bound = min(float(floor) + _OVER_FLOOR_DB, peak - 10.0)
        threshold[side] = max(peak - _RANGE_DB, bound)
    return threshold


def _steady(level_db: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Which frames belong to a stretch whose level hardly changes."""
    if len(level_db) < _STEADY:
        return np.zeros(len(level_db), bool)
    stretch = np.lib.stride_tricks.sliding_window_view(level_db, _STEADY)
    steady = np.ptp(stretch, axis=1) <= _STEADY_DB
    return np.convolve(steady, np.ones(_STEADY)) > 0.5


def _runs(active: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """[start, stop) of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], active.astype(np.int8), [0])))).tolist()
    return list(zip(edges[::2], edges[1::2], strict=True))


def _without_clicks(runs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Drop short runs, unless nothing would be left."""
    return [run for run in runs if run[1] - run[0] >= _CLICK] or runs


def _without_strays(runs: list[tuple[int, int]]) -> tuple[int, int]:
    """First and last frame of what is left without the short groups far from all others."""
    groups = [[runs[0]]]
    for run in runs[1:]:
        if run[0] - groups[-1][-1][1] > _APART:
            groups.append([])
        groups[-1].append(run)
    active = [sum(stop - start for start, stop in group) for group in groups]
    if max(active) >= _NO_STRAY:
        groups = [group for group, frames in zip(groups, active, strict=True) if frames >= _STRAY]
    return groups[0][0][0], groups[-1][-1][1]
