"""The studio's room to label in: by keyboard and mouse, saved in time, never over another's."""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile

from pipeline.labels.label_files import read_labels, write_labels
from schemas.errors import RequestError
from schemas.labels import Label, LabelledRecording
from tests.audio_factory import write
from tests.browser import barriers, open_page, wait_until
from tests.wakebeam.studio_client import (
    another_tab,
    drag,
    label_sounds,
    open_recording,
    session,
    studio,
    wait_for_state,
    wait_until_saved,
)


@pytest.fixture(autouse=True)
def without_labels(folder) -> Iterator[None]:
    """Each test begins without the labels of others."""
    yield
    for path in [*folder.rglob("*.txt"), *folder.rglob(".*")]:
        path.unlink()


def test_labels_by_keyboard_and_mouse_judge(trained, open_studio, folder) -> None:
    with open_page(open_studio.address) as tab:
        assert "token" not in tab.url
        open_recording(tab, "monday.wav")
        assert barriers(tab) == []
        tab.fill("#label-text", "kw")
        tab.locator("#label-view").focus()
        tab.keyboard.press("n")
        tab.keyboard.press("Enter")
        wait_until(tab, "document.querySelectorAll('#label-list li').length === 1")
        length_s = soundfile.info(folder / "monday.wav").duration
        box = tab.locator("#label-view").bounding_box()
        clip_s = [soundfile.info(folder.parent / f).duration for f in ("kw/1.wav", "other/2.wav")]
        begin_s = 3 * 1.2 + sum(clip_s)
        for at, act in ((begin_s + 0.12, tab.mouse.down), (length_s - 1.3, tab.mouse.up)):
            tab.mouse.move(box["x"] + box["width"] * at / length_s, box["y"] + 60, steps=4)
            act()
        wait_until_saved(tab)
        first, last = read_labels(folder / "monday.txt")[0].labels
        assert first.onset_s == pytest.approx(1.2 + 3000 / 16000, abs=0.03)
        assert last.onset_s == pytest.approx(begin_s + 3000 / 16000, abs=0.03), "it snapped"
        tab.locator(".span.label").nth(0).focus()
        for key in ("]", "]", "{"):
            tab.keyboard.press(key)
        wait_until_saved(tab)
        moved = read_labels(folder / "monday.txt")[0].labels[0]
        assert moved.onset_s == pytest.approx(first.onset_s + 0.02)
        assert moved.offset_s == pytest.approx(first.offset_s - 0.01)
        for _ in range(3):
            tab.keyboard.press("Control+z")
        wait_until_saved(tab)
        assert read_labels(folder / "monday.txt")[0].labels == (first, last)
        tab.keyboard.press(" ")
        wait_until(tab, "document.getElementById('label-audio').currentTime > 0.1")
        tab.set_viewport_size({"width": 360, "height": 700})
        assert tab.evaluate("document.documentElement.scrollWidth") <= 360
        assert tab.problems == []
    words = ("--stream", folder / "monday.wav", "--labels", folder / "monday.txt", "--json")
    judged = json.loads(trained("evaluate", "w/export", *words, "--out", "studio-report").stdout)
    assert (judged["num_keywords"], judged["num_misses"]) == (2, 0)
    trained("cut", folder / "monday.wav", folder / "monday.txt", "--out", "cut-out")
    assert len(list((trained.folder / "cut-out/kw").glob("*.wav"))) == 2


def test_labels_of_the_studio_train_a_model_and_judge_it(trained, open_studio, folder) -> None:
    """By keyboard: every sound of one recording, to train with, and two of another, to judge on."""
    taken = {"session.wav": range(6), "monday.wav": (0, 2)}
    clips = [f"kw/{i}.wav" for i in (0, 2, 4, 5, 6, 7)]
    write(folder / "session.wav", session(folder.parent, clips))
    with open_page(open_studio.address) as tab:
        for name, sounds in taken.items():
            open_recording(tab, name)
            tab.fill("#label-text", "marked")
            tab.locator("#label-view").focus()
            for i in range(max(sounds) + 1):
                tab.keyboard.press("n")
                wait_until(tab, "document.querySelectorAll('.candidate').length === 1")
                if i in sounds:
                    tab.keyboard.press("Enter")
            wait_until_saved(tab)
            assert tab.locator("#label-list li").count() == len(sounds)
    trained("cut", folder / "session.wav", folder / "session.txt", "--out", "by-hand")
    takes = ("--keyword", "by-hand/marked", "--negative", "other", "--background", "noise")
    trained("init", "marked", *takes)
    trained("run", "marked", *trained.settings())
    for name in taken:
        labelled = (folder / name, "--labels", (folder / name).with_suffix(".txt"))
        words = ("--stream", *labelled, "--json", "--out", "marked-report")
        refused = name == "session.wav"
        done = trained("evaluate", "marked/export", *words, code=1 if refused else 0)
        if refused:
            assert "is what was cut out of it, of the model's " in done.stderr
        else:
            judged = json.loads(done.stdout)
            assert judged["num_keywords"] == 2
            assert judged["num_misses"] < 2, "what was marked is found again"
    (folder / "session.wav").unlink()


def test_channels_are_seen_and_heard_apart(open_studio, folder) -> None:
    clip = soundfile.read(folder.parent / "kw/1.wav")[0]
    quiet = np.zeros(16000)
    left, right = np.concatenate([clip, quiet]), np.concatenate([quiet, clip])
    write(folder / "two.wav", np.stack([left, right], axis=1))
    with open_page(open_studio.address) as tab:
        open_recording(tab, "monday.wav")
        assert tab.locator("#label-channel").is_hidden()
        open_recording(tab, "two.wav")
        shown = "document.querySelector('#label-view img').src"
        pictures = {tab.evaluate(shown)}
        for channel in ("1", "2"):
            tab.select_option("#label-channel", channel)
            wait_until(tab, f"!{json.dumps(sorted(pictures))}.includes({shown})")
            pictures.add(tab.evaluate(shown))
        tab.locator("#label-view").focus()
        tab.keyboard.press(" ")
        wait_until(tab, "document.getElementById('label-audio').src.includes('channel=2')")
        assert tab.problems == []
    heard = []
    for channel in (0, 1, 2):
        query = f"/api/sound?name=two.wav&from_s=0&to_s=1&channel={channel}"
        status, content = open_studio.ask("GET", query)
        assert status == 200
        heard.append(float(np.square(soundfile.read(io.BytesIO(content))[0]).mean()))
    assert heard[2] < 1e-9 < heard[0] < heard[1]
    for wrong in ("3", "-1", "nan", "x"):
        query = f"/api/sound?name=two.wav&from_s=0&to_s=1&channel={wrong}"
        assert open_studio.ask("GET", query)[0] == 400
    (folder / "two.wav").unlink()


def test_proposals_of_the_detector_are_accepted_and_rejected(open_studio, folder) -> None:
    with open_page(open_studio.address) as tab:
        open_recording(tab, "later/tuesday.wav")
        tab.click("#label-propose")
        wait_until(tab, "document.getElementById('label-state').textContent.includes('proposals')")
        assert tab.locator(".proposal").count() == 2
        tab.locator("#label-view").focus()
        tab.keyboard.press("a")
        tab.keyboard.press("x")
        wait_until_saved(tab)
        assert tab.locator(".proposal").count() == 0
        assert tab.problems == []
    (label,) = read_labels(folder / "later/tuesday.txt")[0].labels
    assert label.label == "kw"
    assert label.onset_s == pytest.approx(1.2 + 3000 / 16000, abs=0.03), "snapped to the sound"


def test_nothing_unsaved_is_left_behind(open_studio, folder) -> None:
    """Another recording isn't opened before what can't be saved is settled."""
    path = folder / "later/tuesday.txt"
    with open_page(open_studio.address) as tab:
        open_recording(tab, "later/tuesday.wav")
        drag(tab, 0.1, 0.4)
        wait_until_saved(tab)
        path.write_text("0.1\t0.2\tsomebody's\n")
        tab.keyboard.press("]")
        wait_for_state(tab, "kept as a draft")
        tab.select_option("#label-recording", "monday.wav")
        wait_until(tab, "!document.getElementById('trouble').hidden")
        assert tab.input_value("#label-recording") == "later/tuesday.wav"
        tab.click("#label-mine")
        wait_until_saved(tab)
        open_recording(tab, "monday.wav")
        open_recording(tab, "later/tuesday.wav")
        assert tab.locator("#label-list li").count() == 1
        assert len(read_labels(path)[0].labels) == 1
        path.unlink()
        for name in ("monday.wav", "later/tuesday.wav"):  # opened anew: no labels any more
            open_recording(tab, name)
        box = tab.locator("#label-view").bounding_box()
        tab.locator("#label-view").focus()
        for key in ("n", "n", "Enter", "p"):
            tab.keyboard.press(key)
        wait_until(tab, "document.querySelectorAll('.candidate').length === 1")
        wait_until_saved(tab)
        assert tab.locator(".candidate").bounding_box()["x"] < box["x"] + box["width"] / 2
        assert read_labels(path)[0].labels[0].onset_s > 2.0, "the second sound, not the first"


def test_stretches_of_one_label_do_not_overlap(open_studio, folder) -> None:
    """What couldn't be saved is refused at once, with the reason, however it is tried."""
    path = folder / "later/tuesday.txt"
    with open_page(open_studio.address) as tab:
        open_recording(tab, "later/tuesday.wav")
        for ends in ((0.05, 0.3), (0.9, 0.5), (0.4, 0.25)):
            drag(tab, *ends)  # the last over the first: it begins beside it
        assert "overlaps" in tab.text_content("#trouble")
        assert tab.locator("#label-list li").count() == 2
        tab.fill("#label-text", "other")
        tab.keyboard.press("Tab")  # the second, which is selected
        drag(tab, 0.45, 0.25)
        assert tab.locator("#trouble").is_hidden()
        wait_until_saved(tab)
        kept = read_labels(path)[0].labels
        tab.locator(".span.label").nth(1).focus()
        tab.fill("#label-text", kept[0].label)
        tab.keyboard.press("Tab")
        assert "overlaps" in tab.text_content("#trouble")
        assert tab.input_value("#label-text") == kept[1].label
        assert tab.problems == []
    assert len(kept) == 3
    assert read_labels(path)[0].labels == kept


def test_a_newcomer_labels_by_mouse_and_enter(trained, folder, tmp_path) -> None:
    """The detector's label is there; after a click Enter labels; the list says what has labels."""
    write(tmp_path / "elsewhere.wav", np.zeros(16000))
    (folder / "link.wav").symlink_to(tmp_path / "elsewhere.wav")
    (folder / "later/inside.wav").symlink_to(folder / "monday.wav")
    with (
        studio(folder, "--model", trained.folder / "w/export") as one,
        open_page(one.address) as tab,
    ):
        open_recording(tab, "later/tuesday.wav")
        listed = tab.locator("#label-recording option").all_text_contents()
        assert "link.wav" not in listed
        assert "later/inside.wav" in listed
        assert tab.text_content("#label-left-out").endswith("are left out: 1")
        tab.click("#label-next")
        tab.keyboard.press("Enter")
        wait_until_saved(tab)
        assert tab.text_content("#label-list").endswith("· kw")
        assert tab.locator("#label-list li").count() == 1
        listed = tab.locator("#label-recording option").all_text_contents()
        assert "later/tuesday.wav (labels)" in listed
    for name in ("link.wav", "later/inside.wav"):
        (folder / name).unlink()


def test_two_tabs_on_one_file_ask(open_studio, folder) -> None:
    """Two real tabs: the one that comes second is asked, and gets what it chooses."""
    path = folder / "later/tuesday.txt"
    with open_page(open_studio.address) as first:
        second = another_tab(first)
        for tab in (first, second):
            open_recording(tab, "later/tuesday.wav")
        label_sounds(first, "first", 1)
        wait_until_saved(first)
        label_sounds(second, "second", 2)
        wait_until(second, "!document.getElementById('label-conflict').hidden")
        wait_for_state(second, "kept as a draft")
        assert [one.label for one in read_labels(path)[0].labels] == ["first"]
        second.locator("#label-theirs").focus()
        second.keyboard.press("Enter")
        wait_until(second, "document.getElementById('label-conflict').hidden")
        second.keyboard.press("]")
        assert "first" in second.text_content("#label-list")
        assert second.locator("#label-list li").count() == 1
        second.keyboard.press("Control+z")
        wait_until_saved(second)
        written = path.read_text()
        assert "first" not in written, "the second tab's own was kept, a step of undo away"
        first.locator("#label-view").focus()
        label_sounds(first, "first", 1)
        wait_until(first, "!document.getElementById('label-conflict').hidden")
        assert path.read_text() == written
        first.click("#label-mine")
        wait_until_saved(first)
        assert [one.label for one in read_labels(path)[0].labels] == ["first", "first"]
        assert list(path.parent.glob(".*")) == [], "no draft is left of what was settled"
        assert first.problems == [
            "Failed to load resource: the server responded with a status of 409 (Conflict)"
        ]


def test_two_studios_on_one_folder_ask(open_studio, folder) -> None:
    """Of saves at once from one revision, by two processes, one is written and the others told."""
    path, where = folder / "later/tuesday.txt", "/api/labels?name=later/tuesday.wav"
    with studio(folder) as other, ThreadPoolExecutor(8) as pool:
        revision = ""
        for turn in range(12):
            bodies = {}
            for i in range(8):
                row = {"onset_s": 0.5, "offset_s": 1.0, "label": f"{turn} {i}"}
                bodies[f"{turn} {i}"] = json.dumps({"revision": revision, "labels": [row]})
            asked = {
                label: pool.submit((open_studio, other)[i % 2].ask, "PUT", where, body)
                for i, (label, body) in enumerate(bodies.items())
            }
            answers = {label: one.result() for label, one in asked.items()}
            (written,) = (label for label, (status, _) in answers.items() if status == 200)
            assert {status for status, _ in answers.values()} == {200, 409}
            assert read_labels(path)[0].labels[0].label == written
            revision = json.loads(answers[written][1])["revision"]


def test_labels_that_another_program_broke_are_a_conflict(open_studio, folder) -> None:
    path = folder / "later/tuesday.txt"
    with open_page(open_studio.address) as tab:
        open_recording(tab, "later/tuesday.wav")
        path.write_text("0.5\t0.2\tends before it starts\n")
        label_sounds(tab, "kw", 1)
        wait_until(tab, "!document.getElementById('label-conflict').hidden")
        assert "ends before it starts" in tab.text_content("#label-wrong")
        tab.click("#label-theirs")
        wait_until(tab, "!document.getElementById('trouble').hidden")
        assert tab.locator("#label-list li").count() == 1, "nothing can be shown instead"
        tab.click("#label-mine")
        wait_until_saved(tab)
        (label,) = read_labels(path)[0].labels
        assert label.label == "kw"


@pytest.mark.parametrize("state", ["saved", "overlapping", "conflict"])
def test_a_killed_studio_loses_at_most_two_seconds(trained, folder, state) -> None:
    """In any state of the page: what isn't in the file is a draft, offered when it is opened."""
    path, other = folder / "later/tuesday.txt", "0.1\t0.2\tsomebody's\n"
    with studio(folder) as one, open_page(one.address) as tab:
        open_recording(tab, "later/tuesday.wav")
        assert tab.locator("#label-propose").is_hidden(), "without a model"
        label_sounds(tab, "kw", 1)
        wait_until_saved(tab)
        if state == "overlapping":
            drag(tab, 0.45, 0.2)
            assert "overlaps" in tab.text_content("#trouble")
        if state == "conflict":
            path.write_text(other)
            tab.keyboard.press("]")
            wait_until(tab, "!document.getElementById('label-conflict').hidden")
        label_sounds(tab, "kw", 1)
        time.sleep(2.0)
        one.process.kill()
        one.process.wait()
        tab.keyboard.press("Delete")
        wait_for_state(tab, "again")
    if state == "conflict":
        assert path.read_text() == other
        with studio(folder) as one, open_page(one.address) as tab:
            open_recording(tab, "later/tuesday.wav")
            assert "2 of them, 1 are in the file" in tab.text_content("#label-draft")
            tab.click("#label-draft-take")
            wait_until_saved(tab)
            assert tab.locator("#label-draft").is_hidden()
    assert [one.label for one in read_labels(path)[0].labels] == ["kw", "kw"]
    assert list(path.parent.glob(".*")) == []


def test_a_save_never_replaces_what_it_has_not_seen(open_studio, folder) -> None:
    path = folder / "later/tuesday.txt"
    path.write_text("0.500000\t1.000000\tkw\n\\\t100.0\t2000.0\n")
    where = "name=later/tuesday.wav"
    found = json.loads(open_studio.ask("GET", f"/api/recording?{where}")[1])
    assert found["labels"] == [
        {"onset_s": 0.5, "offset_s": 1.0, "label": "kw", "low_hz": 100.0, "high_hz": 2000.0}
    ]
    body = json.dumps({"revision": found["revision"], "labels": found["labels"]})
    status, said = open_studio.ask("PUT", f"/api/labels?{where}", body)
    assert status == 200
    assert read_labels(path)[0].labels[0].low_hz == 100.0
    path.write_text("0.500000\t1.000000\tsomebody else\n")
    for stale in (found["revision"], json.loads(said)["revision"], ""):
        body = json.dumps({"revision": stale, "labels": []})
        status, there = open_studio.ask("PUT", f"/api/labels?{where}", body)
        assert status == 409
        assert json.loads(there)["labels"][0]["label"] == "somebody else"
    assert "somebody else" in path.read_text()


def test_what_is_written_can_be_read_again(tmp_path) -> None:
    twice = tuple(Label(0.0, 1.0, "kw") for _ in range(2))
    with pytest.raises(RequestError, match="overlaps"):
        write_labels([LabelledRecording("a.wav", twice)], tmp_path / "a.txt")
    assert not (tmp_path / "a.txt").exists()


def test_a_recording_that_changes_while_it_is_shown(open_studio, folder) -> None:
    """Views of the old samples go on; a mapped file that is cut off would kill the process."""
    growing = folder / "growing.wav"
    sound = np.random.default_rng(0).standard_normal(16000 * 20) * 0.1
    for seconds in (20, 5, 12):
        write(growing, sound[: 16000 * seconds])
        with ThreadPoolExecutor(3) as pool:
            query = f"/api/stretch?name=growing.wav&from_s=0&to_s={seconds}"
            asked = [pool.submit(open_studio.ask, "GET", query) for _ in range(6)]
            os.utime(growing)
            assert {one.result()[0] for one in asked} == {200}
    found = json.loads(open_studio.ask("GET", "/api/recording?name=growing.wav")[1])
    assert found["duration_s"] == pytest.approx(12.0)
    assert open_studio.process.poll() is None
    growing.unlink()


def test_recordings_that_differ_in_their_suffix_have_labels_of_their_own(
    open_studio, folder
) -> None:
    write(folder / "monday.flac", np.zeros(16000), format="FLAC")
    body = json.dumps({"revision": "", "labels": []})
    for name in ("monday.wav", "monday.flac"):
        assert open_studio.ask("PUT", f"/api/labels?name={name}", body)[0] == 200
    (folder / "monday.flac").unlink()
