"""The few file operations that a job needs, on any file system that Beam knows.

Paths may be local or `gs://`, `s3://`, `hdfs://`. A file becomes visible under its final name
only when it is whole: it is written under a temporary name, which no reader's pattern matches,
and renamed.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from apache_beam.io.filesystem import BeamIOError, CompressionTypes, FileMetadata
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.options.value_provider import RuntimeValueProvider

from beam_jobs import hdfs_options, s3_clients
from schemas.errors import DatasetError

TEMPORARY_MARK = ".tmp-"
_CHUNK_BYTES = 4 << 20
_GLOB_LETTERS = re.compile(r"[*?\[]")


def join(*parts: str) -> str:
    """Join path components with the separator of the first one's file system."""
    return str(_systems(parts[0]).join(*parts))


def name_of(path: str) -> str:
    """Return the last part of a path or URI."""
    return path.replace("\\", "/").rpartition("/")[2]


def absolute(path: str) -> str:
    """Return a path that means the same in any process of any folder."""
    return path if is_uri(path) else os.path.abspath(path)


def exists(path: str) -> bool:
    """Return whether `path` exists."""
    return bool(_systems(path).exists(path))


def open_bytes(path: str) -> BinaryIO:
    """Open `path` for reading, uncompressed whatever its name says."""
    return _systems(path).open(path, compression_type=CompressionTypes.UNCOMPRESSED)


def read_text(path: str) -> str:
    """Return the contents of a small UTF-8 file."""
    with open_bytes(path) as file:
        return file.read().decode("utf-8")


def sizes(folder: str, prefix: str = "") -> dict[str, int]:
    """Return {path: bytes} of the files that lie in `folder` and whose names begin with `prefix`.

    No name is ever taken for a pattern: `data[1]` is a folder like any other.
    """
    if not is_uri(folder):
        try:
            with os.scandir(folder) as entries:
                found = [e for e in entries if e.name.startswith(prefix) and e.is_file()]
                return {os.path.join(folder, e.name): e.stat().st_size for e in found}
        except (FileNotFoundError, NotADirectoryError):
            return {}
    if _has_folders(folder):
        items = _listed(folder) if exists(folder) else []
        named = [item for item in items if name_of(item.path).startswith(prefix)]
        return {item.path: item.size_in_bytes for item in named if item.size_in_bytes}
    pattern = join(_GLOB_LETTERS.sub(r"[\g<0>]", folder), f"{prefix}*")
    (result,) = _systems(folder).match([pattern])
    return {item.path: item.size_in_bytes for item in result.metadata_list}


def tree(root: str) -> list[FileMetadata]:
    """Return the metadata of a file at a URI, or of all files whose names begin with it and `/`."""
    if _has_folders(root):
        return _walked(root.rstrip("/"))
    pattern = _GLOB_LETTERS.sub(r"[\g<0>]", root.rstrip("/"))
    below, itself = _systems(root).match([f"{pattern}/**", pattern])
    return list(below.metadata_list) or list(itself.metadata_list)


def copy_to_local(path: str, target: Path) -> None:
    """Bring a file to this machine; it is whole under its name or not there.

    Raises:
        DatasetError: it isn't there.
        OSError: it can't be read, or ends early.
    """
    wanted = _size(path)
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".fetching-", delete=False) as copy:
        try:
            with open_bytes(path) as source:
                shutil.copyfileobj(source, copy, _CHUNK_BYTES)
            if copy.tell() != wanted:
                raise OSError(f"it ended after {copy.tell()} of {wanted} bytes")
            copy.flush()
            os.replace(copy.name, target)
        except BaseException:
            os.unlink(copy.name)
            raise


def rename(source: str, target: str) -> None:
    """Give a file another name; one that has it is replaced.

    In HDFS that one is deleted first, and for a moment there is none: its web service can't do both
    at once.
    """
    if _has_folders(target):
        delete([target])
    _systems(target).rename([source], [target])


def remove_folder(path: str) -> None:
    """Remove a folder of ours with all that is in it."""
    if not is_uri(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        delete([path] if _has_folders(path) else [item.path for item in tree(path)])


def subfolders(folder: str) -> list[str]:
    """Return the names of the folders in `folder`; none where folders are only part of names."""
    if is_uri(folder) or not os.path.isdir(folder):
        return []
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir())


def delete(paths: list[str]) -> None:
    """Delete files; those that aren't there any more are no error."""
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            if not is_uri(path):
                os.remove(path)
            elif exists(path):
                _systems(path).delete([path])


def remove_empty(folders: list[str]) -> None:
    """Remove those folders that are there and empty, in this order."""
    for folder in folders:
        if not is_uri(folder):
            with contextlib.suppress(OSError):
                os.rmdir(folder)


def make_folder(path: str) -> None:
    """Create a folder and its parents where the file system has folders."""
    if not is_uri(path):
        os.makedirs(path, exist_ok=True)
    elif not exists(path):
        with contextlib.suppress(FileExistsError):
            _systems(path).mkdirs(path)


def use_options(options: PipelineOptions) -> None:
    """Let a store's options, such as `--s3_endpoint_url`, count in this process too."""
    FileSystems.set_options(hdfs_options.complete(options))


def is_uri(path: str) -> bool:
    """Return whether a path names a place on another file system than this machine's."""
    return "://" in path


def _systems(path: str) -> type[FileSystems]:
    """Beam's file systems, which want options even where the environment says all.

    In a worker they are those of its job, where the engine hands them on: a local one doesn't.

    Raises:
        RequestError: nothing says how to reach the path's.
    """
    s3_clients.share()
    if FileSystems._pipeline_options is None and RuntimeValueProvider.runtime_options is None:
        FileSystems.set_options(PipelineOptions([]))
    if path.startswith("hdfs://"):
        known = FileSystems._pipeline_options or RuntimeValueProvider.runtime_options
        options = PipelineOptions.from_dictionary(known) if isinstance(known, dict) else known
        FileSystems.set_options(hdfs_options.complete(options))
        hdfs_options.require_known(path, options)
    return FileSystems


def _has_folders(path: str) -> bool:
    """Return whether a URI's file system has folders, as HDFS does and object stores don't."""
    return is_uri(path) and bool(_systems(path).get_filesystem(path).has_dirs())


def _listed(folder: str) -> list[FileMetadata]:
    """What lies in a folder, folders among it, which have no size. Beam's own is not public."""
    return list(_systems(folder).get_filesystem(folder)._list(folder))


def _walked(path: str) -> list[FileMetadata]:
    """The files at or below a path of a file system that has folders."""
    if not exists(path):
        return []
    try:
        inside = _listed(path)
    except BeamIOError:  # a file
        return [_systems(path).get_filesystem(path).metadata(path)]
    return [
        file for item in inside for file in ([item] if item.size_in_bytes else _walked(item.path))
    ]


def _size(path: str) -> int:
    (found,) = _systems(path).match([_GLOB_LETTERS.sub(r"[\g<0>]", path)])
    if len(found.metadata_list) != 1:
        raise DatasetError(f"{path} is not there")
    return int(found.metadata_list[0].size_in_bytes)


@contextlib.contextmanager
def replace_atomically(path: str) -> Iterator[BinaryIO]:
    """Open a temporary file for writing and rename it to `path` on success.

    On failure the temporary file is removed and `path` is as it was.
    """
    temporary = f"{path}{TEMPORARY_MARK}{uuid.uuid4().hex}"
    try:
        with _systems(path).create(
            temporary, compression_type=CompressionTypes.UNCOMPRESSED
        ) as file:
            yield file
        rename(temporary, path)
    except BaseException:
        with contextlib.suppress(Exception):
            delete([temporary])
        raise


def write_text(path: str, text: str) -> None:
    """Replace a small UTF-8 file atomically."""
    with replace_atomically(path) as file:
        file.write(text.encode("utf-8"))
