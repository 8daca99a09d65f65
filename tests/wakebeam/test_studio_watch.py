"""The room to watch in, while a training is at work: what is written is shown."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from models.validation_scores import ValidationScores
from tests.browser import open_page, wait_until
from tests.wakebeam.studio_client import open_room, studio
from wakebeam.workspace import alone_with


@pytest.fixture
def model(trained, tmp_path) -> Path:
    """A training below a recipe's folder that is at work: three epochs of it."""
    folder = tmp_path / "w/model"
    shutil.copytree(trained.folder / "w/model", folder)
    (folder / "evaluation.json").unlink()
    return folder


def test_charts_and_stream_follow_a_training_at_work(model) -> None:
    history = json.loads((model / "history.json").read_text())
    epochs = history["epochs"]

    def write(num_epochs: int, *, finished: bool = False) -> None:
        now = history | {"epochs": epochs[:num_epochs], "finished": finished}
        (model / "history.json").write_text(json.dumps(now))

    write(3)
    state = "document.getElementById('watch-state').textContent"
    with (
        contextlib.ExitStack() as run,
        studio(model.parent) as one,
        open_page(one.address) as tab,
    ):
        run.enter_context(alone_with(model.parent / "recipe.yaml"))
        open_room(tab, "watch")
        wait_until(tab, "document.querySelectorAll('#watch-charts svg').length === 4")
        captions = tab.locator("#watch-charts figcaption").all_text_contents()
        for caption, named in zip(captions, ("loss", "missed", "accepts", "input"), strict=True):
            assert named in caption
        wait_until(tab, f"{state} === '3 epochs, at work'")
        epochs[3] |= {
            "loss": 123.0, "miss_rate": 0.75, "false_accepts_per_hour": 45.0,
            "input_wait_fraction": 0.5,
        }  # fmt: skip
        scores = ValidationScores.read(model)
        assert scores is not None
        scores = dataclasses.replace(scores, threshold=0.987)
        scores.save(model)
        write(4)
        wait_until(tab, f"{state} === '4 epochs, at work'")
        wait_until(tab, "document.getElementById('watch-charts').textContent.includes('loss: 123')")
        captions = tab.locator("#watch-charts figcaption").all_text_contents()
        ends = [caption.rpartition(" ")[2] for caption in captions]
        assert ends == ["123", "75", "45", "50"]
        points = tab.locator("#watch-charts polyline").evaluate_all(
            "all => all.map((one) => one.getAttribute('points').split(' ').length)"
        )
        assert points == [4, 4, 4, 4]
        about = "document.getElementById('stream-about').textContent"
        wait_until(tab, f"{about}.includes('after epoch 4, at threshold 0.987')")
        misses = sum(len(one.misses) for one in scores.count())
        assert f"misses ({misses})" in tab.text_content("#stream-which")
        run.close()
        wait_until(tab, f"{state} === '4 epochs, stopped'")
        write(4, finished=True)
        wait_until(tab, f"{state} === '4 epochs, finished'")
        assert tab.problems == []
    with studio(model) as one:
        write(4)
        found = json.loads(one.ask("GET", "/api/training?name=.")[1])
        assert found["at_work"] is None, "the lock lies outside of the studio's folder"


def test_the_latest_picture_of_a_task_without_a_stream(model) -> None:
    (model / "validation-scores.npz").unlink()
    logs = model / "logs/judged"
    (written,) = logs.glob("events.*")
    with studio(model.parent) as one:
        with open_page(one.address) as tab:
            open_room(tab, "watch")
            wait_until(tab, "document.querySelector('#watch-output img').naturalWidth > 300")
            assert tab.locator("#watch-output").is_visible()
            assert tab.locator("#watch-stream").is_hidden()

        def ask() -> tuple[int, bytes]:
            return one.ask("GET", "/api/output?name=model")

        status, picture = ask()
        assert status == 200
        assert picture.startswith(b"\x89PNG")
        whole = written.read_bytes()
        written.write_bytes(whole[:-7])
        assert ask()[0] == 200, "the last one is being written"
        written.write_bytes(whole[:40])
        assert ask()[0] == 404
        written.rename(model / "elsewhere")
        written.symlink_to(model / "elsewhere")
        assert ask()[0] == 400
        shutil.rmtree(model / "logs")
        assert ask()[0] == 404
