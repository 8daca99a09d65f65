r"""Audacity's label tracks: `start<TAB>end<TAB>label`, seconds.

A spectral selection has a second line, `\<TAB>low<TAB>high` in hertz, −1 where it has no bound.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.labels.rows import Row, decimal, number, seconds, wrong
from schemas.errors import RequestError
from schemas.labels import Label, LabelledRecording

_FORM = "start, end and label, separated by tabs, in seconds"
_UNBOUNDED = -1.0


def read(path: Path, text: str) -> Iterator[Row]:
    """Yield the labels of a track."""
    row: Row | None = None
    for i, line in enumerate(text.split("\n"), start=1):
        where = f"line {i}"
        try:
            if line.startswith("\\\t"):
                if row is None:
                    raise ValueError("frequencies without a label before them")
                row = row._replace(label=_spectral(row.label, line))
                continue
            if row is not None:
                yield row
            row = Row(where, "", _label(line)) if line.strip() else None
        except ValueError as error:
            raise wrong(path, where, error, _FORM) from None
    if row is not None:
        yield row


def write(recordings: Sequence[LabelledRecording]) -> str:
    """Return the track of one recording.

    Raises:
        RequestError: a label has a tab or a line break in it, or there are several recordings.
    """
    (recording,) = recordings
    lines = []
    for one in recording.labels:
        if set(one.label) & set("\t\n\r"):
            raise RequestError(
                f"the label {one.label!r} has a tab or a line break in it",
                fix="write .csv or .jams, which can hold it",
            )
        lines.append(f"{decimal(one.onset_s)}\t{decimal(one.offset_s)}\t{one.label}\n")
        if one.low_hz is not None or one.high_hz is not None:
            bounds = [_UNBOUNDED if hz is None else hz for hz in (one.low_hz, one.high_hz)]
            lines.append("\\\t" + "\t".join(decimal(hz) for hz in bounds) + "\n")
    return "".join(lines)


def _label(line: str) -> Label:
    fields = line.split("\t", 2)
    if len(fields) < 2:
        raise ValueError(f"{line[:80]!r} has no tab in it")
    return Label(seconds(fields[0]), seconds(fields[1]), fields[2] if len(fields) > 2 else "")


def _spectral(label: Label, line: str) -> Label:
    fields = line.split("\t")
    if len(fields) != 3:
        raise ValueError(f"{line[:80]!r} has not two frequencies")
    low, high = (None if (hz := number(field)) < 0 else hz for field in fields[1:])
    return replace(label, low_hz=low, high_hz=high)
