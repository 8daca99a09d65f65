"""The few file operations that a job needs, on any file system that Beam knows.

Paths may be local or `gs://`, `s3://`, `hdfs://`. A file becomes visible under its final name
only when it is whole: it is written under a temporary name, which no reader's pattern matches,
and renamed.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from typing import BinaryIO

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

TEMPORARY_MARK = ".tmp-"


def join(*parts: str) -> str:
    """Join path components with the separator of the first one's file system."""
    return str(FileSystems.join(*parts))


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


def sizes(pattern: str) -> dict[str, int]:
    """Return {path: bytes} of the files that match a glob; empty if there are none."""
    (result,) = FileSystems.match([pattern])
    return {item.path: item.size_in_bytes for item in result.metadata_list}


def delete(paths: list[str]) -> None:
    """Delete files; those that aren't there any more are no error."""
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            if exists(path):
                FileSystems.delete([path])


def make_folder(path: str) -> None:
    """Create a folder and its parents where the file system has folders."""
    if not exists(path):
        with contextlib.suppress(FileExistsError, OSError):
            FileSystems.mkdirs(path)


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
