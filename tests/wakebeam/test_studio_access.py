"""Every room in light and dark, wide and at a telephone's width: no barriers, nothing cut off."""

from __future__ import annotations

import pytest

from tests.browser import barriers, open_page, wait_until
from tests.wakebeam.studio_client import open_recording, open_room


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_room_is_usable_in_any_theme_and_width(open_studio, folder, theme) -> None:
    with open_page(open_studio.address) as tab:
        tab.emulate_media(color_scheme=theme)

        def look(state: str) -> None:
            for width in (1200, 360):
                tab.set_viewport_size({"width": width, "height": 800})
                assert barriers(tab) == [], (state, width)
                assert tab.evaluate("document.documentElement.scrollWidth") <= width, state

        for room in ("record", "watch", "listen"):
            open_room(tab, room)
            tab.evaluate("trouble('something is wrong')")
            look(room)
        open_recording(tab, "later/tuesday.wav")
        tab.locator("#label-view").focus()
        tab.keyboard.press("n")
        wait_until(tab, "document.querySelectorAll('.candidate').length === 1")
        tab.keyboard.press("Enter")
        wait_until(tab, "document.querySelectorAll('.span.label.selected').length === 1")
        look("a selected label")
        (folder / "later/tuesday.txt").write_text("0.5\t0.2\tends before it starts\n")
        tab.locator("#label-view").focus()
        tab.keyboard.press("]")
        wait_until(tab, "!document.getElementById('label-conflict').hidden")
        look("a conflict")
    for path in folder.glob("later/*tuesday*.[tj]*"):
        path.unlink()
