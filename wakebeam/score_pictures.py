"""What a page draws of a detector's scores: all at a glance, and stretches with their sound.

Scores are log odds within the range of the sweep of thresholds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from models.operating_points import LOG_ODDS
from schemas.detection import ReferenceEvent, ScoredRecording
from wakebeam.sound_pictures import envelope, small_copy, spectrogram

RANGE = (float(LOG_ODDS[0]), float(LOG_ODDS[-1]))
"""Of the log odds."""
_COLUMNS = 1200


def log_odds(score: Any) -> Any:
    """Return scores in (0, 1) as log odds, to a tenth."""
    odds = np.clip(np.asarray(score, float), 1e-9, 1 - 1e-9)
    return np.clip(np.log(odds / (1 - odds)), *RANGE).round(1).tolist()


def overview(recordings: Sequence[ScoredRecording]) -> list[float]:
    """Return the highest score in each of 1200 parts of all recordings, one after the other."""
    total_s = sum(r.duration_s for r in recordings)
    highest = np.zeros(_COLUMNS)
    begin_s = 0.0
    for recording in recordings:
        at = (begin_s + recording.times_s) / total_s * _COLUMNS
        best = recording.scores.max(axis=1, initial=0.0)
        np.maximum.at(highest, np.minimum(at.astype(np.int64), _COLUMNS - 1), best)
        begin_s += recording.duration_s
    return log_odds(highest)


def event_values(event: ReferenceEvent) -> dict[str, Any]:
    """Return an event for JSON, which has no NaN."""
    known = {"snr_db": round(event.snr_db, 1)} if np.isfinite(event.snr_db) else {}
    return known | {
        "label": event.label,
        "kind": event.kind,
        "source": event.source,
        "onset_s": round(event.onset_s, 3),
        "offset_s": round(event.offset_s, 3),
    }


def stretch_values(recording: ScoredRecording, start_s: float, duration_s: float) -> dict[str, Any]:
    """Return scores and events of a stretch of a recording; scores' times are from its start."""
    stop_s = start_s + duration_s
    inside = (recording.times_s >= start_s) & (recording.times_s <= stop_s)
    return {
        "start_s": round(start_s, 3),
        "duration_s": duration_s,
        "times_s": (recording.times_s[inside] - start_s).round(3).tolist(),
        "scores": log_odds(recording.scores[inside].T),
        "events": [
            event_values(e) for e in recording.events if e.offset_s > start_s and e.onset_s < stop_s
        ],
    }


def sound_values(pcm: npt.NDArray[np.int16], rate_hz: int) -> dict[str, Any]:
    """Return what a player needs of a sound, (num_samples,)."""
    lows, highs = envelope(pcm)
    return {
        "lows": lows,
        "highs": highs,
        "picture": spectrogram(pcm, rate_hz),
        "audio": small_copy(pcm, rate_hz),
    }
