"""Processes that tests start and end: engines' schedulers and workers, object stores."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    """A port of the loopback that is free now."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def environment(**more: str) -> dict[str, str]:
    """The environment of a process that can import this tree, and notes the shards it finishes."""
    path = os.pathsep.join([str(ROOT / "tests" / "integration" / "audit"), str(ROOT)])
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return os.environ | {"PYTHONPATH": path, "PATH": programs, "PYTHONWARNINGS": "ignore"} | more


@contextlib.contextmanager
def service(
    log: Path, module: str, *words: object, env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `python -m module words…` in a process group of its own, and end the group."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *map(str, words)],
            stdout=file,
            stderr=file,
            env=dict(env or environment()),
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def until(true: Callable[[], object], *, seconds: float = 60.0, log: Path | None = None) -> None:
    """Wait until something holds; else fail with the log."""
    deadline = time.monotonic() + seconds
    while not true():
        said = log.read_text(errors="replace")[-2000:] if log else ""
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain. {said}"
        time.sleep(0.05)


class JsonHandler(http.server.BaseHTTPRequestHandler):
    """Answers in JSON and logs nothing."""

    def say(self, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


def listens(port: int) -> bool:
    """Whether somebody listens on a port of the loopback."""
    with socket.socket() as trying:
        return trying.connect_ex(("127.0.0.1", port)) == 0
