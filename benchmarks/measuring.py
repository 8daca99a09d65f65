"""Medians with spread, ratios against a peer that is timed in turns with us, memory."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

RUNS = 5
_KIB_IN_MIB = 1024.0


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
    digits = 0 if middle >= 100 else 1
    print(f"{name:58}{middle:>10,.{digits}f} ({low:,.{digits}f} … {high:,.{digits}f}) {unit}")


def show_ratio(name: str, ours: list[float], theirs: list[float]) -> None:
    """Print how many times as fast we are, run by run."""
    show(name, [t / o for t, o in zip(theirs, ours, strict=True)], "times")


def high_water_mib(process: str) -> float:
    """Return the highest resident size of a process so far; 0 if it is gone."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0.0
    lines = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return float(lines[0].split()[1]) / _KIB_IN_MIB if lines else 0.0
