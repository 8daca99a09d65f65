"""A browser's microphone as a source: packets of int16 over a socket, read by a thread.

The page sends sound as binary messages and commands as texts; it hears back JSON. A thread works on
the sound with the same code as the command line; when it is late the oldest sound is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from aiohttp import WSMsgType, web
from aiohttp.typedefs import Handler

from models.live_buffer import LiveBuffer
from schemas.errors import RequestError, WakebeamError

Tell = Callable[[dict[str, Any]], None]
_MOST_BYTES = 1 << 20
_MOST_WAITING = 256


async def hear(
    request: web.Request,
    work: Callable[[LiveBuffer, int, Tell], None],
    command: Callable[[str, LiveBuffer], None] = lambda text, buffer: None,
) -> web.WebSocketResponse:
    """Serve a socket until the page goes or the work is done.

    Args:
        request: has `rate` in Hz and, if there are several, `channels`.
        work: runs in a thread with the buffer, its rate and a function that tells the page.
        command: called with each text that the page sends, and the buffer.

    Raises:
        RequestError: no such rate or number of channels.
    """
    rate_hz = _number(request, "rate", 0, 4000, 384_000)
    channels = _number(request, "channels", 1, 1, 32)
    socket = web.WebSocketResponse(max_msg_size=_MOST_BYTES, heartbeat=20.0)
    await socket.prepare(request)
    loop = asyncio.get_running_loop()
    buffer, told = LiveBuffer(rate_hz), asyncio.Queue[dict[str, Any] | None]()

    def tell(message: dict[str, Any]) -> None:
        if told.qsize() < _MOST_WAITING or "level_db" not in message:
            loop.call_soon_threadsafe(told.put_nowait, message)

    def run() -> None:
        try:
            work(buffer, rate_hz, tell)
        except (WakebeamError, OSError) as error:
            tell({"error": str(error)})
        finally:
            loop.call_soon_threadsafe(told.put_nowait, None)

    async def pass_on() -> None:
        while (message := await told.get()) is not None:
            with contextlib.suppress(ConnectionError):
                if not socket.closed:
                    await socket.send_str(json.dumps(message, allow_nan=False))
        await socket.close()

    threading.Thread(target=run, daemon=True).start()
    telling = asyncio.create_task(pass_on())
    try:
        async for message in socket:
            if message.type == WSMsgType.BINARY and len(message.data) % (2 * channels) == 0:
                buffer.put(np.frombuffer(message.data, "<i2").reshape(-1, channels))
            elif message.type == WSMsgType.TEXT:
                command(message.data, buffer)
    finally:
        buffer.end()
        await telling
    return socket


def told_why(handler: Handler) -> Handler:
    """Let a socket that is refused open for as long as it takes to say why: else no page hears."""

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except RequestError as error:
            socket = web.WebSocketResponse()
            await socket.prepare(request)
            await socket.send_str(json.dumps({"error": str(error)}))
            await socket.close()
            return socket

    return answer


def _number(request: web.Request, name: str, default: int, low: int, high: int) -> int:
    text = request.query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 9 and low <= int(text) <= high):
        raise RequestError(f"{name} is {text[:20]!r}", expected=f"{low} to {high}")
    return int(text)
