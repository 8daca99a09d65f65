"""What a take is like, before anything is made of it: level, noise, clipping, cuts, doubles.

Levels come from frames of 10 ms (activity.py). The noise floor is the 10th percentile of all
frames, so an SNR needs a take with some silence in it. A take is cut off where its first or last
30 ms are already active within 20 dB of its loudest frame: speech begins and ends softer.

Near doubles are takes that sound alike to the frame: the same recording at another level, rate or
codec. Each take gets a fingerprint, its log spectrum in 24 bands over 64 equal parts of its active
region, without its mean in each band, of length 1; the product of two fingerprints is 1 for the
same sound. On the recordings that this was tried on, different takes of one digit by one speaker
reach 0.967 at most, and a take sent through MP3 or another rate is above 0.995 in 19 of 20 cases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.activity import FRAME_S, active_level_dbfs, find_active, frame_power_db

FloatArray = npt.NDArray[np.float32]
NEAR_DOUBLE = 0.985
_EDGE_S = 0.030
_EDGE_DB = 20.0
_CLIPPED = 0.999
_BANDS, _PARTS = 24, 64
_LOWEST_HZ, _HIGHEST_HZ = 100.0, 3800.0
_WINDOW_S, _STEP_S = 0.032, 0.008
_BLOCK = 512


@dataclass(frozen=True, slots=True)
class TakeQuality:
    """What one take is like.

    Attributes:
        duration_s: of its active region.
        level_dbfs: active level.
        snr_db: active level over the noise floor.
        clipped_share: of its samples, at full scale.
        starts_cut, ends_cut: sound is there from the first or to the last moment.
    """

    duration_s: float
    level_dbfs: float
    snr_db: float
    clipped_share: float
    starts_cut: bool
    ends_cut: bool


def measure(x: FloatArray, sample_rate_hz: int) -> TakeQuality:
    """Measure a take as it was recorded.

    Args:
        x: (num_samples,) float32 in ±1.
        sample_rate_hz: its rate.

    Raises:
        AudioError: silent, or less than 50 ms of sound.
    """
    region = find_active(x, sample_rate_hz)
    power_db = frame_power_db(x, max(1, round(FRAME_S * sample_rate_hz)))
    loudest = float(power_db.max())
    edge = round(_EDGE_S / FRAME_S)
    level = active_level_dbfs(x, sample_rate_hz)
    floor = float(np.percentile(np.maximum(power_db, -120.0), 10))
    return TakeQuality(
        duration_s=(region.stop - region.start) / sample_rate_hz,
        level_dbfs=level,
        snr_db=level - floor,
        clipped_share=float(np.mean(np.abs(x) >= _CLIPPED)),
        starts_cut=bool(power_db[:edge].min() > loudest - _EDGE_DB),
        ends_cut=bool(power_db[-edge:].min() > loudest - _EDGE_DB),
    )


def fingerprint(x: FloatArray, sample_rate_hz: int) -> FloatArray:
    """Return (1536,) float32 of length 1 for a take's active region, (zeros if it has no shape).

    Args:
        x: (num_samples,) float32, the active region.
        sample_rate_hz: its rate, at least 8 kHz.
    """
    size = round(_WINDOW_S * sample_rate_hz)
    step = round(_STEP_S * sample_rate_hz)
    padded = np.pad(x, (0, max(0, size + step - len(x))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::step]
    power = np.abs(np.fft.rfft(frames * np.hanning(size), axis=1)) ** 2
    hz = np.fft.rfftfreq(size, 1.0 / sample_rate_hz)
    edges = np.geomspace(_LOWEST_HZ, _HIGHEST_HZ, _BANDS + 1)
    bands = np.stack(
        [power[:, (hz >= low) & (hz < max(high, low + hz[1]))].sum(axis=1)
         for low, high in zip(edges, edges[1:], strict=False)]
    )  # fmt: skip
    logs = np.log(np.maximum(bands, bands.max() * 1e-5 + 1e-20))
    at = np.linspace(0, logs.shape[1] - 1, _PARTS)
    places = np.arange(logs.shape[1])
    shape = np.stack([np.interp(at, places, row) for row in logs])
    shape -= shape.mean(axis=1, keepdims=True)
    norm = float(np.sqrt(np.sum(shape**2)))
    return np.asarray((shape / norm if norm > 0 else shape).reshape(-1), dtype=np.float32)


def near_doubles(prints: FloatArray, limit: float = NEAR_DOUBLE) -> list[tuple[int, int, float]]:
    """Return (i, j, likeness) of all pairs i < j at or above `limit`.

    Args:
        prints: (num_takes, n) float32, a fingerprint in each row.
        limit: least likeness.
    """
    pairs = []
    for start in range(0, len(prints), _BLOCK):
        likeness = prints[start : start + _BLOCK] @ prints.T
        for i, j in np.argwhere(likeness >= limit).tolist():
            if start + i < j:
                pairs.append((start + i, j, float(likeness[i, j])))
    return pairs


def faults(takes: Sequence[TakeQuality]) -> list[list[str]]:
    """Say in words what is wrong with each take; none for most.

    A length is an outlier where it is more than twice, or less than half, the median.
    """
    typical_s = float(np.median([take.duration_s for take in takes])) if takes else 0.0
    found = []
    for take in takes:
        words = []
        if take.clipped_share > 0.001:
            words.append(f"clipped: {100 * take.clipped_share:.1f} % of its samples at full scale")
        if take.snr_db < 10.0:
            words.append(f"noisy: {take.snr_db:.0f} dB over its own noise")
        if take.level_dbfs < -45.0:
            words.append(f"quiet: {take.level_dbfs:.0f} dBFS")
        if take.starts_cut:
            words.append("cut off at its start")
        if take.ends_cut:
            words.append("cut off at its end")
        if not typical_s / 2 <= take.duration_s <= typical_s * 2:
            words.append(f"{take.duration_s:.2f} s long, the others {typical_s:.2f} s")
        found.append(words)
    return found
