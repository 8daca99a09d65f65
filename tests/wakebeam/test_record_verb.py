"""`wakebeam record` on a terminal and in a pipe, with a sound card that tests bring along."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from wakebeam.recording import LICENCE_NAME

ROOT = Path(__file__).parents[2]
RATE = 16_000
_DEADLINE_S = 60.0


class Terminal:
    """The verb with a terminal at its input and its errors; results come through a pipe."""

    def __init__(self, place: Path, environment: dict[str, str], *options: str) -> None:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            _command(*options), cwd=place, env=environment, stdin=theirs, stderr=theirs,
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        os.close(theirs)
        self.seen = ""

    def wait_for(self, text: str) -> None:
        """Read until the text has come, after what was waited for before."""
        deadline_s = time.monotonic() + _DEADLINE_S
        while text not in self.seen:
            ready, _, _ = select.select([self._ours], [], [], deadline_s - time.monotonic())
            assert ready, f"no {text!r} in {self.seen[-2000:]!r}"
            try:
                self.seen += os.read(self._ours, 4096).decode()
            except OSError:
                raise AssertionError(f"ended without {text!r}: {self.seen[-2000:]!r}") from None
        self.before, _, self.seen = self.seen.partition(text)

    def type(self, line: str) -> None:
        os.write(self._ours, f"{line}\n".encode())

    def end(self) -> str:
        """Wait for its end; return what it printed as a result."""
        result, _ = self.process.communicate(timeout=_DEADLINE_S)
        os.close(self._ours)
        return result


def _command(*options: str) -> list[str]:
    words = ("record", "kw", "--speaker", "anna", "--licence", "CC0-1.0", *options)
    return [sys.executable, "-m", "wakebeam.cli", *words]


@pytest.fixture(scope="module")
def card(tmp_path_factory) -> dict[str, str]:
    """An environment with a sound card, which hears a word of 0.6 s every 3.1 s."""
    n = np.arange(round(0.6 * RATE))
    word = 0.2 * np.sin(2 * np.pi * 300 * n / RATE) * np.hanning(len(n)) ** 0.25
    x = np.concatenate([np.zeros(RATE), word, np.zeros(round(1.5 * RATE))])
    hum = 0.01 * np.sin(2 * np.pi * 50 * np.arange(len(x)) / RATE)
    x += hum + 0.0005 * np.random.default_rng(0).standard_normal(len(x))
    path = tmp_path_factory.mktemp("card") / "heard.wav"
    soundfile.write(path, x, RATE, subtype="PCM_16")
    paths = f"{ROOT / 'tests/fake_card'}{os.pathsep}{ROOT}"
    return os.environ | {"PYTHONPATH": paths, "FAKE_CARD_HEARS": str(path), "COLUMNS": "200"}


@pytest.fixture
def at_terminal(tmp_path, card) -> Iterator[Terminal]:
    terminal = Terminal(tmp_path, card, "--takes", "1")
    yield terminal
    terminal.process.kill()


def test_a_session_at_a_terminal(tmp_path, at_terminal) -> None:
    """Consent, countdown, meter, a take, which is taken back, and another, which is kept."""
    at_terminal.wait_for("anna agrees to these recordings being used so: CC0-1.0? [y/N]")
    at_terminal.type("y")
    for told in ("3 …", "2 …", "1 …", "take 1 of 1: say it"):
        at_terminal.wait_for(told)
    assert not (tmp_path / "takes").exists(), "nothing is written before there is a take"
    at_terminal.wait_for("\r[====")  # the room's level
    at_terminal.wait_for("\r[####")  # the word
    at_terminal.wait_for("kept: anna__0001.wav, ")
    at_terminal.wait_for("u takes the last one back, Enter ends")
    at_terminal.type("u")
    at_terminal.wait_for("taken back: anna__0001.wav")
    at_terminal.wait_for("kept: anna__0001.wav, ")
    at_terminal.wait_for("u takes the last one back, Enter ends")
    at_terminal.type("")
    assert at_terminal.end() == "takes/kw: 1 takes now, 1 of 1 in all by anna\n"
    assert at_terminal.process.returncode == 0
    take = soundfile.info(tmp_path / "takes/kw/anna__0001.wav")
    assert take.duration == pytest.approx(0.6 + 0.4, abs=0.12)
    first, second = (tmp_path / "takes/kw" / LICENCE_NAME).read_text().splitlines()
    assert first == "CC0-1.0"
    assert second.startswith(f"anna agreed on {time.strftime('%Y-')}")


@pytest.mark.parametrize(("answer", "code"), [("n", 2), ("", 2), ("y", 0)])
def test_who_declines_or_quits_at_once_leaves_nothing(tmp_path, at_terminal, answer, code) -> None:
    at_terminal.wait_for("[y/N]")
    at_terminal.type(answer)
    if code == 0:
        at_terminal.wait_for("3 …")
        at_terminal.type("q")
    else:
        at_terminal.wait_for("no consent, so nothing is recorded")
    at_terminal.end()
    assert at_terminal.process.returncode == code
    assert list(tmp_path.iterdir()) == []


def _piped(place: Path, environment: dict[str, str], *options: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        _command(*options), cwd=place, env=environment, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_where_nobody_can_be_asked_consent_is_an_option(tmp_path, card) -> None:
    done = _piped(tmp_path, card, "--takes", "1")
    assert done.returncode == 2
    assert "To do: pass --consent" in done.stderr
    assert list(tmp_path.iterdir()) == []
    done = _piped(tmp_path, card, "--takes", "1", "--consent")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "takes/kw: 1 takes now, 1 of 1 in all by anna\n"
    assert "Enter ends\n" not in done.stderr, "a pipe is asked nothing"
    assert (tmp_path / "takes/kw" / LICENCE_NAME).exists()


def test_the_room_is_recorded(tmp_path, card) -> None:
    done = _piped(tmp_path, card, "--ambient", "0.05", "--consent")
    assert done.returncode == 0, done.stderr
    (room,) = (tmp_path / "takes/ambient").glob("room-*.wav")
    assert done.stdout == f"takes/ambient/{room.name}: 0.05 minutes; a background of a recipe\n"
    heard, _ = soundfile.read(card["FAKE_CARD_HEARS"], dtype="int16")
    recorded, _ = soundfile.read(room, dtype="int16")
    np.testing.assert_array_equal(recorded, heard[: 3 * RATE])
    assert (
        (tmp_path / "takes/ambient" / LICENCE_NAME).read_text().startswith("CC0-1.0\nanna agreed")
    )


def test_ctrl_c_keeps_the_room_that_was_recorded(tmp_path, card) -> None:
    process = subprocess.Popen(
        _command("--ambient", "10", "--consent"), cwd=tmp_path, env=card, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert "of 600 seconds" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        result, errors = process.communicate(timeout=_DEADLINE_S)
    finally:
        process.kill()
    assert process.returncode == 0, errors
    (room,) = (tmp_path / "takes/ambient").glob("room-*")
    assert result.startswith(f"takes/ambient/{room.name}: ")
    recorded, _ = soundfile.read(room, dtype="int16")
    heard, _ = soundfile.read(card["FAKE_CARD_HEARS"], dtype="int16")
    assert len(recorded) > 0.5 * RATE
    np.testing.assert_array_equal(recorded, np.resize(heard, len(recorded)))


def test_without_such_a_microphone_nothing_is_made(tmp_path, card) -> None:
    for environment in (card, os.environ | {"PYTHONPATH": str(ROOT)}):
        done = _piped(tmp_path, environment, "--device", "no such one", "--consent")
        assert done.returncode == 2
        assert "microphone" in done.stderr
        assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
