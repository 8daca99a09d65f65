"""The studio's rooms to record, watch and listen in, with a file as the browser's microphone."""

from __future__ import annotations

import json
import os
import shutil

import soundfile

from models.validation_scores import ValidationScores
from tests.audio_factory import write
from tests.browser import barriers, open_page, wait_until
from tests.wakebeam.studio_client import open_room, session, studio


def test_takes_are_recorded_judged_and_taken_back(folder, open_studio, tmp_path) -> None:
    names = ["kw/1.wav", "kw/3.wav", "kw/5.wav"]
    microphone = write(tmp_path / "spoken.wav", session(folder.parent, names, gap_s=1.5))
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


def test_leaving_the_room_stops_the_microphone(folder, open_studio, tmp_path) -> None:
    microphone = write(tmp_path / "spoken.wav", session(folder.parent, ["kw/1.wav"]))
    with open_page(open_studio.address, microphone) as tab:
        tab.fill("[name=keyword]", "unheard")
        tab.check("[name=consent]")
        tab.click("#record-start")
        open_room(tab, "watch")
        tab.wait_for_timeout(4000)
        assert not (folder / "takes/unheard").exists()
        open_room(tab, "record")
        tab.fill("[name=keyword]", "слово")
        tab.click("#record-start")
        wait_until(tab, "document.getElementById('trouble').textContent.includes('A-Z')")


def test_the_detector_hears_the_microphone_live(folder, open_studio, tmp_path) -> None:
    microphone = write(
        tmp_path / "live.wav", session(folder.parent, ["kw/1.wav", "other/2.wav"], 2.0)
    )
    with open_page(open_studio.address, microphone) as tab:
        open_room(tab, "listen")
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
        open_room(tab, "watch")
        wait_until(tab, "document.querySelectorAll('#watch-charts svg').length >= 3")
        assert tab.input_value("#watch-training") == "model"
        history = json.loads((trained.folder / "w/model/history.json").read_text())
        said = tab.locator("#watch-state").text_content()
        assert said.startswith(f"{len(history['epochs'])} epochs, finished; on the test split")
        assert tab.locator("#watch-table tbody tr").count() == len(history["epochs"])
        wait_until(tab, "!document.getElementById('watch-stream').hidden")
        assert tab.locator("#watch-output").is_hidden(), "the picture is for other tasks"
        matchings = ValidationScores.read(trained.folder / "w/model").count()
        said = tab.locator("#stream-which").text_content()
        assert f"misses ({sum(len(m.misses) for m in matchings)})" in said
        assert f"hits ({sum(len(m.hits) for m in matchings)})" in said
        tab.locator("#stream-list button").first.click()
        wait_until(tab, "document.querySelector('#stream-scene svg.scores') !== null")
        wait_until(tab, "document.querySelector('#stream-scene img').naturalWidth > 300")
        tab.evaluate("document.querySelector('#stream-scene audio').play()")
        wait_until(tab, "document.querySelector('#stream-scene audio').currentTime > 0.2")
        assert barriers(tab) == []
        size = tab.viewport_size
        tab.set_viewport_size({"width": 360, "height": 700})
        assert tab.evaluate("document.documentElement.scrollWidth") <= 360
        tab.set_viewport_size(size)
        open_room(tab, "listen")
        wait_until(tab, "document.getElementById('listen-about').textContent.includes('--model')")
        assert tab.problems == []
    with studio(trained.folder / "w/model") as one, open_page(one.address) as tab:
        open_room(tab, "watch")
        wait_until(tab, "document.querySelectorAll('#watch-charts svg').length >= 3")
        tab.locator("#stream-list button").first.click()
        wait_until(tab, "document.querySelector('#stream-scene svg.scores') !== null")
        said = tab.locator("#stream-scene").text_content()
        assert "without its sound" in said, "the data set lies outside of the studio's folder"


def test_a_scene_is_shown_without_its_sound_where_that_cannot_be_had(trained, tmp_path) -> None:
    """Scores and events are the model's own; the data set may be gone, another one, or damaged."""
    shutil.copytree(trained.folder / "w/model", tmp_path / "model")
    data = tmp_path / "data"
    shutil.copytree(trained.folder / "w/data", data)
    shard = sorted(data.glob("validation/*.tfrecord"))[0]
    manifest, whole = data / "manifest.json", shard.read_bytes()
    with studio(tmp_path) as one:

        def scene(name: str = "model", number: str = "0") -> tuple[int, dict]:
            path = f"/api/validation/scene?name={name}&scene={number}"
            code, body = one.ask("GET", path)
            return code, json.loads(body) if body.startswith(b"{") else {}

        code, found = scene()
        assert (code, "no_sound" in found) == (200, False)
        assert found["audio"].startswith("data:audio/mpeg")
        shard.write_bytes(b"")
        assert "fewer scenes" in scene()[1]["no_sound"]
        shard.write_bytes(whole[:-5][: len(whole) // 100])
        assert "damaged" in scene()[1]["no_sound"]
        shard.unlink()
        os.mkfifo(shard)
        assert "isn't in the studio's folder" in scene()[1]["no_sound"]
        shard.unlink()
        shard.write_bytes(whole)
        kept = manifest.read_text()
        entry = next(e for e in json.loads(kept)["shards"] if e["split"] == "validation")
        manifest.write_text(kept.replace(entry["crc32c"], "00000000"))
        assert "another data set" in scene()[1]["no_sound"]
        manifest.unlink()
        code, bare = scene()
        assert code == 200
        assert bare["scores"] == found["scores"]
        for name, number in (("../model", "0"), ("model", "-1"), ("model", "x"), ("data", "0")):
            assert scene(name, number)[0] == 404


def test_wrong_requests_are_refused_on_the_command_line(trained, open_studio) -> None:
    assert "no folder" in trained("studio", "nowhere", code=2).stderr
    assert "no export" in trained("studio", "--model", "w/data", code=2).stderr
    done = trained("studio", "--no-browser", "--port", open_studio.port, code=2)
    assert "--port" in done.stderr
