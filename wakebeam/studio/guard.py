"""Who may talk to the studio: the browser that has the token, on pages that the studio served.

A page of somebody else, open in the same browser, could ask 127.0.0.1 for anything. So every
request needs the token, which the first address carries and a cookie keeps (HttpOnly,
SameSite=Strict); the Host must be our own, against names that are made to point here; and whatever
changes something, or opens a socket, must come from a page of ours (Origin, Sec-Fetch-Site).

A browser sends a cookie to every port of a machine, that is, also to a server of somebody else on
it. So the studio lies below a path that is drawn for each run, and the cookie is sent there alone.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from schemas.errors import WakebeamError

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; media-src 'self' data: blob:; connect-src 'self' {socket}; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
_SAFE_METHODS = ("GET", "HEAD")
_OWN_SITES = ("same-origin", "none")  # none: typed, or opened by another program


def guard(token: str, port: int, below: str) -> Middleware:
    """Return the middleware that lets through only what is ours.

    Args:
        token: of this run.
        port: that the server listens on.
        below: path of this run, with `/` before and behind it.
    """
    hosts = (f"127.0.0.1:{port}", f"localhost:{port}")
    cookie = f"wakebeam-{port}"

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.host not in hosts:
            return _refused("this name isn't the studio's")
        origin = request.headers.get("Origin")
        changes = request.method not in _SAFE_METHODS or "Upgrade" in request.headers
        if (origin is not None or changes) and origin != f"http://{request.host}":
            return _refused("this comes from another page")
        if request.headers.get("Sec-Fetch-Site", "none") not in _OWN_SITES:
            return _refused("this comes from another page")
        if request.path == below and "token" in request.query:
            if not _equal(request.query["token"], token):
                return _refused("this token is of another run")
            answer: web.StreamResponse = web.Response(status=303, headers={"Location": below})
            answer.set_cookie(cookie, token, httponly=True, samesite="Strict", path=below)
            return answer
        if not _equal(request.cookies.get(cookie, ""), token):
            return _refused("open the address that `wakebeam studio` printed")
        try:
            answer = await handler(request)
        except WakebeamError as error:
            answer = web.json_response({"error": str(error)}, status=400)
        except OSError as error:  # a full disk, a folder that can't be written
            answer = web.json_response({"error": error.strerror or str(error)}, status=500)
        return answer

    return check


def headers(port: int) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """Return what every answer gets: nothing from elsewhere, nothing kept, no guessing of types."""
    policy = _POLICY.format(socket=f"ws://127.0.0.1:{port} ws://localhost:{port}")

    async def add(request: web.Request, answer: web.StreamResponse) -> None:
        answer.headers["Content-Security-Policy"] = policy
        answer.headers["X-Content-Type-Options"] = "nosniff"
        answer.headers["Referrer-Policy"] = "no-referrer"
        answer.headers["Cross-Origin-Opener-Policy"] = "same-origin"
        answer.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        answer.headers["Cache-Control"] = "no-store"

    return add


def _equal(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), token.encode())


def _refused(why: str) -> web.Response:
    return web.Response(status=403, text=f"refused: {why}\n")
