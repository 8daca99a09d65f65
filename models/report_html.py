"""One page: text and pictures inside it, sounds beside it; all escaped, nothing fetched."""

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
{sounds}
</html>
"""


def report_page(
    title: str, text: str, pictures: Sequence[bytes], sounds: Sequence[tuple[str, str]] = ()
) -> str:
    """Return an HTML page.

    Args:
        title: of the page.
        text: shown as it is.
        pictures: PNG files.
        sounds: (path relative to the page, what is to be heard) of each.
    """
    images = "\n".join(
        f'<img alt="figure {i}" src="data:image/png;base64,{base64.b64encode(png).decode()}">'
        for i, png in enumerate(pictures, start=1)
    )
    players = "\n".join(
        f'<p><audio controls preload="none" src="{html.escape(path)}"></audio> '
        f'<a href="{html.escape(path)}">{html.escape(path)}</a><br>{html.escape(remark)}</p>'
        for path, remark in sounds
    )
    heading = "<h2>Worst misses and false accepts</h2>\n" if sounds else ""
    return _PAGE.format(
        title=html.escape(title),
        text=html.escape(text),
        pictures=images,
        sounds=heading + players,
    )
