"""One self-contained page: text and pictures, everything escaped, nothing fetched."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem }}
pre {{ overflow-x: auto; background: #f4f4f4; padding: 1rem }}
img {{ max-width: 100% }}
</style>
<h1>{title}</h1>
<pre>{text}</pre>
{pictures}
</html>
"""


def report_page(title: str, text: str, pictures: Sequence[bytes]) -> str:
    """Return an HTML page with preformatted `text` and PNG `pictures`."""
    images = "\n".join(
        f'<img alt="figure {i}" src="data:image/png;base64,{base64.b64encode(png).decode()}">'
        for i, png in enumerate(pictures, start=1)
    )
    return _PAGE.format(title=html.escape(title), text=html.escape(text), pictures=images)
