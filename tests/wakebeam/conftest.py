"""A small recipe run once through the command line, for all tests of this folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.audio_factory import material
from tests.wakebeam.studio_client import Studio, recordings, studio

SMALL = (
    "dataset.num_examples={train: 96, validation: 24, test: 24}",
    "dataset.shard_bytes=2MiB",
    "scene.duration_s=4.0",
    "scene.num_keywords=[0, 1]",
    "scene.num_negatives=[0, 2]",
    "scene.margin_s=0.3",
    "model={family: stream_tcn, channels: 24, num_blocks: 4}",
    "training.batch_size=8",
    "training.epochs=10",
    "evaluation.hit_window_s=0.9",
)


@dataclass(frozen=True)
class Workplace:
    """A folder with material and a recipe, and the command line on it."""

    folder: Path

    def __call__(self, *words: object, code: int = 0, **more) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "wakebeam.cli", *map(str, words)],
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            text=True,
            check=False,
            **more,
        )
        assert done.returncode == code, done.stderr + done.stdout
        return done

    def settings(self) -> list[str]:
        return [word for setting in SMALL for word in ("--set", setting)]


def typed_on(page: str) -> list[str]:
    """The indented or fenced lines of a page of the documentation that are commands of a shell."""
    text = (Path(__file__).parents[2] / "docs" / page).read_text(encoding="utf-8")
    return re.findall(r"^(?: {4})?((?:wakebeam|export|mkdir) .*)$", text, re.MULTILINE)


def make_workplace(folder: Path) -> Workplace:
    material(folder, keywords=30, negatives=30, backgrounds=12)
    place = Workplace(folder)
    place("init", "w", "--keyword", "kw", "--negative", "other", "--background", "noise")
    return place


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Workplace:
    place = make_workplace(tmp_path_factory.mktemp("a folder with spaces"))
    place("run", "w/recipe.yaml", *place.settings())
    return place


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Recordings for the studio."""
    return recordings(tmp_path_factory.mktemp("studio"))


@pytest.fixture(scope="module")
def open_studio(trained, folder) -> Iterator[Studio]:
    """A studio on them, with the trained detector."""
    with studio(folder, "--model", trained.folder / "w/export") as one:
        yield one
