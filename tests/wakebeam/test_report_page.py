"""`evaluation.html` in a browser: for everybody, at any width, light and dark; its sounds play."""

from __future__ import annotations

import json
import re

from tests.browser import barriers, open_page, wait_until


def test_a_report_is_for_everybody_and_plays(trained) -> None:
    page = trained.folder / "w/model/evaluation.html"
    values = json.loads((page.parent / "evaluation.json").read_text())
    with open_page(page.as_uri()) as tab:
        for scheme in ("light", "dark"):
            tab.emulate_media(color_scheme=scheme)
            for width in (1200, 360):
                tab.set_viewport_size({"width": width, "height": 800})
                assert barriers(tab) == [], (scheme, width)
                assert tab.evaluate("document.documentElement.scrollWidth") <= width
        alts = tab.eval_on_selector_all("img", "all => all.map(i => i.alt)")
        missed = f"{100 * values['miss_rate']:.1f} % of keywords are missed"
        assert len(alts) == 2
        assert all(missed in alt for alt in alts)
        assert tab.evaluate("[...document.images].every(i => i.naturalWidth > 0)")
        players = tab.locator("audio")
        assert players.count() == len(values["worst_misses"] + values["worst_false_accepts"])
        if players.count():
            assert players.first.get_attribute("aria-label")
            tab.evaluate("document.querySelector('audio').play()")
            wait_until(tab, "document.querySelector('audio').currentTime > 0")
        assert tab.problems == []
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page.read_text())
    assert policy
    assert policy[1].startswith("default-src 'none'; ")
    assert "script-src" not in policy[1], "it has no script"
