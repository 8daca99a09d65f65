"""`wakebeam doctor`: every check tries the thing, and one that breaks stops no other."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from wakebeam import doctor
from wakebeam.doctor import Finding, doctor_text, examine


def test_what_is_needed_works_here(tmp_path) -> None:
    command = [sys.executable, "-m", "wakebeam.cli", "doctor"]
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [*command, "--json"], cwd=root, capture_output=True, check=True, text=True
    )
    found = {row["name"]: row for row in json.loads(done.stdout)}
    for name in (
        "python", "packages", "place to work", "temp files", "compiled code", "libsndfile",
        "ffmpeg", "speech", "studio",
    ):  # fmt: skip
        assert found[name]["state"] == "works", found[name]
    assert "MB/s" in found["place to work"]["detail"]
    assert all(row["fix"] for row in found.values() if row["state"] == "broken")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no folder that nobody can write")
def test_what_people_read_and_the_exit_code_where_something_needed_is_missing() -> None:
    """In /proc not even root can make a file; the sound card is a test's own."""
    root = Path(__file__).parents[2]
    paths = f"{root / 'tests/fake_card'}{os.pathsep}{root}"
    done = subprocess.run(
        [sys.executable, "-m", "wakebeam.cli", "doctor"], cwd="/proc",
        env=os.environ | {"PYTHONPATH": paths, "TMPDIR": "/proc"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    lines = done.stdout.splitlines()
    assert "ok  microphone     fake microphone" in lines
    assert "ok  loudspeaker    fake loudspeaker" in lines
    at = next(i for i, line in enumerate(lines) if line.startswith("!!  place to work  /proc: "))
    assert lines[at + 1].strip().startswith("to do: work in a folder that you may write to")
    (temporary,) = [line for line in lines if " temp files " in line]
    assert temporary.startswith("!!  temp files     TMPDIR, /proc, can't be written; taken is ")
    assert any(line.startswith("ok  ffmpeg ") and line.endswith("reads M4A") for line in lines)


def test_an_ffmpeg_that_does_not_decode_is_broken(tmp_path, monkeypatch) -> None:
    """It may answer to -version all the same."""
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\necho ffmpeg version 7\n")
    program.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(program))
    found = doctor._ffmpeg()
    assert found.state == "broken"
    assert str(program) in found.detail
    assert found.fix


def test_a_check_that_breaks_is_a_finding_and_the_others_go_on(tmp_path, monkeypatch) -> None:
    def broken() -> Finding:
        raise RuntimeError("a driver of another version")

    monkeypatch.setattr(doctor, "_gpu", broken)
    monkeypatch.setattr(doctor, "_speech", broken)
    found = {finding.name: finding for finding in examine(tmp_path)}
    assert found["gpu"].state == found["speech"].state == "broken"
    assert "another version" in doctor_text(found["gpu"])
    assert found["browser"].name == "browser"


def test_a_missing_package_and_a_place_that_is_not_writable_are_named(
    tmp_path, monkeypatch
) -> None:
    real = importlib.metadata.version

    def version(name: str) -> str:
        if name == "soxr":
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    found = {finding.name: finding for finding in islice(examine(tmp_path / "nowhere"), 4)}
    assert found["packages"].fix == "pip install soxr"
    assert found["place to work"].state == "broken"
    assert found["packages"].needed
    assert found["place to work"].needed
