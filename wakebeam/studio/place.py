"""Where the studio reads and writes: nothing outside of its folders, whatever a page asks for."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from models.export_folder import METADATA_NAME
from pipeline.audio_file import AUDIO_SUFFIXES
from schemas.errors import RequestError

_MOST_FILES = 5000
_DEEP = 6


@dataclass(frozen=True)
class Place:
    """The folders of a run.

    Attributes:
        folder: recordings to label and trainings to watch, with what lies below.
        takes: gets a folder for each keyword.
        model: an export that listens and proposes, if there is one.

    Raises:
        RequestError: the folder isn't there, or the model isn't an export.
    """

    folder: Path
    takes: Path
    model: Path | None = None

    def __post_init__(self) -> None:
        if not self.folder.is_dir():
            raise RequestError(f"{self.folder} is no folder", expected="one with recordings")
        if self.model is not None and not (self.model / METADATA_NAME).is_file():
            raise RequestError(
                f"{self.model} is no export", expected="a folder that `wakebeam export` wrote"
            )

    def recordings(self) -> tuple[list[str], int, bool]:
        """Return recordings below the folder as paths from it with `/`.

        Returns:
            Their names, how many links to files elsewhere were left out, and whether those are all.
        """
        found = self._below(lambda name: Path(name).suffix.lower() in AUDIO_SUFFIXES)
        names = list(itertools.islice(found, _MOST_FILES + 1))
        listed = [name for name in names[:_MOST_FILES] if self._holds(name)]
        num_elsewhere = len(names[:_MOST_FILES]) - len(listed)
        return sorted(listed), num_elsewhere, len(names) <= _MOST_FILES

    def labels(self) -> list[str] | None:
        """Return what the model knows; None without one."""
        if self.model is None:
            return None
        return list(json.loads((self.model / METADATA_NAME).read_text(encoding="utf-8"))["labels"])

    def trainings(self) -> list[str]:
        """Return the folders below in which something is or was trained; `.` is this one."""
        found = itertools.islice(self._below("history.json".__eq__), _MOST_FILES)
        return sorted(Path(path).parent.as_posix() for path in found)

    def inside(self, name: str) -> Path:
        """Return what a page calls by a path from the folder.

        Raises:
            HTTPNotFound: it isn't there, or lies elsewhere (`..`, an absolute path, a link).
        """
        return _inside(self.folder, name)

    def take(self, name: str) -> Path:
        """Return a take by its path from the folder of takes."""
        return _inside(self.takes, name)

    def _holds(self, name: str) -> bool:
        path = self.folder / name
        return not path.is_symlink() or path.resolve().is_relative_to(self.folder.resolve())

    def _below(self, wanted: Callable[[str], bool]) -> Iterator[str]:
        for path, folders, files in os.walk(self.folder):
            relative = Path(path).relative_to(self.folder)
            folders[:] = sorted(f for f in folders if not f.startswith("."))
            if len(relative.parts) >= _DEEP:
                folders.clear()
            for name in files:
                known = (relative / name).as_posix()
                if wanted(name) and not name.startswith(".") and _is_text(known):
                    yield known


def no_link(path: Path) -> Path:
    """Return a path that was made from one inside; what lies there may not be a link elsewhere.

    Raises:
        RequestError: it is a link.
    """
    if path.is_symlink():
        raise RequestError(f"{path.name} is a link", expected="a file or folder of its own")
    return path


def _inside(folder: Path, name: str) -> Path:
    try:
        root = folder.resolve(strict=True)
        path = (root / name).resolve(strict=True)
    except (OSError, ValueError):
        raise web.HTTPNotFound from None
    if not name or not path.is_relative_to(root):
        raise web.HTTPNotFound
    return path


def _is_text(name: str) -> bool:
    """Whether a page can name it: a file's name may be bytes that are no UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


PLACE = web.AppKey("place", Place)
