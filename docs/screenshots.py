"""Takes the pictures of looking.md, judging.md, detecting.md and studio.md; needs chromium.

    python docs/screenshots.py --dataset w/data --model w/export --stream w/stream --training MODEL

Each option makes its own pictures; without it they stay as they are. Of the terminal `check`,
`run`, `record` and `labels` are always made.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from rich.console import Console

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.audio_factory import material  # noqa: E402
from tests.browser import open_page, wait_until  # noqa: E402
from tests.wakebeam.conftest import SMALL  # noqa: E402
from wakebeam.dataset_page import dataset_page  # noqa: E402
from wakebeam.stream_page import stream_page  # noqa: E402
from wakebeam.studio.place import Place  # noqa: E402
from wakebeam.studio.server import serve  # noqa: E402

IMAGES = ROOT / "docs/images"


def inspect_dataset(data: str) -> None:
    """The page of a data set, its second example playing."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.html"
        path.write_text(dataset_page(data, num_examples=12), encoding="utf-8")
        with open_page(path.as_uri()) as tab:
            tab.set_viewport_size({"width": 1000, "height": 1900})
            tab.locator("article .sound").nth(0).click(position={"x": 200, "y": 20})
            tab.wait_for_timeout(800)
            tab.evaluate("scrollTo(0, 0)")
            _save(tab, "inspect-dataset")


def inspect_model(model: Path, stream: Path) -> None:
    """The page of a detector on a stream, at a lower threshold than its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stream.html"
        path.write_text(stream_page(model, stream, None), encoding="utf-8")
        with open_page(path.as_uri()) as tab:
            tab.set_viewport_size({"width": 1200, "height": 1350})
            tab.evaluate("setPoint(Math.max(0, DATA.own - 30)); list = 0; showList(); go(0)")
            tab.wait_for_timeout(300)
            _save(tab, "inspect-model")


def evaluation(training: Path) -> None:
    """The report of a training's test."""
    with open_page((training / "evaluation.html").resolve().as_uri()) as tab:
        tab.set_viewport_size({"width": 1000, "height": 1500})
        tab.wait_for_timeout(500)
        _save(tab, "evaluation")


def studio(model: Path, stream: Path, training: Path | None) -> None:
    """Each room; in the one to listen in, the stream is the microphone."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        first = sorted(stream.glob("*.wav"))[0]
        shutil.copy(first, folder / "monday.wav")
        if training is not None:
            shutil.copytree(training, folder / "model")
            shutil.copytree(training.parent / "data/validation", folder / "data/validation")
            shutil.copy(training.parent / "data/manifest.json", folder / "data")
        address = _served(Place(folder, folder / "takes", model))
        with open_page(address, first) as tab:
            tab.set_viewport_size({"width": 1100, "height": 760})
            tab.fill("[name=keyword]", "hello beacon")
            tab.fill("[name=speaker]", "anna")
            tab.check("[name=consent]")
            tab.click("#record-start")
            wait_until(tab, "document.querySelectorAll('#record-takes li').length > 2", 90)
            _save(tab, "studio-record")
            _room(tab, "label")
            wait_until(tab, "document.querySelector('#label-view img').naturalWidth > 0", 90)
            tab.select_option("#label-recording", "monday.wav")
            saying = "document.getElementById('label-state').textContent.includes('{}')"
            wait_until(tab, saying.format("labels"), 60)
            tab.click("#label-propose")
            wait_until(tab, saying.format("proposals"), 120)
            tab.locator("#label-view").focus()
            for _ in range(2):
                tab.keyboard.press("a")
            tab.wait_for_timeout(1500)
            _save(tab, "studio-label")
            if training is not None:
                _room(tab, "watch")
                wait_until(tab, "!document.getElementById('watch-stream').hidden", 60)
                tab.locator("#stream-list button").first.click()
                wait_until(tab, "document.querySelector('#stream-scene img') !== null", 60)
                tab.set_viewport_size({"width": 1100, "height": 1700})
                tab.evaluate("scrollTo(0, 0)")
                tab.wait_for_timeout(500)
                _save(tab, "studio-watch")
                tab.set_viewport_size({"width": 1100, "height": 760})
            _room(tab, "listen")
            wait_until(tab, "!document.getElementById('listen-start').disabled", 60)
            tab.click("#listen-start")
            wait_until(tab, "document.querySelectorAll('#listen-found li').length > 0", 300)
            tab.wait_for_timeout(3000)
            _save(tab, "studio-listen")


def terminal_check() -> None:
    """What `check` prints of some tones."""
    with tempfile.TemporaryDirectory() as name:
        material(Path(name), keywords=30, negatives=30, backgrounds=12)
        init = ["init", "w", "--keyword", "kw", "--negative", "other", "--background", "noise"]
        _terminal("check", Path(name), init, ["check", "w"])


def terminal_run() -> None:
    """What `run` prints of some tones, in a small size."""
    with tempfile.TemporaryDirectory() as name:
        material(Path(name), keywords=30, negatives=30, backgrounds=12)
        init = ["init", "w", "--keyword", "kw", "--negative", "other", "--background", "noise"]
        _wakebeam(Path(name), init)
        sizes = [word for setting in SMALL for word in ("--set", setting)]
        said = _wakebeam(Path(name), ["run", "w", *sizes])
        _picture("run", f"$ wakebeam run w\n{said}")


def terminal_labels() -> None:
    """What `labels` says of a track that is turned into a table, and of one that can't be read."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "monday.txt").write_text("12.500000\t13.210000\tathena\n")
        (folder / "tuesday.txt").write_text("1,5\t2.0\tathena\n")
        commands = [
            ["labels", "monday.txt", "--out", "all.csv"],
            ["labels", "tuesday.txt", "--out", "b.csv"],
        ]
        text = "\n".join(
            f"$ wakebeam {' '.join(words)}\n{_wakebeam(folder, words, check=False)}"
            for words in commands
        )
        _picture("labels", text + "$ cat all.csv\n" + (folder / "all.csv").read_text())


def terminal_record() -> None:
    """A session of two takes at a terminal, with a sound card that hears a tone now and then."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rng, n = np.random.default_rng(0), np.arange(9600)
        tone = 0.2 * np.sin(2 * np.pi * 300 * n / 16_000) * np.hanning(len(n)) ** 0.25
        x = np.concatenate([np.zeros(16_000), tone, np.zeros(24_000)])
        x += 0.01 * np.sin(2 * np.pi * 50 * np.arange(len(x)) / 16_000)
        soundfile.write(folder / "heard.wav", x + 0.0005 * rng.standard_normal(len(x)), 16_000)
        paths = f"{ROOT / 'tests/fake_card'}{os.pathsep}{ROOT}"
        more = {"PYTHONPATH": paths, "FAKE_CARD_HEARS": str(folder / "heard.wav"), "COLUMNS": "99"}
        words = ["record", "athena", "--takes", "2", "--speaker", "anna", "--licence", "CC0-1.0"]
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "wakebeam.cli", *words],
            cwd=folder, env=os.environ | more, stdin=theirs, stdout=theirs, stderr=theirs,
        )  # fmt: skip
        os.close(theirs)
        seen = b""
        with contextlib.suppress(OSError):  # how the end of a terminal reads
            while True:
                seen += os.read(ours, 4096)
                for asked, answer in ((b"[y/N]\r\n", b"y\n"), (b"Enter ends\r\n", b"\n")):
                    if seen.endswith(asked):
                        os.write(ours, answer)
        process.wait()
        text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode())
        lines = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]
        _picture("record", "\n".join([f"$ wakebeam {' '.join(words)}", *lines]))


def terminal_stream(model: Path, stream: Path) -> None:
    """What `evaluate` prints of a stream set, and `detect` of its first file."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name, "w")
        work.mkdir()
        (work / "data").symlink_to(model.resolve().parent / "data")
        shutil.copytree(model, work / "export")
        shutil.copytree(stream, work / "stream")
        _terminal("evaluate", Path(name), ["evaluate", "w/export", "--stream", "w/stream"])
        first = sorted(path.name for path in stream.glob("*.wav"))[0]
        _terminal("detect", Path(name), ["detect", "--model", "w/export", f"w/stream/{first}"])


def _terminal(name: str, folder: Path, *commands: list[str]) -> None:
    """Run commands in a folder; keep what a terminal of a hundred columns shows."""
    said = [f"$ wakebeam {' '.join(words)}\n{_wakebeam(folder, words)}" for words in commands]
    _picture(name, "\n".join(said))


def _wakebeam(folder: Path, words: list[str], check: bool = True) -> str:
    """What a command prints in a folder, results and progress, without the folder's name."""
    done = subprocess.run(
        [sys.executable, "-m", "wakebeam.cli", *words],
        cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=check,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT if words[0] in ("run", "labels") else None,
        text=True,
    )  # fmt: skip
    return done.stdout.replace(f"{folder.resolve()}/", "")


def _picture(name: str, text: str) -> None:
    console = Console(record=True, width=100, file=io.StringIO())
    console.print(text, markup=False, highlight=False)
    svg = console.export_svg(title="wakebeam")
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)  # fonts from elsewhere
    (IMAGES / f"{name}.svg").write_text(svg, encoding="utf-8")


def _room(tab: Any, name: str) -> None:
    tab.evaluate(f"location.hash = '{name}'")
    wait_until(tab, f"!document.getElementById('room-{name}').hidden")


def _save(tab: Any, name: str) -> None:
    tab.screenshot(path=IMAGES / f"{name}.png")


def _served(place: Place) -> str:
    """Serve in a thread that ends with the program; return the address."""
    opened: list[str] = []
    ready = threading.Event()

    def tell(address: str) -> None:
        opened.append(address)
        ready.set()

    threading.Thread(target=lambda: asyncio.run(serve(place, 0, tell)), daemon=True).start()
    ready.wait()
    return opened[0]


def main() -> None:
    """Take what is asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--dataset")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--stream", type=Path)
    parser.add_argument("--training", type=Path)
    asked = parser.parse_args()
    terminal_check()
    terminal_run()
    terminal_labels()
    terminal_record()
    if asked.training:
        evaluation(asked.training)
    if asked.dataset:
        inspect_dataset(asked.dataset)
    if asked.model and asked.stream:
        terminal_stream(asked.model, asked.stream)
        inspect_model(asked.model, asked.stream)
        studio(asked.model, asked.stream, asked.training)


if __name__ == "__main__":
    main()
