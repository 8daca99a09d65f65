"""The studio's rooms to record, watch and listen in, with a file as the browser's microphone."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
from urllib.parse import parse_qs, urlsplit

import numpy as np
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
        tab.fill("[name=takes]", "3")
        tab.check("[name=consent]")
        tab.click("#record-start")
        assert tab.locator("#record-status").text_content() == "", "nothing without a name"
        tab.fill("[name=speaker]", "anna")
        tab.uncheck("[name=consent]")
        tab.click("#record-start")
        assert tab.locator("#record-status").text_content() == "", "nothing without consent"
        tab.check("[name=consent]")
        tab.click("#record-start")
        wait_until(tab, "document.querySelectorAll('#record-takes li').length > 0", 60)
        tab.click("#record-undo")
        wait_until(
            tab, "document.getElementById('record-takes').textContent.includes('taken back')"
        )
        said = tab.locator("#record-takes li").all_text_contents()
        (back,) = (line.removeprefix("taken back: ") for line in said if "back" in line)
        assert not any(
            f"kept: {back}" in line for line in said[said.index(f"taken back: {back}") :]
        )
        wait_until(
            tab, "document.getElementById('record-status').textContent.startsWith('3 of 3')", 60
        )
        players = tab.locator("#record-takes audio").count()
        tab.locator("#record-takes audio").first.evaluate("audio => audio.play()")
        wait_until(tab, "document.querySelector('#record-takes audio').currentTime > 0.1")
        tab.set_viewport_size({"width": 360, "height": 700})
        assert tab.evaluate("document.documentElement.scrollWidth") <= 360
        assert tab.problems == []
    takes = sorted((folder / "takes/my_word").glob("anna__*.wav"))
    assert len(takes) == players == 3, "a player for each that is there"
    for take in takes:
        assert 0.3 < soundfile.info(take).duration < 1.2, "cut to what was said"
    licence = (folder / "takes/my_word/LICENCE.txt").read_text()
    assert licence.startswith("private use only\nanna agreed on ")


def test_leaving_the_room_stops_the_microphone(folder, open_studio, tmp_path) -> None:
    microphone = write(tmp_path / "spoken.wav", session(folder.parent, ["kw/1.wav"]))
    with open_page(open_studio.address, microphone) as tab:
        tab.fill("[name=keyword]", "unheard")
        tab.fill("[name=speaker]", "anna")
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
    """Each keyword that the page sends is found, and nothing else that is as loud."""
    quiet = np.random.default_rng(0).standard_normal(16000 * 6) * 0.0005
    keyword, other = (soundfile.read(folder.parent / f)[0] for f in ("kw/1.wav", "other/2.wav"))
    loop = np.concatenate([quiet[:32000], keyword, quiet[:48000], other, quiet])
    sent, found = [], []
    with open_page(open_studio.address, write(tmp_path / "live.wav", loop)) as tab:
        open_room(tab, "listen")
        wait_until(tab, "!document.getElementById('listen-start').disabled")
        assert barriers(tab) == []

        def note(socket) -> None:
            asked = {k: int(v[0]) for k, v in parse_qs(urlsplit(socket.url).query).items()}
            sent.append((asked["rate"], asked["channels"]))
            socket.on("framesent", lambda packet: sent.append(packet))
            socket.on("framereceived", lambda text: found.append(json.loads(text).get("found")))

        tab.on("websocket", note)
        tab.click("#listen-start")
        wait_until(tab, "document.getElementById('listen-level').value > -20")
        length = "document.querySelectorAll('#listen-found li').length"
        wait_until(tab, f"{length} >= 2", 60)
        tab.wait_for_timeout(5000)  # past the other sound, to the end of a loop
        lines = tab.locator("#listen-found li").all_text_contents()
        tab.click("#listen-stop")
        wait_until(tab, "document.getElementById('listen-status').textContent === 'stopped'")
        assert tab.problems == []
    (rate_hz, channels), *packets = sent
    x = np.concatenate([np.frombuffer(packet, "<i2") for packet in packets])
    keywords, others = _heard(x.reshape(-1, channels).mean(axis=1), rate_hz)
    assert len(keywords) >= 2
    assert len(others) >= 1
    times_s = [one["time_s"] for one in found if one is not None]
    hits = [[t for t in times_s if begin <= t <= end + 0.9] for begin, end in keywords]
    assert [len(one) for one in hits] == [1] * len(keywords), (times_s, keywords)
    assert len(times_s) == len(keywords), "nothing else is found"
    for line in lines:
        said = re.fullmatch(r"[\d.]+ s · kw · score [\d.]+ · told (\d+) ms later", line)
        assert said, line
        assert 0 < int(said[1]) < 2000, "the debounce, and a second for a busy machine"


def _heard(x: np.ndarray, rate_hz: int) -> tuple[list, list]:
    """Return where the keyword and the other sound are in what was sent, in seconds.

    After a keyword come three seconds of quiet, after the other eight; what is cut off is left out.
    """
    loud = np.flatnonzero(np.abs(x) > 1000) / rate_hz
    ends = np.flatnonzero(np.diff(loud) > 1.0)
    bursts = list(zip(loud[[0, *(ends + 1)]], loud[[*ends, -1]], strict=True))
    gaps = [after[0] - before[1] for before, after in itertools.pairwise(bursts)]
    whole = [(burst, gap < 5.0) for burst, gap in zip(bursts, gaps, strict=False)]
    return [b for b, is_one in whole if is_one], [b for b, is_one in whole if not is_one]


def test_a_studio_that_is_gone_is_said_in_each_room(folder) -> None:
    with studio(folder) as one, open_page(one.address) as tab:
        one.process.kill()
        one.process.wait()
        for room in ("watch", "listen", "label"):
            open_room(tab, room)
            said = "document.getElementById('trouble').textContent"
            wait_until(tab, f'{said} === "the studio doesn\'t answer"')


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
