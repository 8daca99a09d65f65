"""`wakebeam detect`: sound of any rate and length in, JSON lines out, in bounded memory."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from models.streaming import StreamingDetector, StreamOutput
from pipeline.audio_file import stream_audio
from schemas.detection import Detection
from schemas.errors import AudioError

_PACKET_BYTES = 3200


def detect_file(detector: StreamingDetector, path: Path) -> Iterator[dict[str, Any]]:
    """Yield one JSON value for each detection in a file, as soon as its event has ended."""
    detector.reset()
    lag_s = _onset_lag_s(detector)
    try:
        for block in stream_audio(path, detector.sample_rate_hz):
            yield from _lines(detector.process(block), lag_s)
    except AudioError as error:
        raise AudioError(f"{path}: {error.received}") from error
    yield from _lines(detector.finish(), lag_s)


def detect_pcm(
    detector: StreamingDetector, source: BinaryIO = sys.stdin.buffer
) -> Iterator[dict[str, Any]]:
    """Yield detections in raw int16 little-endian mono at the detector's rate."""
    detector.reset()
    lag_s = _onset_lag_s(detector)
    rest = b""
    while data := source.read(_PACKET_BYTES):
        data = rest + data
        whole = len(data) // 2 * 2
        rest = data[whole:]
        packet = np.frombuffer(data[:whole], dtype="<i2").astype(np.int16)
        yield from _lines(detector.process(packet), lag_s)
    yield from _lines(detector.finish(), lag_s)


def _lines(output: StreamOutput, lag_s: float) -> Iterator[dict[str, Any]]:
    yield from (_line(detection, lag_s) for detection in output.detections)
    for event in output.events:
        yield {
            "onset_s": round(event.onset_s, 4),
            "offset_s": round(event.offset_s, 4),
            "label": event.label,
            "score": round(event.score, 5),
        }


def _line(detection: Detection, lag_s: float) -> dict[str, Any]:
    """`onset_s` is an estimate: the median time from onset to detection on the test split."""
    return {
        "time_s": round(detection.time_s, 4),
        "onset_s": round(max(0.0, detection.time_s - lag_s), 4),
        "label": detection.label,
        "score": round(detection.score, 5),
    }


def _onset_lag_s(detector: StreamingDetector) -> float:
    measured = detector.metadata["measured_on_test"].get("time_since_onset_s") or {}
    return float(measured.get("median", 0.0))
