"""`wakebeam studio`: its four rooms in a browser, what it refuses, and what survives a kill."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

import numpy as np
import pytest
import soundfile

from pipeline.labels.label_files import read_labels, write_labels
from schemas.errors import RequestError
from schemas.labels import Label, LabelledRecording
from tests.audio_factory import write
from tests.browser import barriers, open_page, wait_until

ROOT = Path(__file__).parents[2]
HOSTILE = "<img src=x onerror=alert(1)>.wav"


@dataclass
class Studio:
    """A studio's process and its address."""

    process: subprocess.Popen[str]
    address: str

    @property
    def port(self) -> int:
        return urlsplit(self.address).port or 0

    @property
    def token(self) -> str:
        return self.address.partition("token=")[2]

    def ask(
        self, method: str, path: str, body: bytes | str | None = None, **headers: str
    ) -> tuple[int, bytes]:
        """Ask as a page of the studio would; a header given as "" is left out."""
        own = {
            "Host": f"127.0.0.1:{self.port}",
            "Origin": f"http://127.0.0.1:{self.port}",
            "Cookie": f"wakebeam-{self.port}={self.token}",
        } | {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.putrequest(method, path, skip_host=True)
        if body is not None and "Content-Length" not in own:
            own["Content-Length"] = str(len(body))
        for name, value in own.items():
            if value:
                connection.putheader(name, value)
        connection.endheaders(body.encode() if isinstance(body, str) else body)
        answer = connection.getresponse()
        found = answer.status, answer.read()
        connection.close()
        return found


@contextlib.contextmanager
def studio(folder: Path, *options: object) -> Iterator[Studio]:
    process = subprocess.Popen(
        [sys.executable, "-m", "wakebeam.cli", "studio", str(folder), "--no-browser"]
        + [str(option) for option in options],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    address = process.stdout.readline().strip()
    assert address.startswith("http://127.0.0.1:"), process.stderr.read()
    try:
        yield Studio(process, address)
    finally:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        process.wait()


def session(trained, names: list[str], gap_s: float = 1.2) -> np.ndarray:
    """Clips one after the other with quiet between them."""
    quiet = np.random.default_rng(0).standard_normal(round(16000 * gap_s)) * 0.0005
    clips = (soundfile.read(trained.folder / name)[0] for name in names)
    return np.concatenate([quiet, *(part for clip in clips for part in (clip, quiet))])


@pytest.fixture(scope="module")
def folder(trained, tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("recordings")
    write(made / "monday.wav", session(trained, ["kw/1.wav", "other/2.wav", "kw/3.wav"]))
    write(made / "later" / "tuesday.wav", session(trained, ["kw/5.wav", "kw/7.wav"]))
    write(made / HOSTILE, session(trained, ["kw/1.wav"]))
    (made / "broken.wav").write_bytes(b"RIFFnothing")
    return made


@pytest.fixture(scope="module")
def open_studio(trained, folder) -> Iterator[Studio]:
    with studio(folder, "--model", trained.folder / "w/export") as one:
        yield one


def _files(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_only_the_page_with_the_token_gets_in(open_studio, folder) -> None:
    before = _files(folder.parent)
    ask, name = open_studio.ask, "?name=monday.wav"
    labels = json.dumps({"revision": "", "labels": []})
    assert ask("GET", "/api/recordings")[0] == 200
    assert ask("GET", "/api/recordings", Origin="")[0] == 200
    for wrong in (
        {"Cookie": ""},
        {"Cookie": f"wakebeam-{open_studio.port}=x"},
        {"Cookie": f"wakebeam-{open_studio.port}=é"},
        {"Host": f"evil.example:{open_studio.port}"},
        {"Host": "127.0.0.1:1"},
        {"Origin": "http://evil.example"},
        {"Origin": f"http://localhost:{open_studio.port}"},
        {"Origin": "null"},
    ):
        for path in ("/", "/api/recordings", f"/api/recording{name}", "/files/studio.js"):
            assert ask("GET", path, **wrong)[0] == 403, wrong
        assert ask("PUT", f"/api/labels{name}", labels, **wrong)[0] == 403, wrong
    assert ask("PUT", f"/api/labels{name}", labels, Origin="")[0] == 403
    assert ask("POST", f"/api/proposals{name}", "", Origin="")[0] == 403
    assert ask("GET", "/?token=wrong", Cookie="")[0] == 403
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec_WebSocket_Version": "13"}
    upgrade["Sec_WebSocket_Key"] = "AAAAAAAAAAAAAAAAAAAAAA=="
    for path in (
        "/socket/record?rate=16000&keyword=k&speaker=s&licence=l",
        "/socket/listen?rate=1",
    ):
        assert ask("GET", path, Origin="http://evil.example", **upgrade)[0] == 403
        assert ask("GET", path, Origin="", **upgrade)[0] == 403
    assert _files(folder.parent) == before, "nothing was written"


def test_only_what_lies_in_the_folder_is_read_or_written(open_studio, folder) -> None:
    outside = write(folder.parent / "outside.wav", np.zeros(16000))
    (folder / "link.wav").symlink_to(outside)
    (folder.parent / "secret.txt").write_text("0.0\t1.0\tsecret\n")
    secret = folder.parent / "secret.txt"
    before = _files(folder.parent)
    labels = json.dumps({"revision": "", "labels": []})
    (folder / "monday.txt").symlink_to(secret)
    for method, path in (("GET", "recording"), ("PUT", "labels")):
        status, said = open_studio.ask(method, f"/api/{path}?name=monday.wav", labels)
        assert status == 400, "labels that lie elsewhere"
        assert b"is a link" in said
    (folder / "monday.txt").unlink()
    (folder / ".monday.txt.writing").symlink_to(secret)
    assert open_studio.ask("PUT", "/api/labels?name=monday.wav", labels)[0] == 200
    assert secret.read_text() == "0.0\t1.0\tsecret\n"
    (folder / "monday.txt").unlink()
    for name in (
        "../outside.wav",
        str(outside),
        "link.wav",
        "later/../../outside.wav",
        "..%2foutside.wav",
        "\0",
        "",
        ".",
        "later",
        "../secret.txt",
        "x" * 5000,
    ):
        for path in ("recording", "stretch", "sound", "take"):
            query = f"/api/{path}?name={quote(name)}&from_s=0&to_s=1"
            assert open_studio.ask("GET", query)[0] == 404, name
        assert open_studio.ask("PUT", f"/api/labels?name={quote(name)}", labels)[0] == 404
    for path in ("/files/../guard.py", "/files/%2e%2e%2fguard.py", "/files/dataset.js", "/etc"):
        assert open_studio.ask("GET", path)[0] == 404
    (folder / "link.wav").unlink()
    before.pop(str(folder / "link.wav"))
    assert _files(folder.parent) == before


def test_two_gigabytes_and_wrong_labels_are_refused(open_studio, folder) -> None:
    before = _files(folder)
    status, _ = open_studio.ask(
        "PUT", "/api/labels?name=monday.wav", b"{" + b" " * (5 << 20), Content_Length=str(2 << 30)
    )
    assert status == 413
    good = {"onset_s": 0.5, "offset_s": 1.0, "label": "kw"}
    for rows in (
        [good | {"offset_s": 0.4}],
        [good | {"onset_s": -1}],
        [good | {"onset_s": float("nan")}],
        [good | {"label": "a\tb"}],
        [good | {"label": 3}],
        [good | {"path": "x"}],
        [good, good],
        "labels",
        None,
    ):
        body = json.dumps({"revision": "", "labels": rows})
        status, said = open_studio.ask("PUT", "/api/labels?name=monday.wav", body)
        assert (status, list(json.loads(said))) == (400, ["error"]), rows
    for body in ("", "[]", "{}", "{" * 10_000):
        assert open_studio.ask("PUT", "/api/labels?name=monday.wav", body)[0] == 400
    for query in ("from_s=0&to_s=1e9", "from_s=nan&to_s=1", "from_s=5&to_s=4", "from_s=-1&to_s=1"):
        assert open_studio.ask("GET", f"/api/stretch?name=monday.wav&{query}")[0] == 400
    assert open_studio.ask("GET", "/api/recording?name=broken.wav")[0] == 400
    assert _files(folder) == before


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
    path.unlink()


def test_what_is_written_can_be_read_again(tmp_path) -> None:
    twice = tuple(Label(0.0, 1.0, "kw") for _ in range(2))
    with pytest.raises(RequestError, match="overlaps"):
        write_labels([LabelledRecording("a.wav", twice)], tmp_path / "a.txt")
    assert not (tmp_path / "a.txt").exists()


def _open_room(tab, name: str) -> None:
    tab.evaluate(f"location.hash = '{name}'")
    wait_until(tab, f"!document.getElementById('room-{name}').hidden")


def _open_recording(tab, name: str) -> None:
    _open_room(tab, "label")
    wait_until(tab, "document.querySelectorAll('#label-recording option').length > 2")
    if tab.input_value("#label-recording") != name:
        tab.select_option("#label-recording", name)
    shown = "document.getElementById('label-view').dataset.shown"
    wait_until(tab, f"{shown} === {json.dumps(name)}")


def test_labels_by_keyboard_and_mouse_judge_and_train(trained, open_studio, folder) -> None:
    with open_page(open_studio.address) as tab:
        assert "token" not in tab.url
        _open_recording(tab, "monday.wav")
        assert barriers(tab) == []
        tab.fill("#label-text", "kw")
        tab.locator("#label-view").focus()
        tab.keyboard.press("n")
        tab.keyboard.press("Enter")
        wait_until(tab, "document.querySelectorAll('#label-list li').length === 1")
        length_s = soundfile.info(folder / "monday.wav").duration
        box = tab.locator("#label-view").bounding_box()
        clip_s = [soundfile.info(trained.folder / f).duration for f in ("kw/1.wav", "other/2.wav")]
        begin_s = 3 * 1.2 + sum(clip_s)
        for at, act in ((begin_s + 0.12, tab.mouse.down), (length_s - 1.3, tab.mouse.up)):
            tab.mouse.move(box["x"] + box["width"] * at / length_s, box["y"] + 60, steps=4)
            act()
        wait_until(tab, "document.getElementById('label-state').textContent === 'saved'")
        first, last = read_labels(folder / "monday.txt")[0].labels
        assert first.onset_s == pytest.approx(1.2 + 3000 / 16000, abs=0.03)
        assert last.onset_s == pytest.approx(begin_s + 3000 / 16000, abs=0.03), "it snapped"
        tab.locator(".span.label").nth(0).focus()
        for key in ("]", "]", "{"):
            tab.keyboard.press(key)
        wait_until(tab, "document.getElementById('label-state').textContent === 'saved'")
        moved = read_labels(folder / "monday.txt")[0].labels[0]
        assert moved.onset_s == pytest.approx(first.onset_s + 0.02)
        assert moved.offset_s == pytest.approx(first.offset_s - 0.01)
        for _ in range(3):
            tab.keyboard.press("Control+z")
        wait_until(tab, "document.getElementById('label-state').textContent === 'saved'")
        assert read_labels(folder / "monday.txt")[0].labels == (first, last)
        tab.keyboard.press(" ")
        wait_until(tab, "document.getElementById('label-audio').currentTime > 0.1")
        tab.set_viewport_size({"width": 360, "height": 700})
        assert tab.evaluate("document.documentElement.scrollWidth") <= 360
        assert tab.problems == []
    words = ("--stream", folder / "monday.wav", "--labels", folder / "monday.txt", "--json")
    judged = json.loads(trained("evaluate", "w/export", *words, "--out", "studio-report").stdout)
    assert (judged["num_keywords"], judged["num_misses"]) == (2, 0)
    trained("cut", folder / "monday.wav", folder / "monday.txt", "--out", "marked")
    assert len(list((trained.folder / "marked/kw").glob("*.wav"))) == 2


def test_proposals_of_the_detector_are_accepted_and_rejected(open_studio, folder) -> None:
    with open_page(open_studio.address) as tab:
        _open_recording(tab, "later/tuesday.wav")
        tab.click("#label-propose")
        wait_until(tab, "document.getElementById('label-state').textContent.includes('proposals')")
        assert tab.locator(".proposal").count() == 2
        tab.locator("#label-view").focus()
        tab.keyboard.press("a")
        tab.keyboard.press("x")
        wait_until(tab, "document.getElementById('label-state').textContent === 'saved'")
        assert tab.locator(".proposal").count() == 0
        assert tab.problems == []
    (label,) = read_labels(folder / "later/tuesday.txt")[0].labels
    assert label.label == "kw"
    assert label.onset_s == pytest.approx(1.2 + 3000 / 16000, abs=0.03), "snapped to the sound"
    (folder / "later/tuesday.txt").unlink()


def test_nothing_unsaved_is_left_behind(open_studio, folder) -> None:
    """Overlapping labels can't be saved; another recording isn't opened before that is settled."""
    path = folder / "later/tuesday.txt"
    with open_page(open_studio.address) as tab:
        _open_recording(tab, "later/tuesday.wav")
        box = tab.locator("#label-view").bounding_box()
        for ends in ((0.1, 0.4), (0.6, 0.3)):  # past a label that is there: a drag begins beside it
            tab.mouse.move(box["x"] + box["width"] * ends[0], box["y"] + 60)
            tab.mouse.down()
            tab.mouse.move(box["x"] + box["width"] * ends[1], box["y"] + 60, steps=4)
            tab.mouse.up()
        wait_until(tab, "document.getElementById('label-state').textContent.includes('overlaps')")
        tab.select_option("#label-recording", "monday.wav")
        wait_until(tab, "!document.getElementById('trouble').hidden")
        assert tab.input_value("#label-recording") == "later/tuesday.wav"
        assert tab.locator("#label-list li").count() == 2
        tab.locator("#label-view").focus()
        tab.keyboard.press("Control+z")
        wait_until(tab, "document.getElementById('label-state').textContent === 'saved'")
        _open_recording(tab, "monday.wav")
        _open_recording(tab, "later/tuesday.wav")
        assert tab.locator("#label-list li").count() == 1
        assert len(read_labels(path)[0].labels) == 1
        path.unlink()
        for name in ("monday.wav", "later/tuesday.wav"):  # opened anew: no labels any more
            _open_recording(tab, name)
        tab.locator("#label-view").focus()
        for key in ("n", "n", "Enter", "p"):
            tab.keyboard.press(key)
        wait_until(tab, "document.querySelectorAll('.candidate').length === 1")
        wait_until(tab, "document.getElementById('label-state').textContent === 'saved'")
        assert tab.locator(".candidate").bounding_box()["x"] < box["x"] + box["width"] / 2
        assert read_labels(path)[0].labels[0].onset_s > 2.0, "the second sound, not the first"
    path.unlink()


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
        (folder / f"{name}.txt").unlink()
    (folder / "monday.flac").unlink()


def test_ctrl_c_ends_it_well(folder) -> None:
    with studio(folder) as one:
        assert one.ask("GET", "/api/recording?name=monday.wav")[0] == 200
        one.process.send_signal(signal.SIGINT)
        assert one.process.wait(10) == 0
        assert "Traceback" not in one.process.stderr.read()


def test_leaving_the_room_stops_the_microphone(trained, folder, open_studio, tmp_path) -> None:
    microphone = write(tmp_path / "spoken.wav", session(trained, ["kw/1.wav"]))
    with open_page(open_studio.address, microphone) as tab:
        tab.fill("[name=keyword]", "unheard")
        tab.check("[name=consent]")
        tab.click("#record-start")
        _open_room(tab, "watch")
        tab.wait_for_timeout(4000)
        assert not (folder / "takes/unheard").exists()
        _open_room(tab, "record")
        tab.fill("[name=keyword]", "слово")
        tab.click("#record-start")
        wait_until(tab, "document.getElementById('trouble').textContent.includes('A-Z')")


def test_two_tabs_on_one_file_ask(open_studio, folder) -> None:
    path = folder / "later/tuesday.txt"
    with open_page(open_studio.address) as tab:
        _open_recording(tab, "later/tuesday.wav")
        path.write_text("0.100000\t0.200000\tof another tab\n")
        tab.locator("#label-view").focus()
        tab.keyboard.press("n")
        tab.keyboard.press("Enter")
        wait_until(tab, "!document.getElementById('label-conflict').hidden")
        assert "of another tab" in path.read_text()
        tab.locator("#label-theirs").focus()
        tab.keyboard.press("Enter")
        wait_until(tab, "document.getElementById('label-conflict').hidden")
        tab.keyboard.press("]")
        assert tab.locator("#label-list li").count() == 1
        tab.keyboard.press("Control+z")
        wait_until(tab, "document.getElementById('label-state').textContent === 'saved'")
        assert "of another tab" not in path.read_text(), "mine was kept, a step of undo away"
    path.unlink()


def test_a_killed_studio_loses_at_most_two_seconds(trained, folder) -> None:
    path = folder / "later/tuesday.txt"
    with studio(folder) as one, open_page(one.address) as tab:
        _open_recording(tab, "later/tuesday.wav")
        assert tab.locator("#label-propose").is_hidden(), "without a model"
        tab.locator("#label-view").focus()
        for _ in range(2):
            tab.keyboard.press("n")
            tab.keyboard.press("Enter")
        time.sleep(2.0)
        one.process.kill()
        one.process.wait()
        assert len(read_labels(path)[0].labels) == 2
        tab.keyboard.press("Delete")
        wait_until(tab, "document.getElementById('label-state').textContent.includes('again')")
    assert len(read_labels(path)[0].labels) == 2
    path.unlink()


def test_takes_are_recorded_judged_and_taken_back(trained, folder, open_studio, tmp_path) -> None:
    names = ["kw/1.wav", "kw/3.wav", "kw/5.wav"]
    microphone = write(tmp_path / "spoken.wav", session(trained, names, gap_s=1.5))
    with open_page(open_studio.address, microphone) as tab:
        assert barriers(tab) == []
        tab.fill("[name=keyword]", "my word")
        tab.fill("[name=speaker]", "anna")
        tab.fill("[name=takes]", "3")
        tab.click("#record-start")
        assert tab.locator("#record-status").text_content() == "", "nothing without consent"
        tab.check("[name=consent]")
        tab.click("#record-start")
        wait_until(tab, "document.querySelectorAll('#record-takes li').length > 0", 60)
        tab.click("#record-undo")
        wait_until(
            tab, "document.getElementById('record-takes').textContent.includes('taken back')"
        )
        wait_until(
            tab, "document.getElementById('record-status').textContent.startsWith('3 of 3')", 60
        )
        tab.locator("#record-takes audio").first.evaluate("audio => audio.play()")
        wait_until(tab, "document.querySelector('#record-takes audio').currentTime > 0.1")
        tab.set_viewport_size({"width": 360, "height": 700})
        assert tab.evaluate("document.documentElement.scrollWidth") <= 360
        assert tab.problems == []
    takes = sorted((folder / "takes/my_word").glob("anna__*.wav"))
    assert len(takes) == 3
    for take in takes:
        assert 0.3 < soundfile.info(take).duration < 1.2, "cut to what was said"
    licence = (folder / "takes/my_word/LICENCE.txt").read_text()
    assert licence.startswith("private use only\nanna agreed on ")


def test_the_detector_hears_the_microphone_live(trained, open_studio, tmp_path) -> None:
    microphone = write(tmp_path / "live.wav", session(trained, ["kw/1.wav", "other/2.wav"], 2.0))
    with open_page(open_studio.address, microphone) as tab:
        _open_room(tab, "listen")
        wait_until(tab, "!document.getElementById('listen-start').disabled")
        assert barriers(tab) == []
        tab.click("#listen-start")
        wait_until(tab, "document.querySelectorAll('#listen-found li').length >= 2", 60)
        said = tab.locator("#listen-found li").first.text_content()
        assert " kw " in said
        assert "later" in said
        tab.click("#listen-stop")
        wait_until(tab, "document.getElementById('listen-status').textContent === 'stopped'")
        assert tab.problems == []


def test_a_training_is_watched(trained, tmp_path) -> None:
    with studio(trained.folder / "w", "--takes", tmp_path) as one, open_page(one.address) as tab:
        _open_room(tab, "watch")
        wait_until(tab, "document.querySelectorAll('#watch-charts svg').length >= 3")
        assert tab.input_value("#watch-training") == "model"
        history = json.loads((trained.folder / "w/model/history.json").read_text())
        said = tab.locator("#watch-state").text_content()
        assert said.startswith(f"{len(history['epochs'])} epochs, finished; on the test split")
        assert tab.locator("#watch-table tbody tr").count() == len(history["epochs"])
        wait_until(tab, "document.querySelector('#watch-output img').naturalWidth > 300")
        assert barriers(tab) == []
        _open_room(tab, "listen")
        wait_until(tab, "document.getElementById('listen-about').textContent.includes('--model')")
        assert tab.problems == []
    with studio(trained.folder / "w/model") as one, open_page(one.address) as tab:
        _open_room(tab, "watch")
        wait_until(tab, "document.querySelectorAll('#watch-charts svg').length >= 3")


def test_hostile_names_are_text(open_studio) -> None:
    with open_page(open_studio.address) as tab:
        _open_recording(tab, HOSTILE)
        assert tab.locator("main img[src=x]").count() == 0
        tab.fill("#label-text", HOSTILE)
        tab.locator("#label-view").focus()
        tab.keyboard.press("n")
        tab.keyboard.press("Enter")
        wait_until(tab, "document.getElementById('label-state').textContent === 'saved'")
        assert tab.locator("main img[src=x]").count() == 0
        assert HOSTILE in tab.locator("#label-list").text_content()
        assert tab.problems == []


def test_wrong_requests_are_refused_on_the_command_line(trained, open_studio) -> None:
    assert "no folder" in trained("studio", "nowhere", code=2).stderr
    assert "no export" in trained("studio", "--model", "w/data", code=2).stderr
    done = trained("studio", "--no-browser", "--port", open_studio.port, code=2)
    assert "--port" in done.stderr
