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
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from apache_beam.io.filesystem import CompressionTypes, FileMetadata
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.options.value_provider import RuntimeValueProvider

from beam_jobs import hdfs_files, s3_clients
from schemas.errors import DatasetError, RequestError

_HDFS = "hdfs://"
STORES = ("s3://", "gs://", _HDFS)
TEMPORARY_MARK = ".tmp-"
_CHUNK_BYTES = 4 << 20
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")
_GLOB_LETTERS = re.compile(r"[*?\[]")


def join(*parts: str) -> str:
    """Join path components with the separator of the first one's file system."""
    return str(_systems(parts[0]).join(*parts))


def name_of(path: str) -> str:
    """Return the last part of a path or URI."""
    return path.replace("\\", "/").rpartition("/")[2]


def absolute(path: str) -> str:
    """Return a path that means the same in any process of any folder.

    Raises:
        RequestError: it is an address of a kind that we don't know.
    """
    require_known(path)
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
    if folder.startswith(_HDFS):
        items = [item for item, is_folder in _hdfs(folder).listed(folder) if not is_folder]
        named = [item for item in items if name_of(item.path).startswith(prefix)]
        return {item.path: item.size_in_bytes for item in named}
    pattern = join(_GLOB_LETTERS.sub(r"[\g<0>]", folder), f"{prefix}*")
    (result,) = _systems(folder).match([pattern])
    return {item.path: item.size_in_bytes for item in result.metadata_list}


def tree(root: str) -> list[FileMetadata]:
    """Return the metadata of a file at a URI, or of all files whose names begin with it and `/`."""
    if root.startswith(_HDFS):
        return _hdfs(root).walked(root.rstrip("/"))
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
            _copy(path, copy)
            if copy.tell() != wanted:
                raise OSError(f"it ended after {copy.tell()} of {wanted} bytes")
            copy.flush()
            os.replace(copy.name, target)
        except BaseException:
            os.unlink(copy.name)
            raise


def _copy(path: str, copy: Any) -> None:
    try:
        with open_bytes(path) as source:
            shutil.copyfileobj(source, copy, _CHUNK_BYTES)
    except OSError:
        raise
    except Exception as error:  # each store's client has its own
        raise OSError(f"{path} can't be read: {error}") from error


def rename(source: str, target: str) -> None:
    """Give a file another name; one that has it is replaced."""
    _systems(target).rename([source], [target])


def remove_folder(path: str) -> None:
    """Remove a folder of ours with all that is in it."""
    if not is_uri(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        delete([path] if path.startswith(_HDFS) else [item.path for item in tree(path)])


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
    hdfs_files.complete(options)
    FileSystems.set_options(options)


def require_known(path: str) -> None:
    """Refuse what looks like an address and is none of ours, such as `hdfs:/data`.

    Raises:
        RequestError: it does.
    """
    if _ADDRESS.match(path) and not path.startswith(STORES):
        raise RequestError(
            f"{path} names a file system that wakebeam doesn't know",
            expected=f"a path of this machine, or {', '.join(STORES)}",
        )


def is_uri(path: str) -> bool:
    """Return whether a path names a place on another file system than this machine's."""
    return "://" in path


def _systems(path: str) -> Any:
    """Beam's file systems, which want options even where the environment says all.

    In a worker they are those of its job, where the engine hands them on: a local one doesn't.

    Raises:
        RequestError: the path's is none that we know, or nothing says how to reach it.
    """
    require_known(path)
    if path.startswith(_HDFS):
        return _hdfs(path)
    s3_clients.share()
    if FileSystems._pipeline_options is None and RuntimeValueProvider.runtime_options is None:
        FileSystems.set_options(PipelineOptions([]))
    return FileSystems


def _hdfs(path: str) -> hdfs_files.HdfsFiles:
    """HDFS, where the environment or the options of a worker's job say that it is."""
    return hdfs_files.connected(path, FileSystems._pipeline_options or PipelineOptions([]))


def _size(path: str) -> int:
    if path.startswith(_HDFS):
        return int(_hdfs(path).metadata(path).size_in_bytes)
    (found,) = _systems(path).match([_GLOB_LETTERS.sub(r"[\g<0>]", path)])
    if len(found.metadata_list) != 1:
        raise DatasetError(f"{path} is not there")
    return int(found.metadata_list[0].size_in_bytes)


@contextlib.contextmanager
def replace_atomically(path: str, require: Callable[[], None] = lambda: None) -> Iterator[BinaryIO]:
    """Open a temporary file for writing and rename it to `path` on success.

    On failure the temporary file is removed and `path` is as it was.

    Args:
        path: the file.
        require: called once all is written; raises where it may not be renamed any more.
    """
    temporary = f"{path}{TEMPORARY_MARK}{uuid.uuid4().hex}"
    try:
        with _systems(path).create(
            temporary, compression_type=CompressionTypes.UNCOMPRESSED
        ) as file:
            yield file
        require()
        _systems(path).rename([temporary], [path])
    except BaseException:
        with contextlib.suppress(Exception):
            delete([temporary])
        raise


def write_text(path: str, text: str) -> None:
    """Replace a small UTF-8 file atomically."""
    with replace_atomically(path) as file:
        file.write(text.encode("utf-8"))
