"""Where a damaged TFRecord file is damaged: every byte range, not only the first.

A record whose own checksum fails is one range; the next record begins where its length says. Where
the checksum of a length fails, nobody knows where the record ends: the next place is looked for at
which a length with a right checksum stands, and the range goes up to there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from pipeline.tfrecord import FOOTER_BYTES, HEADER_BYTES, is_record, record_length

_WINDOW = 1 << 22


@dataclass(frozen=True)
class Damage:
    """The half-open range [start, stop) of bytes, and what is wrong in it."""

    start: int
    stop: int
    what: str

    def __str__(self) -> str:
        """Say it in a line."""
        return f"bytes {self.start} to {self.stop}: {self.what}"


def find_damage(file: BinaryIO, size: int) -> Iterator[Damage]:
    """Yield every damaged range of a file.

    Args:
        file: opened for reading, with `seek`.
        size: of the file, in bytes.
    """
    at = 0
    while at < size:
        file.seek(at)
        header = file.read(HEADER_BYTES)
        length = record_length(header)
        if length is None:
            if size - at < HEADER_BYTES:
                yield Damage(at, size, "the file ends inside a record")
                return
            following = _next_header(file, at + 1, size)
            yield Damage(at, following, "the length of a record fails its checksum")
            at = following
            continue
        stop = at + HEADER_BYTES + length + FOOTER_BYTES
        if stop > size:
            yield Damage(at, size, "the file ends inside a record")
            return
        if not is_record(file.read(length + FOOTER_BYTES)):
            yield Damage(at, stop, "a record fails its checksum")
        at = stop


def _next_header(file: BinaryIO, at: int, size: int) -> int:
    """The next place with a length below 4 GiB and its right checksum; the end if there is none."""
    while at + HEADER_BYTES <= size:
        file.seek(at)
        data = file.read(_WINDOW + HEADER_BYTES - 1)
        x = np.frombuffer(data, np.uint8)
        n = len(x) - HEADER_BYTES + 1
        high = x[4 : 4 + n] | x[5 : 5 + n] | x[6 : 6 + n] | x[7 : 7 + n]
        low = x[:n] | x[1 : 1 + n] | x[2 : 2 + n] | x[3 : 3 + n]
        for start in np.flatnonzero((high == 0) & (low != 0)).tolist():
            if record_length(data[start : start + HEADER_BYTES]) is not None:
                return at + int(start)
        at += n
    return size
