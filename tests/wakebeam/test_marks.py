"""What the pages mark is told apart without colour: by form, by row, or by twenty of lightness."""

from __future__ import annotations

import itertools
import json
import re

import numpy as np
import pytest

from tests.browser import open_page
from wakebeam.page_file import fill_page, page_text

_LEAST_LIGHTNESS = 20.0
LEGENDS = {"hits": "hit", "misses": "miss", "false accepts": "accept"}


def _marks() -> dict[str, dict[str, str]]:
    found = re.search(r"const MARKS = (\{.*?\n\});", page_text("parts.js"), re.DOTALL)
    assert found
    return json.loads(found[1])


def _lightness(colour: str) -> float:
    """CIE L* of an sRGB colour, 0 to 100."""
    shares = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    luminance = float(linear @ (0.2126, 0.7152, 0.0722))
    return 116 * luminance ** (1 / 3) - 16 if luminance > 0.008856 else 903.3 * luminance


def _alike(one: dict[str, str], other: dict[str, str], form: str) -> bool:
    far = abs(_lightness(one["colour"]) - _lightness(other["colour"]))
    return one[form] == other[form] and far < _LEAST_LIGHTNESS


def test_the_lightness_is_that_of_the_standard() -> None:
    assert _lightness("#ffffff") == pytest.approx(100, abs=0.01)
    assert _lightness("#777777") == pytest.approx(50.03, abs=0.05)


def test_marks_of_one_row_differ_without_colour() -> None:
    for one, other in itertools.combinations(_marks().values(), 2):
        assert one["row"] != other["row"] or not _alike(one, other, "form")
        assert not _alike(one, other, "dash"), "lines over a score share a row"
        assert not _alike(one, other, "sign"), "a legend's signs share a line"


def test_the_legend_shows_the_same_signs() -> None:
    style = page_text("page.css")
    for name, mark in _marks().items():
        rule = f".{LEGENDS[name]}::before"
        found = re.search(re.escape(rule) + r' \{ content: "(.)\\a0" / ""; color: (#\w+) \}', style)
        assert found, rule
        assert (found[1], found[2]) == (mark["sign"], mark["colour"])
    for page in ("stream.html", "studio.html"):
        for name in LEGENDS.values():
            assert f'class="{name}"' in page_text(page)


def test_a_browser_draws_each_mark_in_its_form_and_row(tmp_path) -> None:
    """The drawn pixels of each mark alone, as a mask: none is another's, in form and in place."""
    empty = {"title": "t", "about": "", "chosen": "", "tables": [], "charts": [], "examples": []}
    path = tmp_path / "marks.html"
    path.write_text(fill_page("dataset", "t", empty), encoding="utf-8")
    script = """(name) => {
        const canvas = make("canvas", { width: 60, height: 180 });
        drawOverview(canvas, [], heightIn([-6, 15]), 0.5, [], name ? [[0.5, MARKS[name]]] : []);
        const { data } = canvas.getContext("2d").getImageData(0, 0, 60, 180);
        return Array.from({ length: 60 * 180 }, (_, i) => data[4 * i + 3]);
    }"""
    with open_page(path.as_uri()) as tab:
        bare = np.array(tab.evaluate(script, "")).reshape(180, 60)
        masks = {
            name: (np.array(tab.evaluate(script, name)).reshape(180, 60) > 127) & (bare < 128)
            for name in _marks()
        }
        assert tab.problems == []
    rows = {name: set(np.flatnonzero(mask.any(axis=1))) for name, mask in masks.items()}
    forms = {}
    for name, mask in masks.items():
        at = np.argwhere(mask)
        (top, left), (bottom, right) = at.min(axis=0), at.max(axis=0)
        forms[name] = mask[top : bottom + 1, left : right + 1]
    for one, other in itertools.combinations(masks, 2):
        assert not rows[one] & rows[other], (one, other)
        tall, wide = (min(a, b) for a, b in zip(forms[one].shape, forms[other].shape, strict=True))
        differ = forms[one][:tall, :wide] != forms[other][:tall, :wide]
        assert differ.mean() > 0.2, (one, other)
