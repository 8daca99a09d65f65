"""`wakebeam mine`: false accepts cut out of recordings, as hard negatives for the next training.

Every detection in a recording without the keyword is a false accept. What was heard around it, from
before the onset that the detector thinks it had until shortly after it fired, becomes a clip. A
name says recording, digest and time, so mining again makes nothing twice, and the pattern that is
shown keeps the clips of one recording in one split.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.streaming import StreamingDetector
from pipeline.audio_spans import cut_spans
from pipeline.wav_file import write_wav
from schemas.stream_set import STREAM_SET_NAME
from wakebeam.cutting import ClipNames
from wakebeam.detecting import Collected, file_source, listen
from wakebeam.model_leaks import Known

LIST_NAME = "mined.jsonl"
_BEFORE_S, _AFTER_S = 0.5, 0.2
_USUAL_LAG_S = 1.0


def mine(detector: StreamingDetector, path: Path, names: ClipNames, out: Path) -> tuple[int, int]:
    """Cut the false accepts of one recording into `out`.

    Args:
        detector: an exported one; its threshold decides.
        path: a recording in which no keyword is spoken.
        names: of its clips.
        out: folder for the clips and for `mined.jsonl`, a line a clip.

    Returns:
        How many clips were written, and how many were there already.

    Raises:
        AudioError: the recording can't be read.
        RequestError: the detector finds sound events.
    """
    detector.require("keywords")
    heard = Collected()
    listen(detector, file_source(path, detector.sample_rate_hz), [heard])
    found = [{key: line[key] for key in line if key != "file"} for line in heard.lines]
    out.mkdir(parents=True, exist_ok=True)
    there = names.there(out)
    wanted = [
        (out / names.of(detection["time_s"]), detection)
        for detection in found
        if names.ending(detection["time_s"]) not in there
    ]
    rate = detector.sample_rate_hz
    spans = [_span(detection, rate) for _, detection in wanted]
    for (clip, detection), samples in zip(wanted, cut_spans(path, rate, spans), strict=True):
        write_wav(clip, samples, rate)
        line = {"clip": clip.name, "recording": str(path)} | detection
        with (out / LIST_NAME).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
    return len(wanted), len(found) - len(wanted)


def why_not(path: Path, names: ClipNames, own: Mapping[str, Known]) -> str:
    """Return why a recording must not be mined; empty if it may, or was mined before.

    Args:
        path: the recording.
        names: of its clips.
        own: the model's own recordings, by `short_digest`.
    """
    if (path.resolve().parent / STREAM_SET_NAME).exists():
        return "it is of a stream set, which judges"
    known = own.get(names.digest)
    return "" if known is None or known.mined else str(known)


def _span(detection: dict[str, Any], rate: int) -> tuple[int, int]:
    """Half-open samples to cut: from before the onset to shortly after the detection."""
    time_s = detection["time_s"]
    lag_s = time_s - detection["onset_s"] or _USUAL_LAG_S
    start = round((time_s - lag_s - _BEFORE_S) * rate)
    return max(0, start), round((time_s + _AFTER_S) * rate)
