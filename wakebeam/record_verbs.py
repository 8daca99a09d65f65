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
    consent: Annotated[
        bool, typer.Option("--consent", help="the speaker agrees to it; a terminal asks instead")
    ] = False,
    ambient: Annotated[
        float | None, typer.Option(min=0.05, help="minutes of the room instead, as background")
    ] = None,
    rate: Annotated[int, typer.Option(min=8000, max=96000, help="Hz")] = 16000,
    device: Annotated[str | None, typer.Option(help="microphone's name or number")] = None,
) -> None:
    """Record takes: each ends by itself when the voice does, and is judged at once.

    Enter ends a take by hand, u takes the last one back, q stops; the same command goes on.
    Ctrl-C ends it too, and what was recorded is kept.
    """
    from models.live_buffer import LiveBuffer
    from wakebeam.cutting import plain
    from wakebeam.detecting import Stopped, microphone_source, stopped_by_ctrl_c
    from wakebeam.recording import (
        TakeFolder,
        Told,
        check_licence,
        record_ambient,
        record_takes,
        write_licence,
    )

    if not plain(keyword):
        raise RequestError(f"{keyword!r} can't be a folder's name", fix="use letters and digits")
    folder = out / plain(keyword)
    source = microphone_source(LiveBuffer(rate), rate, device)
    if ambient:
        folder = folder.with_name("ambient")
    check_licence(folder, licence)
    if not consent:
        _ask_consent(speaker, licence)
    if ambient:
        path = folder / time.strftime("room-%Y%m%d-%H%M%S.wav")
        with progress("record", "seconds") as update, stopped_by_ctrl_c():
            made = record_ambient(source.pieces, rate, path, 60 * ambient, update)
        if not made.kept_s:
            return show("nothing was recorded")
        write_licence(folder, licence, speaker)
        lost = f", {made.lost_s:.2f} s of sound were lost" * bool(made.lost_s)
        return show(f"{path}: {made.kept_s / 60:.3g} minutes{lost}; a background of a recipe")
    say("Enter ends a take, u takes the last one back, q stops.")
    takes_made = TakeFolder(folder, speaker)

    def verdict(text: str, take: Path | None) -> None:
        if take:
            write_licence(folder, licence, speaker)
        _tell(text)

    told = Told(status=_tell, verdict=verdict, level=_meter)
    before = len(takes_made)
    keys, waits = _typed(), sys.stdin.isatty()
    with contextlib.suppress(Stopped), stopped_by_ctrl_c():
        _count_down()
        record_takes(source.pieces, rate, takes_made, takes, keys, told, waits=waits)
    now = len(takes_made)
    show(f"{folder}: {now - before} takes now, {now} of {takes} in all by {speaker}")


def _ask_consent(speaker: str, licence: str) -> None:
    """Have a terminal answered with yes.

    Raises:
        RequestError: it is no terminal, or the answer is another.
    """
    asked = f"that {speaker} agrees to these recordings being used so: {licence}"
    if not sys.stdin.isatty():
        raise RequestError(
            "nobody can be asked here", expected=asked, fix="pass --consent where it is so"
        )
    say(f"Is it right {asked}? [y/N]")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise RequestError(
            "no consent, so nothing is recorded", fix="name the right --licence and --speaker"
        )


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


def _tell(text: str) -> None:
    """A line, in the meter's place where there is one."""
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")
    say(text)


def _meter(level_db: float, speaks: bool) -> None:
    """A bar on a terminal, written over again and again."""
    if sys.stderr.isatty():
        full = round(_METER * max(0.0, 1.0 - level_db / _LOWEST_DB))
        bar = ("#" if speaks else "=") * min(full, _METER)
        sys.stderr.write(f"\r[{bar:{_METER}}] {level_db:4.0f} dB ")
