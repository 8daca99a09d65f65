"""`wakebeam evaluate --stream`: an exported detector on one long recording with known labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from models.evaluation import Report, judge
from models.streaming import StreamingDetector
from pipeline.audio_file import stream_audio
from schemas.detection import ReferenceEvent, ScoredRecording
from schemas.errors import RequestError
from schemas.recipe import Evaluation


def read_audacity_labels(path: Path, keywords: Sequence[str]) -> tuple[ReferenceEvent, ...]:
    """Read `start<TAB>end<TAB>label` lines, seconds; labels that aren't keywords are other sounds.

    Raises:
        RequestError: not readable, or a line that isn't of that form, with its number.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{path} can't be read as labels ({error})") from error
    events = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("\\"):
            continue
        fields = line.split("\t")
        try:
            onset_s, offset_s, label = float(fields[0]), float(fields[1]), fields[2].strip()
            if not 0 <= onset_s < offset_s < math.inf:
                raise ValueError
        except (ValueError, IndexError):
            raise RequestError(
                f"{path}, line {number}: {line[:80]!r}",
                expected="start, end and label, separated by tabs, in seconds",
            ) from None
        kind = "keyword" if label in keywords else "other"
        events.append(ReferenceEvent(onset_s, offset_s, label, kind))
    return tuple(sorted(events, key=lambda e: e.onset_s))


def evaluate_stream(export: Path, recording: Path, labels: Path) -> Report:
    """Judge an export on a recording at its own threshold.

    Raises:
        RequestError: the labels are wrong, name no keyword, or lie beyond the recording; or the
            detector finds sound events.
    """
    detector = StreamingDetector(export)
    detector.require("keywords")
    events = read_audacity_labels(labels, detector.labels)
    if events and not any(event.kind == "keyword" for event in events):
        named = ", ".join(sorted({event.label for event in events})[:8])
        raise RequestError(
            f"{labels} has no keyword among its labels ({named})",
            expected=f"labels called {', '.join(detector.labels)}, as the detector knows them",
        )
    times, scores, seconds = [], [], 0.0
    for block in stream_audio(recording, detector.sample_rate_hz):
        out = detector.process(block)
        times.append(out.times_s)
        scores.append(out.scores)
        seconds += len(block) / detector.sample_rate_hz
    out = detector.finish()
    if events and events[-1].onset_s > seconds:
        raise RequestError(
            f"{labels} has an event at {events[-1].onset_s:g} s, but {recording} is "
            f"{seconds:.1f} s long",
            expected="labels in seconds of this recording",
        )
    scored = ScoredRecording(
        recording.name,
        seconds,
        np.concatenate([*times, out.times_s]),
        np.concatenate([*scores, out.scores]),
        events,
    )
    counting = {name: float(detector.metadata[name]) for name in ("debounce_s", "hit_window_s")}
    return judge([scored], detector.labels, detector.threshold, Evaluation(**counting))
