"""HDFS by its web service: Beam's file system for it, but where that would lose or mistake files.

Addresses are whole, `hdfs://NAMENODE/path`, as Hadoop and TensorFlow read them; host and port of
the name node's web service (WebHDFS) come from the environment. Other than Beam's (2.72):

- a file that can't be looked at is an error, and not one that isn't there;
- a listing knows files from folders, and goes down into them;
- a name that is taken is replaced in one step (`renameoptions`, as of Hadoop's own client);
- what is written waits in a temporary file here, for the client's queue in memory has no bound;
- all that goes wrong is an OSError, which is tried again.
"""

from __future__ import annotations

import contextlib
import functools
import getpass
import importlib.util
import io
import os
import re
import tempfile
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

from apache_beam.io.filesystem import CompressionTypes, FileMetadata
from apache_beam.io.filesystemio import Downloader, DownloaderStream
from apache_beam.io.hadoopfilesystem import HadoopFileSystem
from apache_beam.options.pipeline_options import HadoopFileSystemOptions, PipelineOptions

from schemas.errors import RequestError

WEB_SERVICE = "WAKEBEAM_WEBHDFS"
USER = "HADOOP_USER_NAME"  # Hadoop's own programs read it too
_EXAMPLE = "HOST:PORT of the name node's web service, such as nn1:9870"
_HOST_AND_PORT = re.compile(r"([\w.-]+):(\d+)")
_READ_AHEAD_BYTES = 4 << 20


def complete(options: PipelineOptions) -> None:
    """Add to a job's options, for its workers elsewhere, what the environment says of HDFS."""
    hdfs = options.view_as(HadoopFileSystemOptions)
    found = _HOST_AND_PORT.fullmatch(os.environ.get(WEB_SERVICE, ""))
    if found:
        hdfs.hdfs_host, hdfs.hdfs_port = found.groups()
        hdfs.hdfs_user, hdfs.hdfs_full_urls = _user(), True


def connected(path: str, options: PipelineOptions) -> HdfsFiles:
    """Return the file system of `path`.

    Args:
        path: `hdfs://…`.
        options: of the job that a worker works for; the environment comes first.

    Raises:
        RequestError: the path is malformed, the client isn't installed, or nothing says where the
            web service is.
    """
    if not re.match(r"hdfs://[^/]+(/|$)", path):
        raise RequestError(f"{path} names no name node", expected="hdfs://NAMENODE/path")
    if importlib.util.find_spec("hdfs") is None:
        raise RequestError(
            f"{path} lies in HDFS, whose client isn't installed",
            fix="pip install 'wakebeam[hdfs]'",
        )
    complete(options)
    known = options.view_as(HadoopFileSystemOptions)
    if WEB_SERVICE in os.environ and not _HOST_AND_PORT.fullmatch(os.environ[WEB_SERVICE]):
        raise RequestError(f"{WEB_SERVICE} is {os.environ[WEB_SERVICE]!r}", expected=_EXAMPLE)
    if not (known.hdfs_host and known.hdfs_port):
        raise RequestError(
            f"{path} lies in HDFS, and nothing says where that is",
            expected=f"{WEB_SERVICE} in the environment, of each worker too: {_EXAMPLE}",
        )
    return _client(known.hdfs_host, str(known.hdfs_port), known.hdfs_user or _user())


@functools.cache
def _client(host: str, port: str, user: str) -> HdfsFiles:
    words = {"hdfs_host": host, "hdfs_port": port, "hdfs_user": user, "hdfs_full_urls": True}
    return HdfsFiles(PipelineOptions.from_dictionary(words))


def _user() -> str:
    with contextlib.suppress(KeyError, OSError):  # a user without a name
        return os.environ.get(USER) or getpass.getuser()
    return str(os.getuid())


@contextlib.contextmanager
def _as_os_errors(path: str) -> Iterator[None]:
    import hdfs

    try:
        yield
    except hdfs.HdfsError as error:
        raise OSError(f"{path}: HDFS says: {str(error).splitlines()[0][:300]}") from error


class HdfsFiles(HadoopFileSystem):  # type: ignore[misc]
    """What files.py asks of a file system, of HDFS; paths are URIs."""

    @classmethod
    def scheme(cls) -> str:
        """Return a scheme of its own: Beam goes on finding its own class for `hdfs`."""
        return "wakebeam-hdfs"

    def exists(self, path: str) -> bool:
        """Return whether a file or folder is there."""
        return self._status(path) is not None

    def metadata(self, path: str) -> FileMetadata:
        """Return name, size and time of a file.

        Raises:
            FileNotFoundError: it isn't there.
        """
        status = self._status(path)
        if status is None:
            raise FileNotFoundError(path)
        return _metadata(path, status)

    def listed(self, folder: str) -> list[tuple[FileMetadata, bool]]:
        """Return what lies in a folder, and of each whether it is a folder; a missing one is empty.

        Raises:
            NotADirectoryError: it is a file.
        """
        status = self._status(folder)
        if status is None:
            return []
        if status["type"] != "DIRECTORY":
            raise NotADirectoryError(folder)
        with _as_os_errors(folder):
            rows = self._hdfs_client.list(self._inner(folder), status=True)
        below = folder.rstrip("/")
        return [(_metadata(f"{below}/{name}", s), s["type"] == "DIRECTORY") for name, s in rows]

    def walked(self, path: str) -> list[FileMetadata]:
        """Return a file, or all files below a folder; none where nothing is."""
        status = self._status(path)
        if status is None:
            return []
        if status["type"] != "DIRECTORY":
            return [_metadata(path, status)]
        found: list[FileMetadata] = []
        for item, is_folder in self.listed(path):
            found += self.walked(item.path) if is_folder else [item]
        return found

    def open(self, path: str, compression_type: str = CompressionTypes.UNCOMPRESSED) -> BinaryIO:
        """Open a file for reading."""
        stream = DownloaderStream(_Reader(self, path))
        return cast(BinaryIO, io.BufferedReader(stream, _READ_AHEAD_BYTES))

    @contextlib.contextmanager
    def create(
        self, path: str, compression_type: str = CompressionTypes.UNCOMPRESSED
    ) -> Iterator[BinaryIO]:
        """Lend a file for writing, whose contents are sent when it is left without an error."""
        with tempfile.TemporaryFile() as file:
            yield cast(BinaryIO, file)
            file.seek(0)
            with _as_os_errors(path):
                self._hdfs_client.write(self._inner(path), data=file, overwrite=True)

    def rename(self, sources: list[str], targets: list[str]) -> None:
        """Give files other names; those that have them are replaced."""
        for source, target in zip(sources, targets, strict=True):
            with _as_os_errors(source):
                answer = self._hdfs_client._rename(
                    self._inner(source), destination=self._inner(target), renameoptions="OVERWRITE"
                )
            # With options there is no answer but the code; a gateway that knows none says "no".
            if answer.content and not answer.json().get("boolean", True):
                raise OSError(f"{source} can't be renamed to {target}")

    def _status(self, path: str) -> dict[str, Any] | None:
        import hdfs

        with _as_os_errors(path):
            try:
                return dict(self._hdfs_client.status(self._inner(path)))
            except hdfs.HdfsError as error:
                if error.exception == "FileNotFoundException":
                    return None
                raise

    def _inner(self, path: str) -> str:
        return str(self._parse_url(path)[1])


class _Reader(Downloader):  # type: ignore[misc]
    def __init__(self, system: HdfsFiles, path: str) -> None:
        self._system, self._path = system, path
        self._size = system.metadata(path).size_in_bytes

    @property
    def size(self) -> int:
        return int(self._size)

    def get_range(self, start: int, end: int) -> bytes:
        client, inner = self._system._hdfs_client, self._system._inner(self._path)
        with (
            _as_os_errors(self._path),
            client.read(inner, offset=start, length=end - start) as reader,
        ):
            return bytes(reader.read())


def _metadata(path: str, status: dict[str, Any]) -> FileMetadata:
    return FileMetadata(path, status["length"], status["modificationTime"] / 1000.0)
