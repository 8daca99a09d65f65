"""Files of labels: what people wrote comes back, and what is wrong is named with its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.labels.label_files import labels_of, read_labels, write_labels
from schemas.errors import RequestError
from schemas.labels import Label, LabelledRecording

TRACK = (
    "0.500000\t1.250000\talexa\n"
    "\\\t300.000000\t3400.500000\n"
    "1.250000\t1.250000\tclick\n"
    '2.000000\t3.123457\tnaïve <b>, "quoted"; 100 %\n'
    "\\\t-1.000000\t200.000000\n"
    "2.500000\t4.000000\t\n"
)
TIMES = st.integers(0, 10**9).map(lambda us: us / 1e6)


def _write(path: Path, text: str) -> Path:
    path.write_bytes(text.encode("utf-8"))
    return path


def test_R47_an_audacity_track_comes_back_byte_for_byte(tmp_path) -> None:
    (read,) = read_labels(_write(tmp_path / "take.txt", TRACK))
    assert read.name == "take.wav"
    assert read.labels[0] == Label(0.5, 1.25, "alexa", 300.0, 3400.5)
    assert (read.labels[2].low_hz, read.labels[2].high_hz) == (None, 200.0)
    write_labels([read], tmp_path / "again.txt")
    assert (tmp_path / "again.txt").read_text(encoding="utf-8") == TRACK
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again.txt", "take.txt"]


@given(
    labels=st.lists(
        st.tuples(TIMES, TIMES, st.text(st.characters(exclude_categories=["C"]), max_size=12)),
        max_size=6,
    )
)
@settings(max_examples=60, deadline=None)
@pytest.mark.parametrize("suffix", [".txt", ".csv", ".tsv", ".jams"])
def test_R47_labels_survive_every_format(tmp_path_factory, suffix, labels) -> None:
    """Times to the microsecond and any text; a label of its own for each, so that none overlap."""
    made = tuple(
        Label(min(a, b), max(a, b), f"{i} {text}")
        for i, (a, b, text) in enumerate(sorted(labels, key=lambda row: min(row[:2])))
    )
    path = tmp_path_factory.mktemp("labels") / f"x{suffix}"
    write_labels([LabelledRecording("x.wav", made)], path)
    (read,) = read_labels(path)
    assert (read.name, read.labels) == ("x.wav", made)


def test_a_table_of_several_recordings_is_read_as_sed_eval_reads_it(tmp_path) -> None:
    sed_eval = pytest.importorskip("sed_eval")
    recordings = [
        LabelledRecording("a/one.wav", (Label(0.1, 0.9, "dog"), Label(0.5, 2.0, "cat"))),
        LabelledRecording("two.flac", (Label(3.25, 4.0, "dog, barking"),)),
    ]
    write_labels(recordings, tmp_path / "events.tsv")
    assert read_labels(tmp_path / "events.tsv") == recordings
    theirs = sed_eval.io.load_event_list(str(tmp_path / "events.tsv"))
    assert [(e["filename"], e["onset"], e["offset"], e["event_label"]) for e in theirs] == [
        (recording.name, one.onset_s, one.offset_s, one.label)
        for recording in recordings
        for one in recording.labels
    ]
    assert labels_of(tmp_path / "events.tsv", "elsewhere/two.wav") == recordings[1]
    with pytest.raises(RequestError, match="no recordings called three"):
        labels_of(tmp_path / "events.tsv", "three.wav")


@pytest.mark.parametrize(
    "text",
    [
        "0.5\t1.0\tdog\n1.0\t2.0\tdog\n",
        "0.5;1.0;dog\n1.0;2.0;dog\n",
        "x.wav,0.5,1.0,dog\nx.wav,1.0,2.0,dog\n",
        "x.wav\thome\t0.5\t1.0\tdog\nx.wav\thome\t1.0\t2.0\tdog\n",
        "Start,End,Label,by\r\n0.5,1.0,dog,me\r\n1.0,2.0,dog,me\r\n",
        "\ufeffonset,offset,event_label\n\n0.5,1.0,dog\n1.0,2.0,dog\n",
    ],
)
def test_tables_of_other_makers_are_read(tmp_path, text) -> None:
    (read,) = read_labels(_write(tmp_path / "x.csv", text))
    assert read.labels == (Label(0.5, 1.0, "dog"), Label(1.0, 2.0, "dog"))


def test_jams_of_other_makers_is_read(tmp_path) -> None:
    """Observations as columns, and a soundscape of scaper's, whose background is no event."""
    event = {"label": "dog", "role": "foreground", "snr": 3.0}
    value = {
        "annotations": [
            {"namespace": "tag_open", "data": {
                "time": [1.1], "duration": [0.2], "value": ["cat"], "confidence": [0.5]}},
            {"namespace": "scaper", "data": [
                {"time": 0, "duration": 9, "value": {"label": "park", "role": "background"},
                 "confidence": 1},
                {"time": 2, "duration": 1.5, "value": event, "confidence": 1},
            ]},
        ],
        "file_metadata": {"duration": 9.0},
    }  # fmt: skip
    (read,) = read_labels(_write(tmp_path / "x.jams", json.dumps(value)))
    assert read.labels == (
        Label(1.1, 1.3, "cat", confidence=0.5), Label(2.0, 3.5, "dog", confidence=1.0),
    )  # fmt: skip
    assert read.duration_s == 9.0
    (bare,) = read_labels(_write(tmp_path / "y.jams", json.dumps(value | {"file_metadata": []})))
    assert bare.duration_s is None


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("x.txt", "0.5\t1,0\ta\n", "line 1: '1,0' is not a number: decimals need a point"),
        ("x.txt", "0.5\t1.0\ta\n\n0.1\t0.4\tb\n", "line 3: starts before line 1"),
        ("x.txt", "0.5\t1.0\ta\n0.6\t2.0\tb\n0.7\t0.8\ta\n", "line 3: overlaps line 1"),
        ("x.txt", "1.0\t0.5\ta\n", "line 1: ends before it starts"),
        ("x.txt", "-0.5\t0.5\ta\n", "line 1: '-0.5' lies before the recording"),
        ("x.txt", "nan\t0.5\ta\n", "line 1: 'nan' is not a finite number"),
        ("x.txt", "0.5 1.0 a\n", "line 1: '0.5 1.0 a' has no tab in it"),
        ("x.txt", "\\\t1\t2\n", "line 1: frequencies without a label"),
        ("x.csv", "filename,onset,event_label\nx,1,a\n", "line 1: the header has no column offset"),
        ("x.csv", "0.5,1.0,a\n0.7,1.0\n", "line 2: 2 fields instead of 3"),
        ("x.csv", "0.5,1.0\n", "line 1: 2 fields and no header"),
        ("x.csv", '0.5,1.0,"a\n', "line 1: unexpected end of data"),
        ("x.jams", "{}", "is not JAMS"),
        ("x.jams", "[" * 100_000, "is not JAMS"),
        ("x.jams", '{"annotations": [{"data": [{"time": 1, "value": "a"}]}]}', "observation 1 of"),
        ("x.lab", "0 1 a", "no suffix of a format"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path, name, text, says) -> None:
    with pytest.raises(RequestError) as refusal:
        read_labels(_write(tmp_path / name, text))
    assert says in str(refusal.value)


def test_sorting_is_asked_for_and_bytes_that_are_no_text_are_refused(tmp_path) -> None:
    path = _write(tmp_path / "x.txt", "2.0\t3.0\tb\n0.5\t1.0\ta\n")
    (read,) = read_labels(path, sort=True)
    assert [one.label for one in read.labels] == ["a", "b"]
    (tmp_path / "y.txt").write_bytes(b"\xff\xfe0\x001\x00")
    with pytest.raises(RequestError, match="can't be read as labels"):
        read_labels(tmp_path / "y.txt")


def test_what_a_format_cannot_hold_is_refused_and_nothing_is_written(tmp_path) -> None:
    two = [LabelledRecording("a.wav", ()), LabelledRecording("b.wav", ())]
    with pytest.raises(RequestError, match="2 recordings don't fit"):
        write_labels(two, tmp_path / "x.txt")
    with pytest.raises(RequestError, match="a tab or a line break"):
        write_labels([LabelledRecording("a.wav", (Label(0, 1, "a\tb"),))], tmp_path / "x.txt")
    assert list(tmp_path.iterdir()) == []
