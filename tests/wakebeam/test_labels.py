"""Labels through the command line: checked, converted, judged by, and cut into takes."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile

from pipeline.labels.label_files import read_labels
from tests.audio_factory import write


@pytest.fixture(scope="module")
def stream(trained) -> str:
    trained("stream-set", "w", "--hours", "0.1", "--seed", "5", "--out", "labelled")
    return "labelled/stream-000"


def test_labels_in_any_format_judge_alike(trained, stream) -> None:
    trained("labels", f"{stream}.txt", "--out", "some.csv")
    trained("labels", "some.csv", "--out", "some.jams")
    judged = [
        json.loads(trained(
            "evaluate", "w/export", "--stream", f"{stream}.wav", "--labels", labels, "--json",
            "--out", "reports",
        ).stdout)
        for labels in (f"{stream}.txt", "some.csv", "some.jams")
    ]  # fmt: skip
    for name in ("num_keywords", "num_misses", "num_false_accepts"):
        assert len({values[name] for values in judged}) == 1, name
    assert judged[0]["num_keywords"] > 3


def test_several_recordings_go_into_a_table_and_out_again(trained, stream) -> None:
    folder = trained.folder
    (folder / "other.txt").write_text("0.500000\t1.000000\tdoor\n", encoding="utf-8")
    said = trained("labels", f"{stream}.txt", "other.txt", "--out", "all.csv").stdout
    assert "2 recordings" in said
    assert "door 1" in said
    trained("labels", "all.csv", "--out", "apart", "--to", "txt")
    for name in (f"{stream}.txt", "other.txt"):
        before = folder / name
        assert (folder / "apart" / before.name).read_bytes() == before.read_bytes()
    done = trained("labels", "all.csv", "--out", "apart", code=2)
    assert "--overwrite" in done.stderr
    done = trained("labels", "all.csv", "--out", "apart/one.txt", code=2)
    assert "2 recordings don't fit" in done.stderr


def test_unsorted_lines_are_refused_with_the_cure_that_works(trained) -> None:
    path = trained.folder / "unsorted.txt"
    path.write_text("2.0\t3.0\tb\n0.5\t1.0\ta\n", encoding="utf-8")
    done = trained("labels", "unsorted.txt", code=2)
    assert "line 2: starts before line 1" in done.stderr
    assert "--sort" in done.stderr
    trained("labels", "unsorted.txt", "--out", "sorted.txt", "--sort")
    trained("labels", "sorted.txt")


def test_the_verb_says_what_is_lost_and_chooses_an_annotation(trained) -> None:
    annotations = [
        {"namespace": "tag_open", "data": [
            {"time": time, "duration": 1.0, "value": "dog", "confidence": 0.5}]}
        for time in (1.0, 1.5)
    ]  # fmt: skip
    path = trained.folder / "two.jams"
    path.write_text(json.dumps({"annotations": annotations, "file_metadata": {"duration": 9.0}}))
    assert "--annotation N" in trained("labels", "two.jams", code=2).stderr
    done = trained("labels", "two.jams", "--annotation", "2", "--out", "two.txt")
    assert (trained.folder / "two.txt").read_text() == "1.500000\t2.500000\tdog\n"
    assert "confidences not kept, .txt has no place for them: 1" in done.stderr
    assert len(done.stderr.splitlines()) == 3, "length and namespace, too"


def test_labelled_stretches_become_takes_of_a_recipe(trained, stream) -> None:
    folder = trained.folder
    (labelled,) = read_labels(folder / f"{stream}.txt")
    done = trained("cut", f"{stream}.wav", "--out", "takes")
    clips = sorted((folder / "takes/kw").glob("*.wav"))
    assert len(clips) == len(labelled.labels)
    rate = soundfile.info(folder / f"{stream}.wav").samplerate
    whole, _ = soundfile.read(folder / f"{stream}.wav", dtype="int16")
    for clip, label in zip(clips, labelled.labels, strict=True):
        x, clip_rate = soundfile.read(clip, dtype="int16")
        assert clip_rate == rate
        start = round(label.onset_s * rate)
        assert abs(whole[start : start + len(x)] - x).max() <= 1
    assert "0 clips cut out" in trained("cut", f"{stream}.wav", "--out", "takes").stdout
    entry = done.stderr.partition("in a recipe: ")[2].strip()
    assert str(folder / "takes/kw") in entry
    trained(
        "init", "own", "--keyword", "takes/kw", "--negative", "other", "--background", "noise",
        "--overwrite",
    )  # fmt: skip
    trained("check", "own")


def test_labels_that_were_corrected_are_cut_anew(trained) -> None:
    sound = np.tile(np.sin(np.arange(16000) / 10.0)[:, None] * 0.3, (3, 2)) * [1.0, 1.0]
    sound[32000:, 1] *= -1.0  # two channels that cancel each other
    write(trained.folder / "corrected.wav", sound)
    words = ("cut", "corrected.wav", "--out", "corrected")
    labels = trained.folder / "corrected.txt"
    for ends, said in (
        ((0.5, 0.9, 1.2, 1.5), "2 clips cut out, 0 were there"),
        ((0.5, 0.9, 1.2, 1.5), "0 clips cut out, 2 were there"),
        ((0.5, 1.1, 1.2, 1.5), "1 clips cut out, 1 were there"),
        ((0.52, 1.1, 1.2, 1.5), "1 clips cut out, 1 were there"),
        ((0.52, 1.1, 2.2, 2.5), "1 clips cut out, 1 were there"),
    ):
        rows = zip(ends[::2], ends[1::2], strict=True)
        labels.write_text("".join(f"{a}\t{b}\tkw\n" for a, b in rows))
        done = trained(*words)
        assert said in done.stdout
    assert "2 that were cut before have no label any more" in done.stderr
    assert "1 of them are silent in the mix of all channels" in done.stderr
    clips = {
        path.name[-14:]: soundfile.info(path).frames
        for path in (trained.folder / "corrected/kw").iterdir()
    }
    assert clips["t000000500.wav"] == round(0.6 * 16000), "the corrected end"


def test_labels_of_nothing_are_refused(trained, stream) -> None:
    (trained.folder / "late.txt").write_text("9000.0\t9001.0\tkw\n", encoding="utf-8")
    done = trained("cut", f"{stream}.wav", "late.txt", "--out", "late", code=1)
    assert "ends before the label 'kw' at 9000 s" in done.stderr
    done = trained("cut", f"{stream}.wav", "--only", "dog", "--out", "late", code=2)
    assert "no stretch called dog" in done.stderr
    (trained.folder / "point.txt").write_text("1.0\t1.0\tkw\n", encoding="utf-8")
    words = ("evaluate", "w/export", "--stream", f"{stream}.wav", "--labels", "point.txt")
    assert "without length at 1 s" in trained(*words, code=2).stderr
