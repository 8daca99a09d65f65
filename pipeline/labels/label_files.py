"""Reading and writing files of labels of any format, by the same rules.

    .txt          Audacity: one recording
    .csv .tsv     a table of events: many recordings
    .jams         JAMS: one recording

Refused with the line's number: a number that is none, an end before its start, lines that aren't
sorted by start, and two stretches of one label that overlap. Stretches of different labels may.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline.labels import audacity, jams, table
from pipeline.labels.rows import Bare, Row, wrong
from pipeline.text_file import replace_text
from schemas.errors import RequestError
from schemas.labels import JamsRest, LabelledRecording


class _Format(NamedTuple):
    read: Callable[[Path, str], Iterator[Row | Bare]]
    write: Callable[[Sequence[LabelledRecording]], str]
    many: bool
    holds: tuple[str, ...]
    duration_s: Callable[[str], float | None] = lambda text: None
    rest: Callable[[str], JamsRest | None] = lambda text: None


_HZ, _SURE, _COLUMNS, _LENGTH, _REST = (
    "frequencies", "confidences", "other columns", "the recording's length",
    "annotators and other data of JAMS",
)  # fmt: skip
_ONE_OF_JAMS = "; `wakebeam labels FILE --annotation N --out OTHER_FILE` takes one annotation alone"
_TABLE = (_HZ, _SURE, _COLUMNS)
_FORMATS = {
    ".txt": _Format(audacity.read, audacity.write, False, (_HZ,)),
    ".csv": _Format(table.read, table.write_csv, True, _TABLE),
    ".tsv": _Format(table.read, table.write_tsv, True, _TABLE),
    ".jams": _Format(
        jams.read, jams.write, False, (_SURE, _LENGTH, _REST), jams.duration_s, jams.rest
    ),
}


def read_labels(
    path: Path, *, sort: bool = False, annotation: int | None = None
) -> list[LabelledRecording]:
    """Read a file of labels, by its suffix.

    Args:
        path: the file, UTF-8.
        sort: accept lines in any order.
        annotation: the one to read of a file of JAMS, from 1; else all of them as one.

    Returns:
        The recordings in the order in which they are first named; at least one, maybe without
        labels.

    Raises:
        RequestError: not readable, or a line is wrong.
    """
    form = _format(path)
    try:
        text = path.read_text(encoding="utf-8-sig").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{path} can't be read as labels ({error})") from None
    if annotation is not None:
        if form.rest is not jams.rest:
            raise RequestError(f"{path} has no annotations", expected=".jams with --annotation")
        text = jams.only(path, text, annotation)
    by_name: dict[str, list[Row]] = {}
    for row in form.read(path, text):
        if isinstance(row, Bare):
            by_name.setdefault(row.recording, [])
            continue
        if row.label.offset_s < row.label.onset_s:
            raise wrong(path, row.where, "ends before it starts")
        by_name.setdefault(row.recording or f"{path.stem}.wav", []).append(row)
    duration_s, rest = form.duration_s(text), form.rest(text)
    return [
        LabelledRecording(
            name, tuple(row.label for row in _sorted(path, rows, sort)), duration_s, rest
        )
        for name, rows in (by_name or {f"{path.stem}.wav": []}).items()
    ]


def labels_of(path: Path, recording: str) -> LabelledRecording:
    """Read the labels of one recording; where a file has several it is found by its name.

    Args:
        path: the file of labels.
        recording: name of the recording; its folder and its suffix don't matter.

    Raises:
        RequestError: as `read_labels`, or the recording isn't in it.
    """
    found = read_labels(path)
    if len(found) == 1:
        return found[0]
    named = [one for one in found if Path(one.name).stem == Path(recording).stem]
    if len(named) != 1:
        raise RequestError(
            f"{path} has {len(named) or 'no'} recordings called {recording}",
            expected=f"one of {', '.join(one.name for one in found[:8])}",
        )
    return named[0]


def write_labels(recordings: Sequence[LabelledRecording], path: Path) -> str:
    """Write a file of labels, by its suffix; it is whole or as it was, and can be read again.

    Returns:
        What is in it now.

    Raises:
        RequestError: the format can't hold it, or labels aren't sorted or overlap.
    """
    form = _format(path)
    for one in recordings:
        rows = [Row(f"label {i}", one.name, label) for i, label in enumerate(one.labels, start=1)]
        _sorted(path, rows, sort=False)
    if len(recordings) != 1 and not form.many:
        raise RequestError(
            f"{len(recordings)} recordings don't fit into {path}",
            expected="a format of many recordings (.csv, .tsv), or a folder",
        )
    text = form.write(recordings)
    replace_text(path, text)
    return text


def losses(recordings: Sequence[LabelledRecording], suffix: str) -> list[str]:
    """Say what is lost where recordings are written to a format, a line for each kind of thing.

    Args:
        recordings: as they were read.
        suffix: of the format, with its dot.
    """
    labels = [label for one in recordings for label in one.labels]
    rests = [one.jams for one in recordings if one.jams]
    counts = {
        _HZ: sum(one.low_hz is not None or one.high_hz is not None for one in labels),
        _SURE: sum(one.confidence is not None for one in labels),
        _COLUMNS: sum(bool(one.more) for one in labels),
        _LENGTH: sum(one.duration_s is not None for one in recordings),
        _REST: len(rests),
    }
    holds = _format(Path(f"x{suffix}")).holds
    told = [
        f"{what} not kept, {suffix} has no place for {'it' if what == _LENGTH else 'them'}: {count}"
        for what, count in counts.items()
        if count and what not in holds
    ]
    merged = sum(rest.num_annotations for rest in rests if rest.num_annotations > 1)
    reworded = sum(rest.num_reworded for rest in rests)
    left_out = sum(rest.num_left_out for rest in rests)
    unknown = sum(one.duration_s is None for one in recordings) * (_LENGTH in holds)
    return told + [
        f"{text}: {count}"
        for text, count in (
            ("annotations taken as one, their annotators and namespaces not kept "
             "(--annotation N takes one alone)", merged),
            ("values of which only the text is kept", reworded),
            ("backgrounds left out", left_out),
            ("recordings of unknown length, the last label's end stands for it", unknown),
        )
        if count
    ]  # fmt: skip


def _format(path: Path) -> _Format:
    form = _FORMATS.get(path.suffix.lower())
    if form is None:
        raise RequestError(
            f"{path} has no suffix of a format of labels",
            expected=".txt (Audacity), .csv or .tsv (tables), .jams",
        )
    return form


def _sorted(path: Path, rows: Iterable[Row], sort: bool) -> list[Row]:
    """The rows of one recording, by onset; two of one label may touch, and no more."""
    rows = list(rows)
    ordered = sorted(rows, key=lambda row: row.label.onset_s)
    if not sort:
        for before, row in zip(rows, rows[1:], strict=False):
            if row.label.onset_s < before.label.onset_s:
                raise wrong(
                    path, row.where, f"starts before {before.where}",
                    "lines sorted by their start",
                    "sort them: `wakebeam labels FILE --out OTHER_FILE --sort`",
                )  # fmt: skip
    last: dict[str, Row] = {}
    for row in ordered:
        before = last.get(row.label.label, row)
        if row.label.onset_s < before.label.offset_s and before is not row:
            raise wrong(
                path, row.where, f"overlaps {before.where}, which has the same label",
                "stretches of one label that don't overlap",
                "join them, or give one another label" + _ONE_OF_JAMS * (path.suffix == ".jams"),
            )  # fmt: skip
        if before is row or row.label.offset_s >= before.label.offset_s:
            last[row.label.label] = row
    return ordered
