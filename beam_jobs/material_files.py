"""Material on any file system that Beam knows, and on this machine's."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from beam_jobs import files
from pipeline.material_files import FoundFile, LocalFiles


class AnyFiles:
    """What pipeline.material_files.MaterialFiles asks for, of paths and URIs."""

    def __init__(self) -> None:
        self._local = LocalFiles()

    def listing(self, root: str) -> list[FoundFile]:
        """As in MaterialFiles."""
        if not files.is_uri(root):
            return self._local.listing(root)
        start = len(root.rstrip("/")) + 1
        found = []
        for item in files.tree(root):
            relative = item.path[start:] or item.path.rpartition("/")[2]
            if not any(part.startswith(".") for part in relative.split("/")):
                stamp = str(item.last_updated_in_seconds)
                found.append(FoundFile(item.path, relative, item.size_in_bytes, stamp))
        if not found:
            raise FileNotFoundError(root)
        return found

    def read_text(self, path: str) -> str | None:
        """As in MaterialFiles."""
        if not files.is_uri(path):
            return self._local.read_text(path)
        if not files.exists(path):
            return None
        with files.open_bytes(path) as file:
            return file.read().decode("utf-8", "replace")

    @contextlib.contextmanager
    def local_copy(self, path: str) -> Iterator[Path]:
        """As in MaterialFiles: the file itself, or a copy of it that is gone afterwards."""
        if not files.is_uri(path):
            yield Path(path)
            return
        with tempfile.TemporaryDirectory(prefix="wakebeam-") as folder:
            copy = Path(folder, f"copy{Path(path).suffix}")
            files.copy_to_local(path, copy)
            yield copy

    def true_name(self, root: str) -> str:
        """As in MaterialFiles."""
        if not files.is_uri(root):
            return self._local.true_name(root)
        return root.rstrip("/").rpartition("/")[2]
