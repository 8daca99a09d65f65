"""Where material lies: what listing and decoding need to know of a file system.

Here is the local one. `beam_jobs` has one for every other that Beam knows.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file under a root.

    Attributes:
        path: to open it.
        relative: its path under the root, with slashes.
        num_bytes: its size.
        stamp: changes when the file does.
    """

    path: str
    relative: str
    num_bytes: int
    stamp: str


class MaterialFiles(Protocol):
    """The four things that are asked of a file system."""

    def listing(self, root: str) -> list[FoundFile]:
        """Return the file `root`, or all files below the folder `root`; hidden ones left out.

        Raises:
            FileNotFoundError: there is no such file or folder.
        """

    def read_text(self, path: str) -> str | None:
        """Return the contents of a small text file, or None where there is none."""

    def local_copy(self, path: str) -> AbstractContextManager[Path]:
        """Lend a local path to a file's contents."""

    def true_name(self, root: str) -> str:
        """Return the last part of `root`, links and dots resolved."""


class LocalFiles:
    """Folders of this machine; links to folders are followed, but into no folder twice."""

    def listing(self, root: str) -> list[FoundFile]:
        """As in MaterialFiles."""
        if os.path.isfile(root):
            return [_found(root, os.path.basename(root))]
        if not os.path.isdir(root):
            raise FileNotFoundError(root)
        found = []
        for folder, folders, names in walk(Path(root)):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for name in names:
                path = os.path.join(folder, name)
                if not name.startswith(".") and os.path.isfile(path):
                    found.append(_found(path, Path(path).relative_to(root).as_posix()))
        return found

    def read_text(self, path: str) -> str | None:
        """As in MaterialFiles."""
        try:
            return Path(path).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None

    @contextlib.contextmanager
    def local_copy(self, path: str) -> Iterator[Path]:
        """As in MaterialFiles: the file itself."""
        yield Path(path)

    def true_name(self, root: str) -> str:
        """As in MaterialFiles."""
        return Path(root).resolve().name


def walk(root: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """`os.walk` that follows links to folders, but into no folder twice.

    Raises:
        OSError: a folder can't be read; it is not passed over.
    """

    def refuse(error: OSError) -> None:
        raise error

    seen: set[str] = set()
    for folder, folders, names in os.walk(root, followlinks=True, onerror=refuse):
        real = os.path.realpath(folder)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        yield folder, folders, names


def _found(path: str, relative: str) -> FoundFile:
    stat = os.stat(path)
    # The change time too: archives bring modification times along, and chmod changes none.
    return FoundFile(path, relative, stat.st_size, f"{stat.st_mtime_ns} {stat.st_ctime_ns}")
