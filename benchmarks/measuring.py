"""Medians with spread, ratios against a peer that is timed in turns with us, memory."""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

RUNS = 5
_KIB_IN_MIB = 1024.0
_LOOK_S = 0.05
_SMALL = 5.0
_MEMORY = "6g"


def seconds_each(work: Callable[[int], object], count: int, first: int = 0) -> float:
    """Return seconds for each of `count` calls of `work`, which gets first, first + 1 and so on."""
    began_s = time.perf_counter()
    for index in range(first, first + count):
        work(index)
    return (time.perf_counter() - began_s) / count


def runs(work: Callable[[int], object], count: int) -> list[float]:
    """Return seconds a call for each of five runs, after one call that isn't counted."""
    work(0)
    return [seconds_each(work, count, run * count) for run in range(RUNS)]


def in_turns(
    ours: tuple[Callable[[int], object], int], theirs: tuple[Callable[[int], object], int]
) -> tuple[list[float], list[float]]:
    """Return seconds a call of both, five runs each, ours and theirs in turns."""
    ours[0](0)
    theirs[0](0)
    pairs = [
        (seconds_each(*ours, first=run * ours[1]), seconds_each(*theirs, first=run * theirs[1]))
        for run in range(RUNS)
    ]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def show(name: str, values: list[float], unit: str) -> None:
    """Print a median with its spread."""
    middle, low, high = statistics.median(values), min(values), max(values)
    digits = 0 if middle >= 100 else 1 if middle >= _SMALL else 2
    text = f"{middle:>10,.{digits}f} ({low:,.{digits}f} … {high:,.{digits}f}) {unit}"
    print(f"{name:58}{text}", flush=True)


def show_ratio(name: str, ours: list[float], theirs: list[float]) -> None:
    """Print how many times as fast we are, run by run."""
    show(name, [t / o for t, o in zip(theirs, ours, strict=True)], "times")


@contextlib.contextmanager
def memory_folder() -> Iterator[Path]:
    """Lend a folder on a memory file system, of huge pages where that is allowed.

    Plain pages are handed out one by one, which in a virtual machine may take longer than all else
    that a scene needs; a file system of huge pages shows the programs and not the machine's memory.
    """
    with tempfile.TemporaryDirectory(dir="/dev/shm") as shared:
        where = os.environ.get("MEMORY_FOLDER", shared)
        command = ["mount", "-t", "tmpfs", "-o", f"size={_MEMORY},huge=always", "wakebeam", shared]
        mounted = where == shared and os.geteuid() == 0
        mounted = mounted and subprocess.run(command, capture_output=True).returncode == 0
        print(f"memory: {'a file system of huge pages' if mounted else where}", flush=True)
        try:
            yield Path(where)
        finally:
            if mounted:
                subprocess.run(["umount", "-l", shared], check=True)


class Watch:
    """The highest resident size of any process that this one has started, while it is open."""

    @property
    def highest_mib(self) -> float:
        """Of all the time."""
        return self.highest_before(time.time())

    def highest_before(self, unix_s: float) -> float:
        """Return the highest until then."""
        return max((mib for seen_s, mib in self._seen if seen_s <= unix_s), default=0.0)

    def __enter__(self) -> Watch:
        self._seen: list[tuple[float, float]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(_LOOK_S):
            highest = max(map(high_water_mib, _descendants()), default=0.0)
            self._seen.append((time.time(), highest))


def _descendants() -> set[str]:
    parents = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            parents[place.name] = (place / "stat").read_text().rpartition(")")[2].split()[1]
        except OSError:
            continue
    found, more = set(), {str(os.getpid())}
    while more:
        more = {process for process, parent in parents.items() if parent in more}
        found |= more
    return found


def high_water_mib(process: str) -> float:
    """Return the highest resident size of a process so far; 0 if it is gone."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0.0
    lines = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return float(lines[0].split()[1]) / _KIB_IN_MIB if lines else 0.0
