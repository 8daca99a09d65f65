"""The few file operations that a job needs, on any file system that Beam knows.

Paths may be local or `gs://`, `s3://`, `hdfs://`. A file becomes visible under its final name
only when it is whole: it is written under a temporary name, which no reader's pattern matches,
and renamed.
"""

from __future__ import annotations

import contextlib
import os
import re
import uuid
from collections.abc import Iterator
from typing import BinaryIO

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

TEMPORARY_MARK = ".tmp-"
_GLOB_LETTERS = re.compile(r"[*?\[]")


def join(*parts: str) -> str:
    """Join path components with the separator of the first one's file system."""
    return str(FileSystems.join(*parts))


def absolute(path: str) -> str:
    """Return a path that means the same in any process of any folder."""
    return os.path.abspath(path) if _is_local(path) else path


def exists(path: str) -> bool:
    """Return whether `path` exists."""
    return bool(FileSystems.exists(path))


def open_bytes(path: str) -> BinaryIO:
    """Open `path` for reading, uncompressed whatever its name says."""
    return FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)


def read_text(path: str) -> str:
    """Return the contents of a small UTF-8 file."""
    with open_bytes(path) as file:
        return file.read().decode("utf-8")


def sizes(folder: str, prefix: str = "") -> dict[str, int]:
    """Return {path: bytes} of the files that lie in `folder` and whose names begin with `prefix`.

    No name is ever taken for a pattern: `data[1]` is a folder like any other.
    """
    if _is_local(folder):
        try:
            with os.scandir(folder) as entries:
                found = [e for e in entries if e.name.startswith(prefix) and e.is_file()]
                return {os.path.join(folder, e.name): e.stat().st_size for e in found}
        except (FileNotFoundError, NotADirectoryError):
            return {}
    pattern = join(_GLOB_LETTERS.sub(r"[\g<0>]", folder), f"{prefix}*")
    (result,) = FileSystems.match([pattern])
    return {item.path: item.size_in_bytes for item in result.metadata_list}


def subfolders(folder: str) -> list[str]:
    """Return the names of the folders in `folder`; none where folders are only part of names."""
    if not _is_local(folder):
        return []
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir())


def delete(paths: list[str]) -> None:
    """Delete files; those that aren't there any more are no error."""
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            if _is_local(path):
                os.remove(path)
            elif exists(path):
                FileSystems.delete([path])


def remove_empty(folders: list[str]) -> None:
    """Remove those folders that are there and empty, in this order."""
    for folder in folders:
        if _is_local(folder):
            with contextlib.suppress(OSError):
                os.rmdir(folder)


def make_folder(path: str) -> None:
    """Create a folder and its parents where the file system has folders."""
    if _is_local(path):
        os.makedirs(path, exist_ok=True)
    elif not exists(path):
        with contextlib.suppress(FileExistsError):
            FileSystems.mkdirs(path)


def _is_local(path: str) -> bool:
    return "://" not in path


@contextlib.contextmanager
def replace_atomically(path: str) -> Iterator[BinaryIO]:
    """Open a temporary file for writing and rename it to `path` on success.

    On failure the temporary file is removed and `path` is as it was.
    """
    temporary = f"{path}{TEMPORARY_MARK}{uuid.uuid4().hex}"
    try:
        with FileSystems.create(temporary, compression_type=CompressionTypes.UNCOMPRESSED) as file:
            yield file
        FileSystems.rename([temporary], [path])
    except BaseException:
        with contextlib.suppress(Exception):
            delete([temporary])
        raise


def write_text(path: str, text: str) -> None:
    """Replace a small UTF-8 file atomically."""
    with replace_atomically(path) as file:
        file.write(text.encode("utf-8"))
