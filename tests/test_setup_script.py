"""scripts/setup before it installs anything: which Python it takes, what it refuses, what it says.

The script runs for real on a tree of its own. The Pythons that it finds there are two-line fakes,
so that nothing is installed; every run ends with an error whose text and exit code are the test.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BROKEN_SHIM = "echo 'pyenv: command not found' >&2; exit 127"
NO_VENV = 'if [ "$4" = "" ]; then echo "No module named venv" >&2; exit 1; else echo 3.12.99; fi'


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A checkout with nothing but the script, its inputs and no .venv."""
    folder = tmp_path / "a checkout"
    (folder / "scripts").mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "setup", folder / "scripts" / "setup")
    (folder / "requirements.lock").write_text("")
    (folder / "pyproject.toml").write_text("")
    return folder


def run_setup(tree: Path, **pythons: str) -> subprocess.CompletedProcess[str]:
    """Run the script with fake commands first on the PATH; `PYTHON` is the variable."""
    fakes = tree.parent / "bin"
    fakes.mkdir(exist_ok=True)
    variables = {"PYTHON": pythons.pop("PYTHON", "")}
    for name, body in pythons.items():
        fake = fakes / name.replace("_", ".")
        fake.write_text(f"#!/bin/sh\n{body}\n")
        fake.chmod(0o755)
    return subprocess.run(
        [tree / "scripts" / "setup"],
        env={**os.environ, **variables, "PATH": f"{fakes}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_python_that_does_not_run_is_named_with_the_cure(tree: Path) -> None:
    done = run_setup(tree, PYTHON="/no/such/python3.11")
    assert done.returncode == 1
    assert "PYTHON=/no/such/python3.11 is not a Python 3.11 or 3.12 that runs here" in done.stderr
    assert "PYTHON=python3.11" in done.stderr
    assert not (tree / ".venv").exists()


def test_a_shim_that_does_not_run_is_passed_over(tree: Path) -> None:
    done = run_setup(tree, python3_11=BROKEN_SHIM, python3_12=NO_VENV)
    assert "Python 3.12.99 (python3.12); making .venv" in done.stdout
    assert done.returncode == 1
    assert "cannot make virtual environments" in done.stderr
    assert "apt install python3.12-venv" in done.stderr
    assert not (tree / ".venv").exists()


def test_an_interrupted_set_up_is_started_again(tree: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tree / ".venv").mkdir()
    (tree / ".venv" / "half").write_text("")
    (tree / ".venv" / ".wakebeam-unfinished").write_text(str(ended.pid))
    done = run_setup(tree, python3_11=BROKEN_SHIM, python3_12=NO_VENV)
    assert "interrupted; starting again" in done.stdout
    assert not (tree / ".venv" / "half").exists()


def test_a_set_up_at_work_is_left_alone(tree: Path) -> None:
    (tree / ".venv").mkdir()
    (tree / ".venv" / ".wakebeam-unfinished").write_text(str(os.getpid()))
    done = run_setup(tree, python3_11=BROKEN_SHIM, python3_12=NO_VENV)
    assert done.returncode == 1
    assert f"another set-up is at work on .venv (process {os.getpid()})" in done.stderr


def test_an_environment_of_someone_else_is_left_alone(tree: Path) -> None:
    (tree / ".venv").mkdir()
    (tree / ".venv" / "theirs").write_text("")
    done = run_setup(tree, python3_11=BROKEN_SHIM, python3_12=NO_VENV)
    assert done.returncode == 1
    assert "was not made by this script" in done.stderr
    assert (tree / ".venv" / "theirs").exists()
