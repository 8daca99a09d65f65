"""The verb that makes takes: record."""

from __future__ import annotations

import contextlib
import queue
import sys
import threading
import time
from pathlib import Path
from typing import Annotated

import typer

from schemas.errors import RequestError
from wakebeam.app import APP
from wakebeam.console import progress, say, show

_METER = 30
_LOWEST_DB = -60.0


@APP.command(epilog="Example: wakebeam record hello_beacon --speaker anna --licence CC0-1.0")
def record(
    keyword: Annotated[str, typer.Argument(help="what is said; the folder's name")],
    takes: Annotated[int, typer.Option(min=1, help="that this speaker's shall become")] = 30,
    out: Annotated[Path, typer.Option(help="gets a folder KEYWORD")] = Path("takes"),
    speaker: Annotated[str, typer.Option(help="in the files' names")] = "speaker",
    licence: Annotated[str, typer.Option(help="that the speaker agrees to")] = "private use only",
    ambient: Annotated[
        float | None, typer.Option(min=0.05, help="minutes of the room instead, as background")
    ] = None,
    rate: Annotated[int, typer.Option(min=8000, max=96000, help="Hz")] = 16000,
    device: Annotated[str | None, typer.Option(help="microphone's name or number")] = None,
) -> None:
    """Record takes: each ends by itself when the voice does, and is judged at once.

    Enter ends a take by hand, u takes the last one back, q stops; the same command goes on.
    """
    from models.live_buffer import LiveBuffer
    from wakebeam.cutting import plain
    from wakebeam.detecting import Stopped, microphone_source, stopped_by_ctrl_c
    from wakebeam.recording import (
        TakeFolder,
        Told,
        record_ambient,
        record_takes,
        write_licence,
    )

    if not plain(keyword):
        raise RequestError(f"{keyword!r} can't be a folder's name", fix="use letters and digits")
    folder = out / plain(keyword)
    source = microphone_source(LiveBuffer(rate), rate, device)
    if ambient:
        path = folder.with_name("ambient") / time.strftime("room-%Y%m%d-%H%M%S.wav")
        write_licence(path.parent, licence, speaker)
        with progress("record", "seconds") as update:
            record_ambient(source.pieces, rate, path, 60 * ambient, update)
        show(f"{path}: {ambient:g} minutes; a background of a recipe")
        return
    write_licence(folder, licence, speaker)
    say(f"{speaker} agrees to: {licence}. Enter ends a take, u takes the last back, q stops.")
    made = TakeFolder(folder, speaker)
    told = Told(status=say, verdict=lambda text, take: say(text), level=_meter)
    before = len(made)
    with contextlib.suppress(Stopped), stopped_by_ctrl_c():
        _count_down()
        record_takes(source.pieces, rate, made, takes, _typed(), told)
    show(f"{folder}: {len(made) - before} takes now, {len(made)} of {takes} in all by {speaker}")


def _count_down() -> None:
    """Let somebody at a terminal get ready."""
    for second in (3, 2, 1) if sys.stderr.isatty() else ():
        say(f"{second} …")
        time.sleep(0.7)


def _typed() -> queue.Queue[str]:
    """What is typed, a line each."""
    lines: queue.Queue[str] = queue.Queue()

    def read() -> None:
        for line in sys.stdin:
            lines.put(line)

    if sys.stdin.isatty():
        threading.Thread(target=read, daemon=True).start()
    return lines


def _meter(level_db: float, speaks: bool) -> None:
    """A bar on a terminal, written over again and again."""
    if sys.stderr.isatty():
        full = round(_METER * max(0.0, 1.0 - level_db / _LOWEST_DB))
        bar = ("#" if speaks else "=") * min(full, _METER)
        sys.stderr.write(f"\r[{bar:{_METER}}] {level_db:4.0f} dB ")
