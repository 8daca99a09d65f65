"""`wakebeam inspect MODEL --on STREAM`: the page counts as the report does; a browser on it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.browser import barriers, open_page, wait_until

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def page(trained) -> Path:
    trained("stream-set", "w", "--hours", "0.1", "--snr", "5,20", "--seed", "11", "--out", "looked")
    trained("inspect", "w/export", "--on", "looked", "--examples", "20")
    return trained.folder / "w/export-on-looked.html"


def _data(page: Path) -> dict:
    text = page.read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_the_page_counts_as_the_report_at_every_threshold(trained, page) -> None:
    words = ("evaluate", "w/export", "--stream", "looked", "--json", "--out", "looked-report")
    report = json.loads(trained(*words).stdout)
    values = _data(page)
    own = values["points"][values["own"]]
    assert own["threshold"] == report["threshold"]
    assert len(own["misses"]) == report["num_misses"]
    assert own["num_accepts"] == report["num_false_accepts"]
    assert own["miss_interval"] == pytest.approx(report["miss_interval"])
    by_threshold = {point["threshold"]: point for point in values["points"]}
    for point in report["sweep"]:
        shown = by_threshold[point["threshold"]]
        assert (len(shown["misses"]), shown["num_accepts"]) == (
            point["num_misses"],
            point["num_false_accepts"],
        )
        assert len(shown["misses"]) + len(shown["hits"]) == len(values["keywords"])
    assert "none of" in values["leak_check"]


def test_a_picture_shows_as_many_events(trained, page) -> None:
    words = ("inspect", "w/export", "--on", "looked", "--examples", "1", "--out", "other.html")
    for name, begins in (("looked.png", b"\x89PNG"), ("looked.svg", b"<?xml")):
        trained(*words, "--plot", name)
        assert (trained.folder / name).read_bytes().startswith(begins)
    values = _data(page)
    own, drawn = values["points"][values["own"]], (trained.folder / "looked.svg").read_text()
    for said in (
        f"keyword ({len(values['keywords'])})",
        f"hit ({len(own['hits'])})",
        f"miss ({len(own['misses'])})",
        f"false accept ({own['num_accepts']})",
    ):
        assert said in drawn
    assert ".png or .svg" in trained(*words, "--plot", "looked.gif", code=2).stderr


def test_what_is_wrong_at_the_own_threshold_is_in_the_page(page) -> None:
    values = _data(page)
    own = values["points"][values["own"]]
    wrong = [values["keywords"][i]["offset_s"] for i in own["misses"]]
    wrong += [row[1] for row in own["accepts"]]
    assert len(values["moments"]) <= 20
    for time_s in wrong:
        assert any(
            m["start_s"] <= time_s <= m["start_s"] + m["duration_s"] for m in values["moments"]
        )
    for moment in values["moments"]:
        assert len(moment["scores"][0]) == len(moment["times_s"]) > 0
        assert 0 < moment["duration_s"] <= 6.0 + 1e-6
    assert page.stat().st_size < 5e6


def test_a_recording_needs_labels_and_a_model_a_stream(trained, page) -> None:
    assert "--on STREAM" in trained("inspect", "w/export", code=2).stderr
    wav = "looked/stream-000.wav"
    assert "--labels" in trained("inspect", "w/export", "--on", wav, code=2).stderr
    assert "--on RECORDING" in trained("inspect", "w/data", "--labels", "x.txt", code=2).stderr


def test_a_browser_moves_the_threshold_hears_and_walks(page) -> None:
    values = _data(page)
    with open_page(page.as_uri()) as tab:
        assert barriers(tab) == []
        assert "chosen on validation" in tab.locator("#value").text_content()
        rings = set()
        for at in (0, len(values["points"]) - 1, values["own"] + 3):
            tab.locator("#threshold").fill(str(at))
            point = values["points"][at]
            said = tab.locator("#counts").text_content()
            assert said.startswith(f"{len(point['misses'])} of {len(values['keywords'])} missed")
            assert f"{point['num_accepts']} false accepts" in said
            assert "no forecast" in tab.locator("#value").text_content()
            ring = tab.locator("#here")
            shown = float(ring.get_attribute("cx")), float(ring.get_attribute("cy"))
            assert shown == tuple(
                tab.evaluate(f"[across({point['per_hour']}), down({point['miss_rate']})]")
            )
            rings.add(shown)
            tab.get_by_role("tab", name="misses").click()
            assert tab.locator("#list button").count() == min(500, len(point["misses"]))
        assert len(rings) > 1
        tab.get_by_role("button", name="the detector's own").click()
        tab.locator("#threshold").focus()
        for _ in range(25):
            tab.keyboard.press("ArrowRight")
        assert tab.evaluate("point") == min(values["own"] + 25, len(values["points"]) - 1)
        tab.get_by_role("button", name="the detector's own").click()
        tab.get_by_role("tab", name="hits").click()
        assert tab.evaluate("current") == 0
        first = tab.locator("#list button").nth(0)
        assert first.get_attribute("aria-pressed") == "true"
        tab.keyboard.press("j")
        assert tab.evaluate("current") == 1
        in_page = tab.evaluate("items.findIndex((item) => momentOf(item))")
        tab.locator("#list button").nth(in_page).click()
        wait_until(tab, "document.querySelector('#moment audio').currentTime > 0.2")
        assert tab.locator("#moment svg.scores polyline").count() == 1
        assert tab.locator("#moment .span").count() >= 1
        tab.locator("#overview").click(position={"x": 30, "y": 60})
        assert tab.locator("#moment h3").count() == 1
        tab.set_viewport_size({"width": 360, "height": 700})
        assert tab.evaluate("document.documentElement.scrollWidth") <= 360
        assert tab.problems == []


def test_labels_are_text_in_a_browser(trained, page) -> None:
    wav = trained.folder / "looked/stream-000.wav"
    lines = (trained.folder / "looked/stream-000.txt").read_text().splitlines()
    lines.insert(0, f"0.0\t0.5\t{HOSTILE}")
    lines.append("359.0\t400.0\tkw")  # ends after the recording
    labels = trained.folder / "hostile.txt"
    labels.write_text("\n".join(lines) + "\n")
    trained("inspect", "w/export", "--on", wav, "--labels", labels, "--out", "hostile.html")
    with open_page((trained.folder / "hostile.html").as_uri()) as tab:
        tab.get_by_role("tab", name="misses").click()
        assert "none of" in tab.locator("#leak").text_content()
        assert tab.locator("main img[src=x]").count() == 0
        assert tab.problems == []
