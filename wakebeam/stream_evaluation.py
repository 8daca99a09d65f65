"""`wakebeam evaluate --stream`: an exported detector on one long recording with known labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from models.evaluation import Report, judge
from models.streaming import StreamingDetector
from pipeline.audio_file import stream_audio
from schemas.detection import ReferenceEvent, ScoredRecording
from schemas.errors import RequestError
from schemas.recipe import Evaluation


def read_audacity_labels(path: Path) -> tuple[ReferenceEvent, ...]:
    """Read `start<TAB>end<TAB>label` lines, seconds.

    Raises:
        RequestError: a line that isn't of that form, with its number.
    """
    events = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.startswith("\\"):
            continue
        fields = line.split("\t")
        try:
            onset_s, offset_s, label = float(fields[0]), float(fields[1]), fields[2].strip()
            if not 0 <= onset_s < offset_s:
                raise ValueError
        except (ValueError, IndexError):
            raise RequestError(
                f"{path}, line {number}: {line[:80]!r}",
                expected="start, end and label, separated by tabs, in seconds",
            ) from None
        events.append(ReferenceEvent(onset_s, offset_s, label))
    return tuple(sorted(events, key=lambda e: e.onset_s))


def evaluate_stream(export: Path, recording: Path, labels: Path) -> Report:
    """Judge an export on a recording at its own threshold."""
    detector = StreamingDetector(export)
    events = read_audacity_labels(labels)
    times, scores, seconds = [], [], 0.0
    for block in stream_audio(recording, detector.sample_rate_hz):
        out = detector.process(block)
        times.append(out.times_s)
        scores.append(out.scores)
        seconds += len(block) / detector.sample_rate_hz
    out = detector.finish()
    scored = ScoredRecording(
        recording.name,
        seconds,
        np.concatenate([*times, out.times_s]),
        np.concatenate([*scores, out.scores]),
        events,
    )
    debounce_s = float(detector.metadata["debounce_s"])
    return judge([scored], detector.labels, detector.threshold, Evaluation(debounce_s=debounce_s))
