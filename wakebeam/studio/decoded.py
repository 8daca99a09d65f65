"""Recordings decoded once into scratch files, so that every view of one is a seek.

However long a recording and whatever its format, memory doesn't grow with it.
"""

from __future__ import annotations

import asyncio
import itertools
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from pipeline.audio_file import to_int16
from pipeline.audio_stream import stream_channels
from schemas.errors import AudioError, RequestError

RATE_HZ = 24_000
_OPEN_AT_ONCE = 4
_LONGEST_VIEW_S = 120.0
_SLOW_THREADS = 2
_T = TypeVar("_T")


@dataclass(frozen=True)
class Decoded:
    """A recording's samples in a scratch file.

    Attributes:
        samples: (n, channels) at RATE_HZ.
        stamp: when the recording was written, and its size, as they were then.
    """

    samples: npt.NDArray[np.int16]
    stamp: tuple[int, int]

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / RATE_HZ

    @property
    def num_channels(self) -> int:
        """How many channels it has."""
        return self.samples.shape[1]

    def view(self, from_s: float, to_s: float, channel: int = 0) -> npt.NDArray[np.int16]:
        """Return the samples from one second to another of a channel, counted from 1; 0 mixes all.

        Raises:
            RequestError: too long, no such channel, or nothing lies there.
        """
        if not 0.0 <= from_s < to_s <= from_s + _LONGEST_VIEW_S:
            raise RequestError(f"from {from_s} to {to_s} s", expected="at most two minutes")
        x = self.samples[round(from_s * RATE_HZ) : round(to_s * RATE_HZ)]
        if not len(x):
            raise RequestError(f"nothing from {from_s} s on")
        if not 0 <= channel <= self.num_channels:
            raise RequestError(f"channel {channel}", expected=f"0 to {self.num_channels}")
        if channel or self.num_channels == 1:
            return np.array(x[:, max(0, channel - 1)])
        return np.asarray(np.rint(x.mean(axis=1)), np.int16)


class DecodedRecordings:
    """The recordings that were looked at last, decoded; long work has threads of its own.

    A scratch file has no name: it goes with its mapping, whatever ends the studio.
    """

    def __init__(self) -> None:
        self._opened: OrderedDict[Path, Decoded] = OrderedDict()
        self._turns: dict[Path, asyncio.Lock] = {}
        self._slow = ThreadPoolExecutor(_SLOW_THREADS, "recordings")
        self._closing = threading.Event()

    async def open(self, path: Path) -> Decoded:
        """Decode a recording, unless it is at hand and unchanged."""
        found = self._at_hand(path)
        if found is None:
            async with self._turns.setdefault(path, asyncio.Lock()):
                found = self._at_hand(path)
                if found is None:
                    stamp = _stamp(path)
                    found = Decoded(await self.slowly(_decode, path, self._closing), stamp)
                    self._opened[path] = found
                    while len(self._opened) > _OPEN_AT_ONCE:
                        self._turns.pop(self._opened.popitem(last=False)[0], None)
        return found

    async def slowly(self, work: Callable[..., _T], *arguments: object) -> _T:
        """Do what takes long beside what has to be quick."""
        return await asyncio.get_running_loop().run_in_executor(self._slow, work, *arguments)

    def until_closed(self, pieces: Iterable[_T]) -> Iterator[_T]:
        """Yield pieces until the studio is closed."""
        return itertools.takewhile(lambda _: not self._closing.is_set(), pieces)

    def close(self) -> None:
        """Let what is at work end."""
        self._closing.set()
        self._slow.shutdown(wait=False, cancel_futures=True)

    def _at_hand(self, path: Path) -> Decoded | None:
        found = self._opened.get(path)
        if found is None or found.stamp != _stamp(path):
            return None
        self._opened.move_to_end(path)
        return found


def _decode(path: Path, closing: threading.Event) -> npt.NDArray[np.int16]:
    num_channels = 1
    with tempfile.TemporaryFile(prefix="wakebeam-studio-") as file:
        for block in stream_channels(path, RATE_HZ):
            if closing.is_set():
                raise AudioError("the studio is closed")
            num_channels = block.shape[1]
            file.write(to_int16(block).tobytes())
        if not file.tell():
            raise AudioError(f"{path.name} is too short to be shown")
        file.flush()
        return np.memmap(file, np.int16, "r").reshape(-1, num_channels)


def _stamp(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size
