"""One page: text and pictures inside it, sounds beside it; all escaped, nothing fetched."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; \
media-src 'self' file:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; background: Canvas; color: CanvasText }}
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; padding: 1rem; max-width: 60rem }}
h1, p {{ overflow-wrap: anywhere }}
pre {{ overflow-x: auto; background: #8882; padding: 1rem }}
img, audio {{ max-width: 100% }}
</style>
<main>
<h1>{title}</h1>
<pre tabindex="0">{text}</pre>
{pictures}
{sounds}
</main>
</html>
"""


def report_page(
    title: str,
    text: str,
    pictures: Sequence[tuple[str, bytes]],
    sounds: Sequence[tuple[str, str]] = (),
) -> str:
    """Return an HTML page.

    Args:
        title: of the page.
        text: shown as it is.
        pictures: (what is to be seen, a PNG file) of each.
        sounds: (path relative to the page, what is to be heard) of each.
    """
    images = "\n".join(
        f'<img alt="{html.escape(seen)}" '
        f'src="data:image/png;base64,{base64.b64encode(png).decode()}">'
        for seen, png in pictures
    )
    players = "\n".join(
        f'<p><audio controls preload="none" aria-label="{html.escape(remark)}" '
        f'src="{html.escape(path)}"></audio> '
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
