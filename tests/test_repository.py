"""What has to hold for the files themselves: the lock, sizes, no traces of one machine."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
MAX_LINES = 500
GENERATED = {"pipeline/tf_example_pb2.py", "pipeline/tf_example_pb2.pyi"}


def repository_files() -> list[str]:
    """Tracked files and those that would be: relative paths, sorted."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    return sorted({name for name in listing.split("\0") if name and (ROOT / name).is_file()})


def locked() -> dict[str, str]:
    """Name, as pip normalises it → the whole entry of requirements.lock."""
    text = (ROOT / "requirements.lock").read_text()
    entries = re.split(r"\n(?=[a-z0-9])", text)
    return {entry.partition("==")[0]: entry for entry in entries if "==" in entry}


def declared() -> list[Requirement]:
    """The dependencies that the lock has to satisfy: the plain ones, `dev` and `tts`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    return [Requirement(line) for line in project["dependencies"] + extras["dev"] + extras["tts"]]


def test_lock_pins_every_package_with_hashes() -> None:
    entries = locked()
    assert len(entries) > 50
    without = [name for name, entry in entries.items() if "--hash=sha256:" not in entry]
    assert without == []


def test_lock_names_no_index() -> None:
    text = (ROOT / "requirements.lock").read_text()
    for trace in ("://", "--index-url", "--extra-index-url", "--find-links", " @ "):
        assert trace not in text


def test_lock_satisfies_pyproject() -> None:
    entries = locked()
    for requirement in declared():
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        assert name in entries, f"{name} is not locked: run make lock"
        version = re.match(r"\S+?==(\S+)", entries[name])
        assert version is not None
        assert requirement.specifier.contains(version[1]), f"{name}: run make lock"


def test_no_file_names_a_place_on_one_machine() -> None:
    homes = re.compile(r"(?<![\w.~}])/(?:home|Users|root)/\w")
    places = [str(path) for path in (ROOT, Path.home()) if len(path.parts) > 2]
    found = []
    for name in repository_files():
        try:
            text = (ROOT / name).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        if homes.search(text) or any(place in text for place in places):
            found.append(name)
    assert found == []


def test_no_python_file_is_too_long() -> None:
    lengths = {
        name: len((ROOT / name).read_text().splitlines())
        for name in repository_files()
        if name.endswith(".py") and name not in GENERATED
    }
    assert lengths
    assert {name: n for name, n in lengths.items() if n > MAX_LINES} == {}


def test_scripts_can_be_run() -> None:
    scripts = [n for n in repository_files() if n.startswith("scripts/")] + [".ci/run"]
    for name in scripts:
        path = ROOT / name
        first = path.read_text().partition("\n")[0]
        assert os.access(path, os.X_OK), f"{name} is not executable"
        assert first.startswith("#!/usr/bin/env "), name
        if first.endswith("bash"):
            subprocess.run(["bash", "-n", path], check=True)


@pytest.mark.parametrize("part", ["**Context.**", "**Decision.**", "**Consequences.**"])
def test_decision_records_are_complete(part: str) -> None:
    records = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [int(r.name[:4]) for r in records] == list(range(1, len(records) + 1))
    assert [r.name for r in records if part not in r.read_text()] == []
