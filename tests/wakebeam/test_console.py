"""What a terminal, a pipe and a shell that completes get to see."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import wakebeam.cli  # noqa: F401 - registers the verbs
from wakebeam.app import APP
from wakebeam.console import progress, say, show

ROOT = Path(__file__).parents[2]


def test_a_pipe_gets_a_line_about_every_ten_seconds_and_results_alone(capsys) -> None:
    now_s = 100.0
    seen: list[tuple[float, str]] = []
    with progress("synth", "scenes", lambda: now_s) as update:
        for second in range(61):
            now_s = 100.0 + second
            update(10 * second, 1000)
            told = capsys.readouterr()
            assert told.out == ""
            seen += [(second, line) for line in told.err.splitlines()]
    assert [second for second, _ in seen] == [1, 11, 21, 31, 41, 51]
    assert seen[1][1] == "synth: 110 of 1000 scenes, 10/s, about 1:29 left"
    assert not any(set(line) & set("\r\x1b") for _, line in seen)
    say("a remark")
    show("a result")
    assert capsys.readouterr() == ("a result\n", "a remark\n")


def test_what_is_over_in_a_second_says_nothing(capsys) -> None:
    now_s = 0.0
    with progress("synth", "scenes", lambda: now_s) as update:
        update(0, 0)
        now_s = 0.9
        update(5, 10)
        assert capsys.readouterr().err == ""
        now_s = 2.0
        update(10, 10)
    assert capsys.readouterr().err == "synth: 10 of 10 scenes, 5/s\n"


def _completed(line: str, shell: str = "bash") -> list[str]:
    """What a shell is offered where Tab is typed after a line."""
    told = {
        "_WAKEBEAM_COMPLETE": f"complete_{shell}", "COMP_WORDS": line,
        "COMP_CWORD": str(line.count(" ")), "_TYPER_COMPLETE_ARGS": line, "PYTHONPATH": str(ROOT),
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "wakebeam.cli"], env=os.environ | told, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    return done.stdout.split()


def test_a_shell_is_offered_the_verbs_and_their_options() -> None:
    verbs = set(typer.main.get_command(APP).commands)
    assert set(_completed("wakebeam ")) == verbs
    assert _completed("wakebeam stre") == ["stream-set"]
    assert _completed("wakebeam record --amb") == ["--ambient"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_are_offered_them_too(shell) -> None:
    offered = " ".join(_completed("wakebeam ", shell))
    for verb in typer.main.get_command(APP).commands:
        assert re.search(rf"(?<![a-z-]){verb}(?![a-z-])", offered), verb


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_a_shell_asks_wakebeam(shell) -> None:
    told = {"_WAKEBEAM_COMPLETE": f"source_{shell}", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "wakebeam.cli"], env=os.environ | told, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    assert f"_WAKEBEAM_COMPLETE=complete_{shell}" in done.stdout
