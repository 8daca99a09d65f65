"""Tables of events, as sed_eval and DCASE have them: a header, or fields in the usual order.

    filename  onset  offset  event_label        what is written: commas in .csv, tabs in .tsv
              onset  offset  event_label        without a header, by the number of fields
    filename  onset  offset  event_label
    filename  scene_label  onset  offset  event_label

Written where a label has them, and read: columns `confidence`, `low_hz` and `high_hz`. Columns of
other names are kept as texts. A recording without labels is a line with its name alone, as DESED's
tables have it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.labels.rows import Bare, Row, decimal, number, seconds, wrong
from schemas.labels import Label, LabelledRecording

_FILE, _ONSET, _OFFSET, _LABEL = "filename", "onset", "offset", "event_label"
_NAMES = {
    "file": _FILE,
    "start": _ONSET,
    "onset_s": _ONSET,
    "event_onset": _ONSET,
    "end": _OFFSET,
    "offset_s": _OFFSET,
    "event_offset": _OFFSET,
    "label": _LABEL,
    "event": _LABEL,
}
_NUMBERS = ("low_hz", "high_hz", "confidence")
_HEADERS = {
    3: [_ONSET, _OFFSET, _LABEL],
    4: [_FILE, _ONSET, _OFFSET, _LABEL],
    5: [_FILE, "scene_label", _ONSET, _OFFSET, _LABEL],
}


def read(path: Path, text: str) -> Iterator[Row | Bare]:
    """Yield the events of a table."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = next((mark for mark in "\t;" if mark in first), ",")
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    columns: list[str] | None = None
    while True:
        try:
            fields = next(lines, None)
        except csv.Error as error:
            raise wrong(path, f"line {lines.line_num}", error) from None
        if fields is None:
            return
        where = f"line {lines.line_num}"
        if not any(field.strip() for field in fields):
            continue
        if columns is None:
            named = [_NAMES.get(f.strip().lower(), f.strip().lower()) for f in fields]
            columns = _header(path, where, named)
            if columns == named:
                continue
        try:
            yield _event(where, columns, fields)
        except ValueError as error:
            raise wrong(path, where, error, f"{', '.join(columns)}; times in seconds") from None


def write_csv(recordings: Sequence[LabelledRecording]) -> str:
    """Return a table with commas."""
    return _write(recordings, ",")


def write_tsv(recordings: Sequence[LabelledRecording]) -> str:
    """Return a table with tabs."""
    return _write(recordings, "\t")


def _write(recordings: Sequence[LabelledRecording], delimiter: str) -> str:
    rows: list[dict[str, str]] = []
    for recording in recordings:
        rows += [_fields(one) | {_FILE: recording.name} for one in recording.labels]
        if not recording.labels:
            rows.append({_FILE: recording.name})
    named = dict.fromkeys(name for row in rows for name in row)
    numbers = [name for name in _NUMBERS if name in named]
    columns = list(dict.fromkeys([*_HEADERS[4], *numbers, *named]))
    out = io.StringIO(newline="")
    table = csv.DictWriter(out, columns, "", delimiter=delimiter, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return out.getvalue()


def _fields(one: Label) -> dict[str, str]:
    """What is in the columns of a label."""
    fields = {_ONSET: decimal(one.onset_s), _OFFSET: decimal(one.offset_s), _LABEL: one.label}
    for name in _NUMBERS:
        if (value := getattr(one, name)) is not None:
            fields[name] = decimal(value)
    return fields | dict(one.more or ())


def _header(path: Path, where: str, named: list[str]) -> list[str]:
    """The names of the columns: those of a header, or those that so many fields usually are."""
    if _ONSET in named:
        missing = [name for name in (_OFFSET, _LABEL) if name not in named]
        if missing:
            raise wrong(path, where, f"the header has no column {missing[0]}")
        return named
    if len(named) not in _HEADERS:
        raise wrong(
            path, where, f"{len(named)} fields and no header",
            f"a header with {_FILE}, {_ONSET}, {_OFFSET} and {_LABEL}, or 3 to 5 fields",
        )  # fmt: skip
    return _HEADERS[len(named)]


def _event(where: str, columns: list[str], fields: list[str]) -> Row | Bare:
    if len(fields) != len(columns):
        raise ValueError(f"{len(fields)} fields instead of {len(columns)}")
    of = dict(zip(columns, fields, strict=True))
    name = of.pop(_FILE, "").strip()
    if name and not any(of[column].strip() for column in (_ONSET, _OFFSET, _LABEL)):
        return Bare(name)
    onset, offset, label = (of.pop(column) for column in (_ONSET, _OFFSET, _LABEL))
    known = {
        column: value for column in _NUMBERS if (value := _number(of.get(column, ""))) is not None
    }
    more = tuple((column, text) for column, text in of.items() if text and column not in known)
    return Row(
        where, name, Label(seconds(onset), seconds(offset), label, **known, more=more or None)
    )


def _number(text: str) -> float | None:
    try:
        return number(text)
    except ValueError:
        return None
