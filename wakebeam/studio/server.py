"""The studio's server: pages, and the addresses of the four rooms, on loopback alone."""

from __future__ import annotations

import asyncio
import secrets
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from schemas.errors import RequestError
from wakebeam.page_file import page_text
from wakebeam.studio import (
    label_room,
    listen_room,
    record_room,
    validation_stream,
    watch_room,
)
from wakebeam.studio.guard import guard, headers
from wakebeam.studio.place import PLACE, Place

_MOST_BYTES = 4 << 20
_TYPES = {".js": "text/javascript", ".css": "text/css"}
_FILES = (
    "parts.js",
    "page.css",
    "studio.js",
    "studio_capture.js",
    "studio_label.js",
    "studio_listen.js",
    "studio_record.js",
    "studio_rooms.js",
    "studio_saving.js",
    "studio_validation.js",
    "studio_watch.js",
)


def make_app(place: Place, token: str, port: int, below: str) -> web.Application:
    """Return the application.

    Args:
        place: where recordings, takes and trainings are.
        token: that every request needs.
        port: that it is going to be served on.
        below: path that all its addresses begin with, `/…/`.
    """
    app = web.Application()
    app[PLACE] = place
    app.router.add_get("/", _page)
    app.router.add_get("/files/{name}", _file)
    for part in (record_room, label_room, watch_room, validation_stream, listen_room):
        app.add_routes(part.ROUTES)
    app.cleanup_ctx.append(label_room.context)
    guarded = web.Application(middlewares=[guard(token, port, below)], client_max_size=_MOST_BYTES)
    guarded.on_response_prepare.append(headers(port))
    guarded.add_subapp(below, app)
    return guarded


async def serve(place: Place, port: int, opened: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        place: where recordings, takes and trainings are.
        port: 0 for any that is free.
        opened: called with the address to open, once it answers.

    Raises:
        RequestError: the port is taken.
    """
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(("127.0.0.1", port))
    except OSError as error:
        listening.close()
        raise RequestError(
            f"port {port} can't be used ({error.strerror})", fix="name another with --port"
        ) from error
    port = listening.getsockname()[1]
    token, below = secrets.token_urlsafe(32), f"/{secrets.token_urlsafe(16)}/"
    app = make_app(place, token, port, below)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.SockSite(runner, listening).start()
        stopped = asyncio.Event()
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        opened(f"http://127.0.0.1:{port}{below}?token={token}")
        await stopped.wait()
    finally:
        await runner.cleanup()


def serve_until_ctrl_c(
    folder: Path, takes: Path, model: Path | None, port: int, opened: Callable[[str], None]
) -> None:
    """Serve a folder until Ctrl-C; `opened` is called with the address.

    Raises:
        RequestError: no such folder or model, or the port is taken.
    """
    asyncio.run(serve(Place(folder, takes, model), port, opened))


async def _page(request: web.Request) -> web.Response:
    return web.Response(text=page_text("studio.html"), content_type="text/html")


async def _file(request: web.Request) -> web.Response:
    name = request.match_info["name"]
    if name not in _FILES:
        raise web.HTTPNotFound
    return web.Response(text=page_text(name), content_type=_TYPES[Path(name).suffix])
