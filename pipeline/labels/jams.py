"""JAMS: JSON with annotations, each a list of observations {time, duration, value, confidence}.

Read are values that are texts (`segment_open`, `tag_open` and their like) and the events of
`scaper`'s soundscapes, whose background is left out. Written is `segment_open`, or the annotation
that was read, with its namespace and whoever made it. The schema wants a length: where none is
known it is the last label's end, and the file's sandbox says so.

Source: the JAMS schema, version 0.3 (jams.readthedocs.io).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline.labels.rows import Row, seconds, wrong
from schemas.errors import RequestError
from schemas.labels import JamsRest, Label, LabelledRecording

_VERSION = "0.3.4"
_KEYS = ("time", "duration", "value", "confidence")
_NAMESPACE = "segment_open"
_GUESSED = {"duration": "of the last label's end; the recording's is unknown"}


def only(path: Path, text: str, annotation: int) -> str:
    """Return the file with the observations of one annotation alone, counted from 1.

    Raises:
        RequestError: there is no such one.
    """
    whole = json.loads(text) if _is_jams(text) else {"annotations": []}
    count = len(whole["annotations"])
    if not 1 <= annotation <= count:
        raise RequestError(f"{path} has no annotation {annotation}", expected=f"1 to {count}")
    for i, one in enumerate(whole["annotations"], start=1):
        if i != annotation:
            one["data"] = []
    return json.dumps(whole)


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
    rest = recording.jams
    last_s = max((one.offset_s for one in recording.labels), default=0.0)
    guessed = recording.duration_s is None
    duration_s = last_s if guessed else recording.duration_s
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
        "namespace": _NAMESPACE,
        "data": data,
        "sandbox": {},
        "time": 0,
        "duration": duration_s,
    }
    about: dict[str, Any] = {
        "title": recording.name,
        "duration": duration_s,
        "identifiers": {},
        "jams_version": _VERSION,
    }
    whole = {"annotations": [annotation], "file_metadata": about, "sandbox": {}}
    if rest:
        annotation |= rest.annotation
        whole |= {
            key: value for key, value in rest.whole.items() if key in ("sandbox", "file_metadata")
        }
        whole["file_metadata"] = (
            about | dict(_dictionary(whole["file_metadata"])) | {"duration": duration_s}
        )
    if guessed:
        whole["sandbox"] = dict(_dictionary(whole["sandbox"])) | {"wakebeam": _GUESSED}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def duration_s(text: str) -> float | None:
    """Return the length that a file of JAMS gives its recording, if it does."""
    whole = json.loads(text)
    if _dictionary(whole.get("sandbox")).get("wakebeam") == _GUESSED:
        return None
    found = _dictionary(whole.get("file_metadata")).get("duration")
    return float(found) if isinstance(found, int | float) else None


def rest(text: str) -> JamsRest | None:
    """Return what else a file says; None where that is nothing."""
    whole = json.loads(text)
    annotations = whole.pop("annotations")
    used = [one for one in annotations if _observations(one["data"])] or annotations[:1]
    values = [row["value"] for one in used for row in _observations(one["data"])]
    left_out = sum(
        isinstance(value, dict) and value.get("role") == "background" for value in values
    )
    reworded = sum(isinstance(value, dict) for value in values) - left_out
    annotation = (
        {key: value for key, value in used[0].items() if key != "data"} if len(used) == 1 else {}
    )
    if reworded or left_out:
        annotation["namespace"] = _NAMESPACE
    about = _dictionary(whole.get("file_metadata"))
    own = ("title", "duration", "jams_version")
    told = [
        len(used) > 1, reworded, left_out, annotation.get("annotation_metadata"),
        annotation.get("sandbox"), annotation.get("namespace", _NAMESPACE) != _NAMESPACE,
        whole.get("sandbox") not in (None, {}, {"wakebeam": _GUESSED}),
        any(value for key, value in about.items() if key not in own),
    ]  # fmt: skip
    return JamsRest(whole, annotation, len(used), reworded, left_out) if any(told) else None


def _is_jams(text: str) -> bool:
    try:
        return isinstance(json.loads(text)["annotations"], list)
    except (ValueError, LookupError, TypeError, RecursionError):
        return False


def _dictionary(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


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
