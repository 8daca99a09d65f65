"""What the user sees: progress bars on a terminal, plain lines elsewhere, results on stdout.

Progress and remarks go to stderr, results to stdout, so that a pipe gets results only. Without a
terminal a stage prints a line after a second, then about every ten seconds.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

Update = Callable[[int, int], None]
_PLAIN_EVERY_S = 10.0


def say(text: str) -> None:
    """Print a remark for people on stderr."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(text, markup=False)


def show(text: str) -> None:
    """Print a result for people on stdout."""
    plain = text.encode("utf-8", "backslashreplace").decode("utf-8")  # names may be no UTF-8
    sys.stdout.write(plain.rstrip("\n") + "\n")
    sys.stdout.flush()


def show_json(value: Any) -> None:
    """Print a result for programs on stdout, one JSON value on one line."""
    show(json.dumps(value, ensure_ascii=False, sort_keys=True, allow_nan=False))


@contextlib.contextmanager
def progress(
    title: str, unit: str, now_s: Callable[[], float] = time.monotonic
) -> Iterator[Update]:
    """Show progress of one stage.

    Args:
        title: what is being done.
        unit: what is counted, e.g. `scenes`.
        now_s: the clock that plain lines go by.

    Yields:
        A function to call with (done, total), from any thread, as often as wished.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _plain(title, unit, now_s)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        _Rate(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(title, total=None)

        def update(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield update


class _Rate(ProgressColumn):
    """How many a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{_short(speed)}/s" if speed else "", style="progress.data.speed")


def _short(rate: float) -> str:
    for unit in ("", "k", "M"):
        if rate < 1000:
            return f"{rate:.3g}{unit}"
        rate /= 1000
    return f"{rate:.3g}G"


def _plain(title: str, unit: str, clock_s: Callable[[], float]) -> Update:
    start_s = clock_s()
    last_s = start_s - _PLAIN_EVERY_S + 1.0
    first: int | None = None

    def update(done: int, total: int) -> None:
        nonlocal last_s, first
        now_s = clock_s()
        first = done if first is None else first
        if now_s - last_s < _PLAIN_EVERY_S or total <= 0:
            return
        last_s = now_s
        pace = (done - first) / max(now_s - start_s, 1e-9)
        rate = f", {_short(pace)}/s" if pace > 0 else ""
        left = f", about {clock((total - done) / pace)} left" if pace > 0 and done < total else ""
        say(f"{title}: {done} of {total} {unit}{rate}{left}")

    return update


def clock(seconds: float) -> str:
    """Return `m:ss` or `h:mm:ss`."""
    whole = int(seconds + 0.5)
    hours, rest = divmod(whole, 3600)
    minutes, rest = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
