"""A folder to build something in before it is renamed into place; leftovers of the dead go."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def scratch_folder(parent: Path, purpose: str) -> Iterator[Path]:
    """Yield a new folder `parent/.purpose-PID-…`, removed at the end if it is still there.

    Folders of the same purpose whose process was killed on this machine are removed first.
    """
    parent.mkdir(parents=True, exist_ok=True)
    pattern = re.compile(rf"\.{re.escape(purpose)}-(\d+)-.*")
    for folder in parent.iterdir():
        match = pattern.fullmatch(folder.name)
        if match and not _is_alive(int(match[1])):
            shutil.rmtree(folder, ignore_errors=True)
    path = Path(tempfile.mkdtemp(prefix=f".{purpose}-{os.getpid()}-", dir=parent))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
