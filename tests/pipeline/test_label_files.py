"""Files of labels: what people wrote comes back, and what is wrong is named with its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.labels.label_files import labels_of, losses, read_labels, write_labels
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
    plain = [(one.onset_s, one.offset_s, one.label) for one in read.labels]
    assert plain == [(0.5, 1.0, "dog"), (1.0, 2.0, "dog")]


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


TABLE = """filename,onset,offset,event_label,low_hz,high_hz,confidence,by
a.wav,0.500000,1.000000,dog,300.000000,,0.250000,me
a.wav,2.000000,2.500000,cat,,,,
b.wav,,,,,,,
c.wav,1.000000,2.000000,dog,,900.000000,,"you, too"
"""


def test_a_table_keeps_its_columns_and_recordings_without_labels(tmp_path) -> None:
    recordings = read_labels(_write(tmp_path / "x.csv", TABLE))
    assert [one.name for one in recordings] == ["a.wav", "b.wav", "c.wav"]
    first = Label(0.5, 1.0, "dog", 300.0, None, 0.25, (("by", "me"),))
    assert recordings[0].labels == (first, Label(2.0, 2.5, "cat"))
    assert recordings[1].labels == ()
    write_labels(recordings, tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_text() == TABLE
    assert losses(recordings, ".csv") == losses(recordings, ".tsv") == []
    odd = _write(tmp_path / "odd.csv", "onset,offset,label,confidence\n0.5,1.0,dog,high\n")
    write_labels(read_labels(odd), tmp_path / "odd.tsv")
    assert read_labels(tmp_path / "odd.tsv")[0].labels[0].more == (("confidence", "high"),)


SURE = (Label(0.5, 1.0, "dog", confidence=0.25), Label(2.0, 2.5, "cat", confidence=None))


@pytest.mark.parametrize("suffix", [".jams", ".csv", ".tsv"])
def test_confidences_come_back(tmp_path, suffix) -> None:
    write_labels([LabelledRecording("x.wav", SURE, 9.0)], tmp_path / f"x{suffix}")
    (read,) = read_labels(tmp_path / f"x{suffix}")
    assert read.labels == SURE


def test_what_is_lost_is_said_and_counted() -> None:
    full = Label(0.5, 1.0, "dog", 300.0, None, 0.25, (("by", "me"),))
    recordings = [LabelledRecording("a.wav", (full, Label(1.0, 2.0, "cat")), 9.0)] * 2
    said = {suffix: losses(recordings, suffix) for suffix in (".txt", ".csv", ".jams")}
    assert said == {
        ".txt": [
            "confidences not kept, .txt has no place for them: 2",
            "other columns not kept, .txt has no place for them: 2",
            "the recording's length not kept, .txt has no place for it: 2",
        ],
        ".csv": ["the recording's length not kept, .csv has no place for it: 2"],
        ".jams": [
            "frequencies not kept, .jams has no place for them: 2",
            "other columns not kept, .jams has no place for them: 2",
        ],
    }
    plain = [LabelledRecording("a.wav", (Label(0.5, 1.0, "dog"),))]
    assert losses(plain, ".txt") == losses(plain, ".csv") == []


def test_a_length_that_nobody_knows_is_not_invented(tmp_path) -> None:
    """The schema of JAMS wants a number: it says what it is."""
    unknown = [LabelledRecording("x.wav", (Label(0.5, 1.0, "dog"),))]
    assert "of unknown length" in losses(unknown, ".jams")[0]
    write_labels(unknown, tmp_path / "x.jams")
    whole = json.loads((tmp_path / "x.jams").read_text())
    assert whole["file_metadata"]["duration"] == 1.0
    assert "unknown" in whole["sandbox"]["wakebeam"]["duration"]
    (read,) = read_labels(tmp_path / "x.jams")
    assert read.duration_s is None
    write_labels([LabelledRecording("x.wav", (), 9.0)], tmp_path / "y.jams")
    assert json.loads((tmp_path / "y.jams").read_text())["sandbox"] == {}
    assert read_labels(tmp_path / "y.jams")[0].duration_s == 9.0


def _by(name: str, *times: float) -> dict:
    """An annotation by an annotator of that name."""
    data = [{"time": t, "duration": 1.0, "value": "dog", "confidence": 0.5} for t in times]
    about = {"annotator": {"name": name}, "corpus": "yard"}
    return {
        "annotation_metadata": about, "namespace": "tag_open", "data": data,
        "sandbox": {"pass": 2}, "time": 0, "duration": 8.0,
    }  # fmt: skip


def _jams(path: Path, *annotations: dict) -> dict:
    whole = {
        "annotations": list(annotations),
        "file_metadata": {
            "title": "yard", "artist": "Anna", "duration": 9.5, "identifiers": {"id": "7"},
            "release": "", "jams_version": "0.3.1",
        },
        "sandbox": {"day": "monday"},
    }  # fmt: skip
    path.write_text(json.dumps(whole))
    return whole


def test_jams_keeps_who_annotated_what_and_how(tmp_path) -> None:
    whole = _jams(tmp_path / "x.jams", _by("Bert", 1.0, 3.0))
    (read,) = read_labels(tmp_path / "x.jams")
    write_labels([read], tmp_path / "y.jams")
    assert json.loads((tmp_path / "y.jams").read_text()) == whole
    assert losses([read], ".jams") == []
    assert losses([read], ".csv")[-1].startswith("annotators and other data of JAMS not kept")


def test_one_of_two_annotators_is_chosen(tmp_path) -> None:
    """Both heard the same dog: as one they overlap."""
    whole = _jams(tmp_path / "x.jams", _by("Bert", 1.0), _by("Carl", 1.1))
    with pytest.raises(RequestError, match="--annotation N") as refused:
        read_labels(tmp_path / "x.jams")
    assert "observation 1 of annotation 2: overlaps observation 1 of annotation 1" in str(
        refused.value
    )
    (read,) = read_labels(tmp_path / "x.jams", annotation=2)
    assert [one.onset_s for one in read.labels] == [1.1]
    write_labels([read], tmp_path / "y.jams")
    assert json.loads((tmp_path / "y.jams").read_text()) == whole | {
        "annotations": whole["annotations"][1:]
    }
    for number in (0, 3):
        with pytest.raises(RequestError, match=f"no annotation {number}. Expected: 1 to 2"):
            read_labels(tmp_path / "x.jams", annotation=number)
    with pytest.raises(RequestError, match="has no annotations"):
        read_labels(_write(tmp_path / "x.txt", TRACK), annotation=1)


def test_what_annotations_lose_when_they_are_taken_as_one_is_said(tmp_path) -> None:
    _jams(tmp_path / "x.jams", _by("Bert", 1.0), _by("Carl", 3.0))
    (read,) = read_labels(tmp_path / "x.jams")
    (said,) = losses([read], ".jams")
    assert said.startswith("annotations taken as one")
    assert said.endswith(": 2")
    scene = _by("scaper", 1.0, 3.0) | {"namespace": "scaper"}
    scene["data"][0]["value"] = {"label": "park", "role": "background"}
    scene["data"][1]["value"] = {"label": "dog", "role": "foreground", "snr": 3.0}
    _jams(tmp_path / "y.jams", scene)
    (read,) = read_labels(tmp_path / "y.jams")
    assert losses([read], ".jams") == [
        "values of which only the text is kept: 1", "backgrounds left out: 1",
    ]  # fmt: skip
    write_labels([read], tmp_path / "z.jams")
    (made,) = json.loads((tmp_path / "z.jams").read_text())["annotations"]
    assert made["namespace"] == "segment_open", "scaper's wants more than a text"
    assert made["annotation_metadata"]["annotator"]["name"] == "scaper"
