"""One self-contained page of `pages`, in a frame: it needs no network and can be sent around.

Pictures, sounds (MP3) and data are inside it. Names come from files and are never taken for markup:
the data is JSON without `<`, and the scripts only set texts.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

_ESCAPES = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026"}


def fill_page(name: str, title: str, values: Mapping[str, Any]) -> str:
    """Return the page.

    Args:
        name: of its files in `pages`: name.html and name.js.
        title: of its tab.
        values: what its script shows; JSON without NaN and infinity.
    """
    parts = {
        "title": html.escape(title),
        "style": page_text("page.css"),
        "script": page_text("parts.js") + page_text(f"{name}.js"),
        "main": page_text(f"{name}.html"),
        "data": json_text(values),
    }
    pieces = page_text("frame.html").split("@")
    return "".join(parts[piece] if i % 2 else piece for i, piece in enumerate(pieces))


def json_text(values: Mapping[str, Any]) -> str:
    """Return JSON that may stand in a page."""
    return json.dumps(values, allow_nan=False).translate(_ESCAPES)


def page_text(name: str) -> str:
    """Return a file of `pages`."""
    return (resources.files("wakebeam") / "pages" / name).read_text(encoding="utf-8")
