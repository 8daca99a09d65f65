"""A studio's process, what tests ask it, and recordings for it."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import numpy as np
import soundfile

from tests.audio_factory import material, write
from tests.browser import wait_until

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

    @property
    def below(self) -> str:
        """The path of its run, without the last `/`."""
        return urlsplit(self.address).path.rstrip("/")

    @property
    def own_headers(self) -> dict[str, str]:
        """What a page of the studio sends along."""
        return {
            "Host": f"127.0.0.1:{self.port}",
            "Origin": f"http://127.0.0.1:{self.port}",
            "Cookie": f"wakebeam-{self.port}={self.token}",
        }

    def ask(
        self, method: str, path: str, body: bytes | str | None = None, **headers: str
    ) -> tuple[int, bytes]:
        """Ask as a page of the studio would; a header given as "" is left out.

        Args:
            path: from the run's own on.
        """
        own = self.own_headers | {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.putrequest(method, self.below + path, skip_host=True)
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


def talk(one: Studio, path: str, *sent: bytes | str) -> list[dict[str, Any]]:
    """Say something over a socket; return what is told until it closes, or a second is quiet.

    After each piece of sound the next level is waited for, as time goes by for a real one.
    """

    async def say() -> list[dict[str, Any]]:
        told: list[dict[str, Any]] = []
        address = f"http://127.0.0.1:{one.port}{one.below}{path}"
        async with (
            aiohttp.ClientSession(headers=one.own_headers) as client,
            client.ws_connect(address) as socket,
        ):

            async def hear(seconds: float) -> bool:
                with contextlib.suppress(TimeoutError):
                    message = await socket.receive(seconds)
                    if message.type == aiohttp.WSMsgType.TEXT:
                        told.append(json.loads(message.data))
                        return True
                return False

            for piece in sent:
                if socket.closed:
                    break
                if isinstance(piece, str):
                    await socket.send_str(piece)
                    continue
                await socket.send_bytes(piece)
                while await hear(10.0) and "level_db" not in told[-1]:
                    pass
            while await hear(1.0):
                pass
        return told

    return asyncio.run(say())


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


def session(folder: Path, names: list[str], gap_s: float = 1.2) -> np.ndarray:
    """Clips one after the other with quiet between them."""
    quiet = np.random.default_rng(0).standard_normal(round(16000 * gap_s)) * 0.0005
    clips = (soundfile.read(folder / name)[0] for name in names)
    return np.concatenate([quiet, *(part for clip in clips for part in (clip, quiet))])


def recordings(folder: Path) -> Path:
    """Write some to label into a folder in a new one, and clips beside it; return the first."""
    material(folder, keywords=8, negatives=3, backgrounds=1)
    made = folder / "recordings"
    write(made / "monday.wav", session(folder, ["kw/1.wav", "other/2.wav", "kw/3.wav"]))
    write(made / "later" / "tuesday.wav", session(folder, ["kw/5.wav", "kw/7.wav"]))
    write(made / HOSTILE, session(folder, ["kw/1.wav"]))
    (made / "broken.wav").write_bytes(b"RIFFnothing")
    return made


def files_of(folder: Path) -> dict[str, int]:
    """Return when each file was written."""
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def open_room(tab: Any, name: str) -> None:
    """Go to a room."""
    tab.evaluate(f"location.hash = '{name}'")
    wait_until(tab, f"!document.getElementById('room-{name}').hidden")


def open_recording(tab: Any, name: str) -> None:
    """Go to a recording in the room to label in, until it is shown."""
    open_room(tab, "label")
    wait_until(tab, "document.querySelectorAll('#label-recording option').length > 2")
    if tab.input_value("#label-recording") != name:
        tab.select_option("#label-recording", name)
    shown = "document.getElementById('label-view').dataset.shown"
    wait_until(tab, f"{shown} === {json.dumps(name)}")


def drag(tab: Any, begin: float, end: float) -> None:
    """Drag over the picture, from one share of its width to another."""
    box = tab.locator("#label-view").bounding_box()
    for share, act in ((begin, tab.mouse.down), (end, tab.mouse.up)):
        tab.mouse.move(box["x"] + box["width"] * share, box["y"] + 60, steps=4)
        act()


def wait_for_state(tab: Any, text: str) -> None:
    """Wait for what the room to label in says of saving."""
    said = "document.getElementById('label-state').textContent"
    wait_until(tab, f"{said}.includes({json.dumps(text)})")


def wait_until_saved(tab: Any) -> None:
    """Wait until what was labelled is in the file."""
    wait_until(tab, "document.getElementById('label-state').textContent === 'saved'")


def another_tab(tab: Any) -> Any:
    """Open the studio in a second tab of the same browser."""
    with tab.expect_popup() as opened:
        tab.evaluate("void window.open(location.href.split('#')[0])")
    return opened.value


def label_sounds(tab: Any, text: str, number: int) -> None:
    """Label the next sounds that have no label, by keyboard."""
    before = tab.locator("#label-list li").count()
    tab.fill("#label-text", text)
    tab.locator("#label-view").focus()
    for i in range(1, number + 1):
        tab.keyboard.press("n")
        wait_until(tab, "document.querySelectorAll('.candidate').length === 1")
        tab.keyboard.press("Enter")
        wait_until(tab, f"document.querySelectorAll('#label-list li').length === {before + i}")
