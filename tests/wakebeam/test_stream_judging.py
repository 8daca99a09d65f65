"""Stream sets through the command line: made, judged, sliced, and refused where they leak."""

from __future__ import annotations

import json

import pytest
import soundfile

from models.operating_points import THRESHOLDS, threshold_text
from pipeline.stream_writer import read_stream_set
from tests.fakes import clip as clip_of
from wakebeam import model_leaks
from wakebeam.model_leaks import own_recordings


@pytest.fixture(scope="module")
def stream(trained):
    done = trained("stream-set", "w", "--hours", "0.1", "--snr", "5,20", "--seed", "11", "--json")
    return json.loads(done.stdout)


def test_a_stream_set_is_judged_and_reported_with_sounds(trained, stream) -> None:
    assert stream["leak_check"]["leaks"] == 0
    values = json.loads(trained("evaluate", "w/export", "--stream", "w/stream", "--json").stdout)
    assert values["num_keywords"] == stream["counts"]["keywords"] > 3
    assert values["hours"] == pytest.approx(0.1, abs=1e-3)
    assert values["counting"] == {"debounce_s": 1.0, "hit_window_s": 0.9, "patience": 1}
    assert "none of" in values["stream"]["leak_check"]
    assert "its split test" in values["stream"]["leak_check"]
    assert values["stream"]["identity"] == stream["identity"]
    assert {"snr_db", "keyword_spacing_s", "gap_before_s", "position", "source"} <= set(
        values["misses_by"]
    )
    assert len(values["sweep"]) == len(THRESHOLDS)
    known = json.loads((trained.folder / "w/model/evaluation.json").read_text())
    assert values["threshold"] == known["threshold"], "the model's own, never this stream's"
    assert values["chosen_on"] == "validation"
    assert values["validation"] == known["validation"]
    assert "chosen_on_this_stream" in values
    text = (trained.folder / "w/export-on-stream/evaluation.txt").read_text()
    assert "chosen on this stream, so no forecast" in text
    assert "0.5 per hour needs 6 h without an alarm, 0.1 needs 30 h" in text
    page = (trained.folder / "w/export-on-stream/evaluation.html").read_text()
    worst = values["worst_misses"] + values["worst_false_accepts"]
    assert page.count("<audio") == len(worst)


def test_worst_ones_of_a_stream_are_cut_from_where_they_are(trained, stream) -> None:
    """At threshold nearly 1 everything is missed, so there is something to cut."""
    metadata = trained.folder / "w/export/metadata.json"
    kept = metadata.read_text()
    metadata.write_text(json.dumps(json.loads(kept) | {"threshold": 1.0}))
    try:
        words = ("evaluate", "w/export", "--stream", "w/stream", "--out", "deaf", "--json")
        values = json.loads(trained(*words).stdout)
    finally:
        metadata.write_text(kept)
    assert values["miss_rate"] == 1.0
    whole, rate = soundfile.read(trained.folder / "w/stream/stream-000.wav")
    first = values["worst_misses"][0]
    cut, cut_rate = soundfile.read(trained.folder / "deaf/evaluation_clips/miss-01.wav")
    assert cut_rate == rate
    start = round((first["onset_s"] - 0.7) * rate)
    assert abs(cut - whole[start : start + len(cut)]).max() < 1e-4
    assert (
        f"missed kw at {first['onset_s']:.2f} s"
        in (trained.folder / "deaf/evaluation.html").read_text()
    )


def test_curves_as_a_picture(trained, stream) -> None:
    words = ("evaluate", "w/export", "--stream", "w/stream", "--out", "reports", "--plot")
    for name, begins in (("curves.png", b"\x89PNG"), ("curves.svg", b"<?xml")):
        trained(*words, name)
        assert (trained.folder / name).read_bytes().startswith(begins)
    drawn = (trained.folder / "curves.svg").read_text()
    assert "export on stream" in drawn
    assert "keywords missed, %" in drawn
    threshold = json.loads((trained.folder / "reports/evaluation.json").read_text())["threshold"]
    assert f"threshold {threshold_text(threshold)}" in drawn
    assert ".png or .svg" in trained(*words, "curves.pdf", code=2).stderr


def test_model_export_folder_and_single_recording_agree(trained, stream) -> None:
    words = ("--stream", "w/stream", "--json", "--out", "reports")
    of_export = json.loads(trained("evaluate", "w/export", *words).stdout)
    of_model = json.loads(trained("evaluate", "w/model", *words).stdout)
    wav = "w/stream/stream-000"
    labelled = ("--stream", f"{wav}.wav", "--labels", f"{wav}.txt", "--json", "--out", "reports")
    of_file = json.loads(trained("evaluate", "w/export", *labelled).stdout)
    names = ("num_keywords", "num_misses", "num_false_accepts", "threshold", "hours")
    for name in names:
        assert of_model[name] == of_export[name] == pytest.approx(of_file[name]), name
    assert of_file["stream"]["leak_check"] == of_export["stream"]["leak_check"], "its set is there"
    assert "speaker" not in of_file["misses_by"], "labels name no speakers"


def test_what_a_model_was_trained_on_is_refused_by_name(trained, stream) -> None:
    trained("stream-set", "w", "--hours", "0.05", "--split", "train", "--out", "heard")
    done = trained("evaluate", "w/export", "--stream", "heard", code=1)
    assert "are in what the model was trained on too: keyword/kw/" in done.stderr
    words = ("evaluate", "w/export", "--stream", "heard", "--allow-leak", "--json")
    told = json.loads(trained(*words).stdout)["stream"]["leak_check"]
    assert told.endswith("clips are in what the model was trained on")


def test_a_recording_that_was_trained_on_is_refused_by_name(trained, stream) -> None:
    """A stream's test clip may judge, another take of another split may not; nor a train stream."""
    labels = trained.folder / "take.txt"
    labels.write_text("0.2\t0.4\tkw\n")
    own = own_recordings(_card(trained), str(trained.folder / "w/data"))
    takes = {
        known.split: known.clip_id.removeprefix("keyword/")
        for known in own.values()
        if "/kw/" in known.clip_id
    }
    assert set(takes) == {"train", "validation", "test"}
    for split, take in takes.items():
        words = ("evaluate", "w/export", "--stream", take, "--labels", labels, "--out", "own")
        done = trained(*words, code=0 if split == "test" else 1)
        assert (f"was trained on: keyword/{take} is this very file" in done.stderr) == (
            split != "test"
        )
    allowed = (*words[:3], takes["train"], *words[4:], "--allow-leak", "--json")
    told = json.loads(trained(*allowed).stdout)["stream"]["leak_check"]
    assert told.endswith("is this very file, of the model's train")
    trained("stream-set", "w", "--hours", "0.02", "--split", "train", "--out", "learnt")
    alone = ("--stream", "learnt/stream-000.wav", "--labels", "learnt/stream-000.txt")
    assert (
        "are in what the model was trained on"
        in trained("evaluate", "w/export", *alone, code=1).stderr
    )


def test_a_stream_that_was_mined_is_refused(trained, stream, monkeypatch) -> None:
    """Whatever it was called then: its digest stands in the names of the clips."""
    made = read_stream_set(trained.folder / "w/stream")
    digest = made.files[0].sha256[:12]
    clip = clip_of(
        f"negative/hard/evening__{digest}__t000000100.wav", 100, kind="hard", group=digest
    )
    known = [({"train": (clip,), "validation": (), "test": ()}, None)]
    monkeypatch.setattr(model_leaks, "_generations", lambda *_: known)
    leaks, _ = model_leaks.leaks_into(_card(trained), made, "data")
    assert [(leak.clip, leak.other) for leak in leaks] == [(made.files[0].name, clip.clip_id)]


def test_the_nearest_clip_of_all_generations_counts(monkeypatch, trained) -> None:
    """A recording may be of the test split in one generation, and of training in a later one."""
    first, other = "0123456789ab", "ba9876543210"
    late = clip_of(f"keyword/kw/a__{first}__{other}__t000000100.wav", 100, group="somebody")
    early = clip_of(f"keyword/kw/a__{first}__t000000500.wav", 100, group="somebody")
    mined = clip_of(
        f"negative/hard/b__{'c' * 12}__t000000500.wav", 100, kind="hard", group="c" * 12
    )
    generations = [
        ({"train": (mined,), "validation": (), "test": (early,)}, None),
        ({"train": (mined, late), "validation": (), "test": (early,)}, None),
    ]
    for count, split in ((1, "test"), (2, "train")):
        found = generations[:count]
        monkeypatch.setattr(model_leaks, "_generations", lambda *_, found=found: found)
        own = own_recordings(_card(trained), "data")
        assert (own[first].split, own[first].cut, own[first].mined) == (split, True, False)
        assert own["c" * 12].mined, "may be mined again"
    assert own[other].clip_id == late.clip_id, "a clip of a clip"


def _card(trained) -> dict:
    return json.loads((trained.folder / "w/export/metadata.json").read_text())["card"]


def test_another_division_into_splits_is_looked_up_in_the_models_own_data(trained) -> None:
    """A model's training takes are another recipe's test takes: only its data set tells."""
    setting = "splits={train: 0.1, validation: 0.1, test: 0.8}"
    trained("stream-set", "w", "--hours", "0.05", "--out", "redivided", "--set", setting)
    done = trained("evaluate", "w/export", "--stream", "redivided", code=1)
    assert "wav is the same file as negative/other/" in done.stderr
    nowhere = ("evaluate", "w/export", "--stream", "redivided", "--dataset", "nowhere", "--json")
    told = json.loads(trained(*nowhere).stdout)["stream"]["leak_check"]
    assert told.startswith("not checked: nowhere has no manifest.json")


def test_a_changed_stream_is_not_judged(trained) -> None:
    trained("stream-set", "w", "--hours", "0.02", "--out", "changed")
    path = trained.folder / "changed/stream-000.wav"
    data = bytearray(path.read_bytes())
    data[100_000] ^= 1
    path.write_bytes(data)
    assert "other bytes" in trained("evaluate", "w/export", "--stream", "changed", code=1).stderr


def test_requests_that_make_no_sense(trained, stream) -> None:
    for words in (
        ("evaluate", "w/export"),
        ("evaluate", "w/export", "--stream", "w/stream/stream-000.wav"),
        ("evaluate", "w/export", "--stream", "w/stream", "--labels", "w/stream/stream-000.txt"),
        ("evaluate", "w/model", "--dataset", "w/data", "--allow-leak"),
    ):
        assert "MODEL --stream FOLDER" in trained(*words, code=2).stderr
    assert "--snr loud" in trained("stream-set", "w", "--snr", "loud", code=2).stderr
    again = trained("stream-set", "w", "--hours", "0.1", "--snr", "5,20", "--seed", "11", "--json")
    assert json.loads(again.stdout)["reused"] is True
    done = trained("stream-set", "w", "--hours", "0.2", code=2)
    assert "options.hours: 0.1 → 0.2" in done.stderr
    assert "no stream-set.json" in trained("evaluate", "w/export", "--stream", "kw", code=2).stderr
