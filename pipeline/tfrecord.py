"""TFRecord files: framing, checksums, and nothing else.

A record is: length (uint64 LE), masked CRC32C of those 8 bytes, data, masked CRC32C of the data.
The mask is ((crc >> 15) | (crc << 17)) + 0xa282ead8 mod 2^32. Source: TensorFlow's
`tensorflow/core/lib/io/record_writer.h`. A reader trusts nothing: each checksum is compared and a
damaged file is named with the byte at which it broke.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import BinaryIO, cast

import google_crc32c
import numpy as np
import numpy.typing as npt

from pipeline.crc32c import combined
from schemas.errors import DatasetError

_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")
_MASK = 0xA282EAD8
_LONG = 1 << 14
"""Bytes that cost more to go over again than checksums to join."""
HEADER_BYTES, FOOTER_BYTES = _HEADER.size, _FOOTER.size
Piece = bytes | npt.NDArray[np.uint8]


class RecordWriter:
    """Writes records to an open file and keeps the file's own CRC32C and size."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._crc = 0
        self.num_bytes = 0
        self.num_records = 0

    @property
    def crc32c(self) -> str:
        """CRC32C of everything written so far, eight hex digits."""
        return f"{self._crc:08x}"

    def write(self, *data: Piece) -> None:
        """Append one record: its data, in one piece or in several, which are never joined."""
        num_bytes = sum(map(len, data))
        length = struct.pack("<Q", num_bytes)
        header = length + _FOOTER.pack(_masked(google_crc32c.value(length)))
        crc = 0
        for piece in data:
            crc = google_crc32c.extend(crc, piece)
        footer = _FOOTER.pack(_masked(crc))
        for piece in (header, *data, footer):
            self._file.write(cast(bytes, piece))
            self.num_bytes += len(piece)
        before = google_crc32c.extend(self._crc, header)
        self._crc = google_crc32c.extend(combined(before, crc, num_bytes), footer)
        self.num_records += 1


class RecordReader:
    """Iterates over the records of an open file, checking every checksum.

    Args:
        file: opened for reading bytes.
        name: for messages.
        max_bytes: a longer record is taken for damage.
    """

    def __init__(self, file: BinaryIO, name: str, *, max_bytes: int = 2**31) -> None:
        self._file = file
        self._name = name
        self._max_bytes = max_bytes
        self._crc = self._last_crc = 0
        self.num_bytes = 0
        self.num_records = 0

    @property
    def crc32c(self) -> str:
        """CRC32C of everything read so far, eight hex digits."""
        return f"{self._crc:08x}"

    def __iter__(self) -> Iterator[bytes]:
        """Yield each record's data.

        Raises:
            DatasetError: cut short, or a checksum is wrong; names file, record and byte.
        """
        while header := self._take(_HEADER.size, at_end_ok=True):
            length, crc = _HEADER.unpack(header)
            if crc != _masked(google_crc32c.value(header[:8])) or length > self._max_bytes:
                raise self._damaged("the length of a record fails its checksum")
            data = self._take(length)
            found = self._last_crc
            (crc,) = _FOOTER.unpack(self._take(_FOOTER.size))
            if crc != _masked(found):
                raise self._damaged("a record fails its checksum")
            self.num_records += 1
            yield data

    def _take(self, size: int, *, at_end_ok: bool = False) -> bytes:
        data = self._file.read(size)
        if len(data) < size and not (at_end_ok and not data):
            raise self._damaged("the file ends inside a record")
        self._last_crc = google_crc32c.value(data)
        if len(data) > _LONG:
            self._crc = combined(self._crc, self._last_crc, len(data))
        else:
            self._crc = google_crc32c.extend(self._crc, data)
        self.num_bytes += len(data)
        return data

    def _damaged(self, what: str) -> DatasetError:
        return DatasetError(
            f"{self._name} is damaged: {what} (record {self.num_records}, byte {self.num_bytes})",
            fix="delete the file and run the same command again: it makes missing shards anew",
        )


def joined(pieces: Iterable[Piece]) -> bytes:
    """Return pieces of data as one: a copy."""
    return b"".join(cast(Iterable[bytes], pieces))


def record_length(header: bytes) -> int | None:
    """Return the length that a record's 12-byte header gives; None if its checksum is wrong."""
    if len(header) < HEADER_BYTES:
        return None
    length, crc = _HEADER.unpack(header)
    return int(length) if crc == _masked(google_crc32c.value(header[:8])) else None


def is_record(data: bytes) -> bool:
    """Return whether a record's data, its 4-byte checksum behind it, has the right checksum."""
    (crc,) = _FOOTER.unpack(data[-FOOTER_BYTES:])
    return bool(crc == _masked(google_crc32c.value(data[:-FOOTER_BYTES])))


def _masked(crc: int) -> int:
    return (((crc >> 15) | (crc << 17)) + _MASK) & 0xFFFFFFFF
