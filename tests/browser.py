"""A page in a real browser, headless; the tests that need one are skipped where there is none."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--autoplay-policy=no-user-gesture-required",
]


@contextlib.contextmanager
def open_page(address: str, microphone: Path | None = None) -> Iterator[Any]:
    """Yield Playwright's page at an address; `problems` collects errors and requests elsewhere.

    A file of sound can be the browser's microphone: 16-bit PCM, heard again and again.
    """
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        pytest.skip(f"no browser: none of {', '.join(_NAMES)} is installed")
    with playwright.sync_playwright() as engine:
        switches = [*_SWITCHES, *(_fake(microphone) if microphone else ())]
        browser = engine.chromium.launch(executable_path=path, args=switches)
        page = browser.new_page(viewport={"width": 1200, "height": 1000})
        page.problems = []
        page.on("console", lambda m: m.type == "error" and page.problems.append(m.text))
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.on("request", lambda r: _note_request(page, r.url))
        page.goto(address)
        yield page
        browser.close()


def _fake(microphone: Path) -> list[str]:
    return [
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={microphone}",
    ]


def wait_until(page: Any, expression: str, seconds: float = 30.0) -> None:
    """Wait until an expression holds; Playwright's own way is forbidden by a page's policy."""
    until_s = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < until_s, f"never true: {expression}"
        page.wait_for_timeout(50)


def barriers(page: Any) -> list[str]:
    """Return what axe-core finds serious or critical about a page."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe isn't installed")
    found = axe.Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {one['nodes'][0]['html']}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


def _note_request(page: Any, url: str) -> None:
    local = ("file:", "data:", "blob:", "http://127.0.0.1:", "ws://127.0.0.1:")
    if not url.startswith(local):
        page.problems.append(f"asked for {url}")
