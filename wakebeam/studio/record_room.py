"""The room to record in: takes by voice from the browser's microphone, judged as they come."""

from __future__ import annotations

import contextlib
import queue
import secrets
import time
from pathlib import Path
from typing import Any

from aiohttp import web

from models.live_buffer import LiveBuffer
from schemas.errors import RequestError
from wakebeam.cutting import plain
from wakebeam.detecting import live_pieces
from wakebeam.recording import (
    LICENCE_NAME,
    QUIT,
    TakeFolder,
    Told,
    record_ambient,
    record_takes,
    write_licence,
)
from wakebeam.studio.microphone import Tell, hear, told_why
from wakebeam.studio.place import PLACE, no_link

_MOST_TAKES, _MOST_MINUTES = 10_000, 120.0
_MOST_SAMPLES = 2 * 3600 * 48_000
"""Of the room's sound: two hours at the rate of most sound cards."""
_MOST_KEYS = 16


async def record(request: web.Request) -> web.WebSocketResponse:
    """A socket: keyword, speaker, licence, consent, takes or ambient (minutes); texts are keys."""
    asked = request.query
    keyword, speaker = plain(asked.get("keyword", "")), plain(asked.get("speaker", ""))
    licence = " ".join(asked.get("licence", "").split())
    if not keyword or not speaker or not licence:
        raise RequestError(
            "a keyword, a speaker and a licence are needed",
            expected="names with some of A-Z, a-z, 0-9: they become those of files",
        )
    if asked.get("consent") != "agreed":
        raise RequestError(
            f"{speaker} has not agreed", expected="consent to the licence before anything is kept"
        )
    takes, ambient = (
        _between(asked, "takes", _MOST_TAKES),
        _between(asked, "ambient", _MOST_MINUTES),
    )
    folder = no_link(request.app[PLACE].takes / ("ambient" if ambient else keyword))
    no_link(folder / LICENCE_NAME)
    keys: queue.Queue[str] = queue.Queue(_MOST_KEYS)

    def command(text: str, buffer: LiveBuffer) -> None:
        with contextlib.suppress(queue.Full):  # nobody types so fast
            keys.put_nowait(text[:1])
        if ambient and text == QUIT:
            buffer.end()

    def work(buffer: LiveBuffer, rate_hz: int, tell: Tell) -> None:
        if ambient:
            if 60 * ambient * rate_hz > _MOST_SAMPLES:
                raise RequestError(
                    f"{ambient:g} minutes at {rate_hz} Hz", expected="two hours at 48 kHz at most"
                )
            name = f"room-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}.wav"
            path = folder / name
            write_licence(folder, licence, speaker)
            heard = record_ambient(
                live_pieces(buffer), rate_hz, path, 60 * ambient,
                lambda done, total: tell({"done": done, "total": total}),
            )  # fmt: skip
            if not heard.kept_s:
                return tell({"verdict": "nothing was recorded", "take": ""})
            lost = f", {heard.lost_s:.2f} s of sound were lost" * bool(heard.lost_s)
            return tell({"verdict": f"kept: {path.name}{lost}", "take": f"ambient/{path.name}"})
        write_licence(folder, licence, speaker)
        made = TakeFolder(folder, speaker)

        kept: set[str] = set()

        def verdict(text: str, take: Path | None) -> None:
            gone = [name for name in kept if not (folder / name).exists()]
            kept.difference_update(gone)
            line = {"verdict": text, "take": "", "gone": [f"{keyword}/{name}" for name in gone]}
            if take is not None:
                kept.add(take.name)
                line["take"] = f"{keyword}/{take.name}"
            tell(line | {"done": len(made), "total": int(takes)})

        told = Told(
            status=lambda text: tell({"status": text}),
            verdict=verdict,
            level=lambda db, speaks: tell({"level_db": round(db, 1), "speaks": speaks}),
        )
        record_takes(live_pieces(buffer), rate_hz, made, int(takes), keys, told)
        tell({"status": f"{len(made)} of {int(takes)} takes by {speaker}", "ended": True})

    return await hear(request, work, command)


async def get_take(request: web.Request) -> web.FileResponse:
    """GET name: a take, to hear it again."""
    path = request.app[PLACE].take(request.query.get("name", ""))
    if path.suffix != ".wav" or not path.is_file():
        raise web.HTTPNotFound
    return web.FileResponse(path, headers={"Content-Type": "audio/wav"})


def _between(asked: Any, name: str, most: float) -> float:
    try:
        value = float(asked.get(name, "0"))
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= most:
        raise RequestError(f"{name} is {asked.get(name)!r}", expected=f"at most {most:g}")
    return value


ROUTES = [web.get("/socket/record", told_why(record)), web.get("/api/take", get_take)]
