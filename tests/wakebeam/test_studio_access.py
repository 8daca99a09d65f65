"""Every room in light and dark, wide and at a telephone's width: no barriers, nothing cut off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.audio_factory import write
from tests.browser import barriers, open_page, wait_until
from tests.wakebeam.studio_client import open_recording, open_room, session, studio


@pytest.fixture(autouse=True)
def no_labels_left(folder) -> Iterator[None]:
    """Take away what a test has labelled, also where it fails."""
    yield
    for path in folder.glob("later/*tuesday*.[tj]*"):
        path.unlink()


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


def test_a_take_a_training_and_the_live_detector_by_keyboard_alone(
    folder, trained, tmp_path
) -> None:
    microphone = write(tmp_path / "said.wav", session(folder.parent, ["kw/1.wav"], gap_s=1.5))
    options = ("--model", trained.folder / "w/export", "--takes", tmp_path / "takes")
    with studio(trained.folder / "w", *options) as one, open_page(one.address, microphone) as tab:
        for name, text in (("keyword", "by key"), ("speaker", "anna"), ("takes", "1")):
            _tab_to(tab, f"[name={name}]")
            tab.keyboard.press("Control+a")
            tab.keyboard.type(text)
        _tab_to(tab, "[name=consent]")
        tab.keyboard.press("Space")
        _tab_to(tab, "#record-start")
        tab.keyboard.press("Enter")
        ended = "document.getElementById('record-status').textContent.startsWith('1 of 1')"
        wait_until(tab, ended, 60)
        _tab_to(tab, "a[href='#watch']")
        tab.keyboard.press("Enter")
        wait_until(tab, "document.querySelectorAll('#stream-list button').length > 0", 60)
        _tab_to(tab, "#stream-list button")
        tab.keyboard.press("Enter")
        wait_until(tab, "document.querySelector('#stream-scene img') !== null", 60)
        _tab_to(tab, "a[href='#listen']")
        tab.keyboard.press("Enter")
        wait_until(tab, "!document.getElementById('listen-start').disabled")
        _tab_to(tab, "#listen-start")
        tab.keyboard.press("Enter")
        wait_until(tab, "document.querySelectorAll('#listen-found li').length > 0", 60)
        _tab_to(tab, "#listen-stop")
        tab.keyboard.press("Enter")
        stopped = "document.getElementById('listen-status').textContent === 'stopped'"
        wait_until(tab, stopped)
        assert tab.problems == []


def _tab_to(tab: Any, selector: str) -> None:
    """Press the tabulator until what is meant has the focus, and shows it."""
    for _ in range(80):
        if tab.evaluate("what => document.activeElement.matches(what)", selector):
            assert tab.evaluate("document.activeElement.matches(':focus-visible')")
            return
        tab.keyboard.press("Tab")
    raise AssertionError(f"the tabulator doesn't reach {selector}")
