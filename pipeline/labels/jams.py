"""JAMS: JSON with annotations, each a list of observations {time, duration, value, confidence}.

Read are values that are texts (`segment_open`, `tag_open` and their like) and the events of
`scaper`'s soundscapes, whose background is left out. Written is `segment_open`.

Source: the JAMS schema, version 0.3 (jams.readthedocs.io).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline.labels.rows import Row, seconds, wrong
from schemas.errors import RequestError
from schemas.labels import Label, LabelledRecording

_VERSION = "0.3.4"
_KEYS = ("time", "duration", "value", "confidence")


def read(path: Path, text: str) -> Iterator[Row]:
    """Yield the observations of all annotations."""
    try:
        annotations = json.loads(text)["annotations"]
        data = [
            (f"observation {j} of annotation {i}", observation)
            for i, annotation in enumerate(annotations, start=1)
            for j, observation in enumerate(_observations(annotation["data"]), start=1)
        ]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise RequestError(
            f"{path} is not JAMS ({error})",
            expected="JSON with annotations, each with data of observations",
        ) from None
    for where, observation in data:
        try:
            label = _label(observation)
        except (ValueError, LookupError, TypeError) as error:
            raise wrong(path, where, error, ", ".join(_KEYS)) from None
        if label is not None:
            yield Row(where, "", label)


def write(recordings: Sequence[LabelledRecording]) -> str:
    """Return the JAMS of one recording."""
    (recording,) = recordings
    last_s = max((one.offset_s for one in recording.labels), default=0.0)
    duration_s = last_s if recording.duration_s is None else recording.duration_s
    data = [
        {
            "time": one.onset_s,
            "duration": _exact(one.offset_s - one.onset_s),
            "value": one.label,
            "confidence": one.confidence,
        }
        for one in recording.labels
    ]
    annotation = {
        "annotation_metadata": {},
        "namespace": "segment_open",
        "data": data,
        "sandbox": {},
        "time": 0,
        "duration": duration_s,
    }
    about = {
        "title": recording.name,
        "duration": duration_s,
        "identifiers": {},
        "jams_version": _VERSION,
    }
    whole = {"annotations": [annotation], "file_metadata": about, "sandbox": {}}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def duration_s(text: str) -> float | None:
    """Return the length that a file of JAMS gives its recording, if it does."""
    about = json.loads(text).get("file_metadata")
    found = about.get("duration") if isinstance(about, dict) else None
    return float(found) if isinstance(found, int | float) else None


def _observations(data: Any) -> list[dict[str, Any]]:
    """A list of observations, or a dictionary of columns."""
    if isinstance(data, dict):
        columns = [data[key] for key in _KEYS]
        return [dict(zip(_KEYS, row, strict=True)) for row in zip(*columns, strict=True)]
    return list(data)


def _label(observation: dict[str, Any]) -> Label | None:
    value = observation["value"]
    if isinstance(value, dict) and value.get("role") == "background":
        return None
    text = value["label"] if isinstance(value, dict) else value
    if not isinstance(text, str):
        raise ValueError(f"the value {text!r} is not a text")
    onset, length = (seconds(str(observation[key])) for key in ("time", "duration"))
    confidence = observation.get("confidence")
    sure = float(confidence) if isinstance(confidence, int | float) else None
    return Label(onset, _exact(onset + length), text, confidence=sure)


def _exact(time_s: float) -> float:
    """To the nanosecond: sums and differences of decimals are decimals again."""
    return round(time_s, 9)
