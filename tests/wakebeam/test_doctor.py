"""`wakebeam doctor`: every check tries the thing, and one that breaks stops no other."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

from wakebeam import doctor
from wakebeam.doctor import Finding, doctor_text, examine


def test_what_is_needed_works_here(tmp_path) -> None:
    command = [sys.executable, "-m", "wakebeam.cli", "doctor"]
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [*command, "--json"], cwd=root, capture_output=True, check=True, text=True
    )
    found = {row["name"]: row for row in json.loads(done.stdout)}
    for name in ("python", "packages", "place to work", "libsndfile", "ffmpeg", "speech", "studio"):
        assert found[name]["state"] == "works", found[name]
    assert "MB/s" in found["place to work"]["detail"]
    assert all(row["fix"] for row in found.values() if row["state"] == "broken")


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
    found = {finding.name: finding for finding in examine(tmp_path / "nowhere")}
    assert found["packages"].fix == "pip install soxr"
    assert found["place to work"].state == "broken"
    assert found["packages"].needed
    assert found["place to work"].needed
