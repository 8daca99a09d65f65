"""Where the sound is in a take, and how loud it is there.

Frames of 10 ms. A frame is active if its power reaches

    max(peak − 30 dB, min(floor + 10 dB, peak − 10 dB))

where `peak` is the power of the loudest frame and `floor` the 10th percentile of all frames: the
floor keeps hiss out, and its bound keeps a steady sound in. Runs of active frames shorter than
30 ms are clicks and don't count. The region goes from the first to the last active frame (pauses
inside a phrase stay in), widened by 30 ms at both ends.

The active level is the RMS over frames within 30 dB of the loudest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.mixing import energy
from schemas.errors import AudioError

FloatArray = npt.NDArray[np.float32]

SETTINGS_VERSION = 1
"""Part of a clip bank's digest: raise it when the region found for a take can change."""

FRAME_S = 0.010
_PAD_S = 0.030
_CLICK_S = 0.030
_SHORTEST_S = 0.050
_RANGE_DB = 30.0
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
    power_db = frame_power_db(x, frame)
    peak = float(power_db.max(initial=-np.inf))
    if peak < _SILENCE_DBFS:
        raise AudioError(f"silent: the loudest 10 ms lie at {max(peak, -200.0):.0f} dBFS")
    floor = float(np.percentile(np.maximum(power_db, -200.0), 10))
    threshold = max(peak - _RANGE_DB, min(floor + 10.0, peak - 10.0))
    active = _without_clicks(power_db >= threshold, round(_CLICK_S / FRAME_S))
    frames = np.flatnonzero(active)
    length = (frames[-1] - frames[0] + 1) * frame if frames.size else 0
    length = min(length, len(x))
    if length < _SHORTEST_S * sample_rate_hz:
        raise AudioError(f"too short: {1000 * length / sample_rate_hz:.0f} ms of sound")
    pad = round(_PAD_S * sample_rate_hz)
    start = max(0, int(frames[0]) * frame - pad)
    return ActiveRegion(start, min(len(x), (int(frames[-1]) + 1) * frame + pad))


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
    power = energy(x) / len(x) if len(x) else 0.0
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


def _without_clicks(active: npt.NDArray[np.bool_], shortest: int) -> npt.NDArray[np.bool_]:
    """Clear runs of fewer than `shortest` True values, unless nothing would be left."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], active.astype(np.int8), [0]))))
    starts, stops = edges[::2], edges[1::2]
    keep = stops - starts >= shortest
    if not keep.any():
        return active
    out = np.zeros_like(active)
    for start, stop in zip(starts[keep].tolist(), stops[keep].tolist(), strict=True):
        out[start:stop] = True
    return out
