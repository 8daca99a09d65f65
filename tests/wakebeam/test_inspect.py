"""`wakebeam inspect DATASET`: what the page says, that names stay names, and a browser on it."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import numpy as np
import pytest

from beam_jobs.stored import read_dataset
from schemas.scene import PlacedEvent, SceneSpec
from tests.audio_factory import material
from tests.browser import barriers, open_page, wait_until
from tests.wakebeam.conftest import Workplace
from wakebeam.dataset_page import dataset_page
from wakebeam.onset_law import BINS, expected_onsets
from wakebeam.page_file import fill_page
from wakebeam.sound_pictures import envelope, small_copy, spectrogram

HOSTILE = "<script>alert(1)</script>.wav"


@pytest.fixture(scope="module")
def page(trained) -> Path:
    trained("inspect", "w/data", "--examples", "12")
    return trained.folder / "w/data.html"


def _data(page: str) -> dict:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_figures_are_those_of_the_whole_data_set(trained, page) -> None:
    values = _data(page.read_text(encoding="utf-8"))
    stored = read_dataset(str(trained.folder / "w/data"))
    rows = {row[0]: row for row in values["tables"][0]["rows"]}
    for split in ("train", "validation", "test"):
        assert rows[split][1] == str(stored.num_examples(split))
    by_kind = stored.first.counts["train"]["events_by_kind"]
    assert ["keyword", str(by_kind["keyword"])] == values["tables"][1]["rows"][0][:2]
    charts = {chart["title"].split(",")[0]: chart for chart in values["charts"]}
    num_events = sum(sum(c["events_by_kind"].values()) for c in stored.first.counts.values())
    for title in ("SNR of events", "length of events"):
        assert sum(count for _, count in charts[title]["bars"]) == num_events
    position = charts["where in the scene events begin"]
    actual = sum(count for _, count in position["bars"])
    assert sum(position["law"]) == pytest.approx(actual, rel=0.01)
    assert {e["split"] for e in values["examples"]} == {"train", "validation", "test"}
    assert len({e["id"] for e in values["examples"]}) == 12


def test_the_command_of_an_example_makes_it_again(trained, page) -> None:
    example = _data(page.read_text(encoding="utf-8"))["examples"][0]
    words = example["regenerate"].split()
    assert words[:2] == ["wakebeam", "regenerate"]
    assert json.loads(trained(*words[1:]).stdout)["identical"] is True
    assert (trained.folder / words[-1]).exists()


def test_the_page_needs_nothing_from_elsewhere_and_names_stay_names(page) -> None:
    text = page.read_text(encoding="utf-8")
    assert not re.search(r'(?:src|href)="?(?!data:)[^"\s>]', text)
    assert "default-src 'none'" in text
    values = {"title": HOSTILE, "examples": [{"source": HOSTILE}], "u": "\u2028 & </script>"}
    made = fill_page("dataset", HOSTILE, values)
    assert "alert(1)</script>" not in made
    assert _data(made) == values


def test_the_law_is_that_of_the_planner() -> None:
    """One event alone is uniform; what has to be far from the end never begins there."""
    spec = SceneSpec(16000, 160_000, 1600, 0, 8000)
    event = PlacedEvent("a", "a", "keyword", 0, 16_000, 0.0)
    law = expected_onsets(spec, [event], np.random.default_rng(0))
    assert law is not None
    assert law.sum() == pytest.approx(1.0)
    last = (160_000 - 16_000 - 8000) * BINS // 160_000
    assert (law[last + 1 :] == 0).all()
    np.testing.assert_allclose(law[:last], BINS / 20 * 160_000 / 136_000 / BINS, atol=0.03)
    crowd = [event] * 9
    assert expected_onsets(spec, crowd, np.random.default_rng(0)) is None


def test_sixty_examples_of_ten_seconds_of_noise_stay_below_25_megabytes() -> None:
    x = (8000 * np.random.default_rng(0).standard_normal(441_000)).clip(-32768, 32767)
    x = x.astype(np.int16)
    each = len(spectrogram(x, 44_100)) + len(small_copy(x, 44_100)) + len(str(envelope(x)))
    assert 60 * each < 24e6


def test_a_page_of_long_noisy_scenes_is_cut_to_its_budget(tmp_path) -> None:
    material(tmp_path, keywords=12, negatives=12, backgrounds=6)
    place = Workplace(tmp_path)
    place("init", "w", "--keyword", "kw", "--negative", "other", "--background", "noise")
    long = ("scene.duration_s=60.0", "dataset.num_examples={train: 8, validation: 2, test: 2}")
    place("synth", "w/recipe.yaml", *(word for one in long for word in ("--set", one)))
    data = str(tmp_path / "w/data")
    whole = dataset_page(data, num_examples=6)
    assert len(_data(whole)["examples"]) == 6
    assert "would make a page" not in whole
    for share in (2, 8):
        budget = len(whole.encode()) // share
        page = dataset_page(data, num_examples=6, max_bytes=budget)
        assert len(page.encode()) <= budget
        shown = len(_data(page)["examples"])
        assert (0 < shown < 6) if share == 2 else shown < 2
        said = f"{shown} of 12 that were looked at, as 6 would make a page of more than"
        assert _data(page)["chosen"].startswith(said)


def test_hostile_files_and_labels_stay_text_from_material_to_page(tmp_path) -> None:
    material(tmp_path, keywords=12, negatives=12, backgrounds=6)
    label = "<img src=x onerror=alert(1)>"
    for folder in ("kw", "other"):
        for path in (tmp_path / folder).rglob("*.wav"):
            path.rename(path.with_name(f"{path.stem}<script>alert(1)<.wav"))
    place = Workplace(tmp_path)
    place("init", "w", "--keyword", "kw", "--negative", "other", "--background", "noise")
    small = ("scene.duration_s=4.0", "scene.num_keywords=[1, 1]", "scene.num_negatives=[1, 1]")
    counts = "dataset.num_examples={train: 8, validation: 2, test: 2}"
    named = f"material.keyword={json.dumps([{'path': str(tmp_path / 'kw'), 'label': label}])}"
    settings = (*small, counts, named)
    place("synth", "w/recipe.yaml", *(word for one in settings for word in ("--set", one)))
    place("inspect", "w/data", "--examples", "6")
    page = tmp_path / "w/data.html"
    text = page.read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert "<img src=x" not in text
    events = [event for one in _data(text)["examples"] for event in one["events"]]
    assert {event["label"] for event in events if event["kind"] == "keyword"} == {label}
    assert all("<script>alert(1)<.wav" in event["source"] for event in events)
    with open_page(page.as_uri()) as tab:
        tab.select_option("#label", label)
        assert tab.locator("article").count() == 6
        shown = tab.locator("article .span").evaluate_all("all => all.map(s => s.ariaLabel)")
        assert any(f"{label}, keyword" in said and "<script>alert(1)<" in said for said in shown)
        assert tab.locator("main script, main img[src=x]").count() == 0
        assert tab.problems == []


def test_pictures_and_sounds_of_odd_ones(tmp_path) -> None:
    for rate, n in ((16_000, 100), (8000, 8000), (11_111, 30_000), (96_000, 10_000)):
        x = np.zeros(n, np.int16)
        assert spectrogram(x, rate).startswith("data:image/jpeg;base64,")
        assert small_copy(x, rate).startswith("data:audio/mpeg;base64,")
        assert len(envelope(x)[0]) == 640


def test_the_same_charts_as_a_picture(trained, page) -> None:
    for name, begins in (("charts.png", b"\x89PNG"), ("charts.svg", b"<?xml")):
        words = ("--examples", "1", "--out", "charts.html", "--plot", name)
        assert f"{name}: a picture" in trained("inspect", "w/data", *words).stdout
        assert (trained.folder / name).read_bytes().startswith(begins)
    drawn = html.unescape(re.sub("<[^>]+>", "", (trained.folder / "charts.svg").read_text()))
    for chart in _data((trained.folder / "charts.html").read_text())["charts"]:
        assert chart["title"].split()[0] in drawn
    done = trained("inspect", "w/data", "--plot", "charts.jpg", code=2)
    assert ".png or .svg" in done.stderr


def test_nothing_else_is_replaced(trained, page) -> None:
    (trained.folder / "thesis.html").write_text("my thesis")
    done = trained("inspect", "w/data", "--out", "thesis.html", code=2)
    assert "--overwrite" in done.stderr
    assert (trained.folder / "thesis.html").read_text() == "my thesis"
    assert "no such" not in trained("inspect", "nowhere", code=1).stderr


def test_a_browser_filters_orders_plays_and_walks_by_keyboard(page) -> None:
    with open_page(page.as_uri()) as tab:
        assert tab.locator("article").count() == 12
        assert barriers(tab) == []
        tab.select_option("#split", "validation")
        assert set(
            tab.eval_on_selector_all("article", "all => all.map(a => a.id.split('/')[0])")
        ) == {"validation"}
        tab.select_option("#split", "any")
        tab.select_option("#order", "worst SNR")
        worst = tab.evaluate("shown.map(a => DATA.examples.find(e => e.id === a.id).worst_snr_db)")
        assert worst == sorted(worst)
        tab.fill("#snr", "3")
        assert tab.locator("article").count() == sum(snr <= 3 for snr in worst)
        tab.fill("#snr", "")
        tab.locator("h1").click()
        tab.keyboard.press("j")
        tab.keyboard.press("ArrowDown")
        assert tab.evaluate("current") == 1
        tab.keyboard.press(" ")
        wait_until(tab, "shown[1].querySelector('audio').currentTime > 0.2")
        assert tab.evaluate("shown[1].querySelector('audio').duration") == pytest.approx(
            4.0, abs=0.1
        )
        tab.locator("article .sound").nth(2).click(position={"x": 5, "y": 5})
        wait_until(tab, "!shown[2].querySelector('audio').paused")
        assert tab.evaluate("shown[1].querySelector('audio').paused"), "one at a time"
        tab.set_viewport_size({"width": 360, "height": 700})
        assert tab.evaluate("document.documentElement.scrollWidth") <= 360
        assert tab.problems == []


def test_a_browser_filters_by_what_events_are_and_gives_the_keys_back(page) -> None:
    values = _data(page.read_text(encoding="utf-8"))
    examples = {one["id"]: one for one in values["examples"]}
    shown = "shown.map(a => a.id)"
    sizes = []
    with open_page(page.as_uri()) as tab:
        for key in ("label", "kind"):
            for value in {event[key] for one in examples.values() for event in one["events"]}:
                tab.select_option(f"#{key}", value)
                wanted = {
                    name
                    for name, one in examples.items()
                    if any(event[key] == value for event in one["events"])
                }
                assert set(tab.evaluate(shown)) == wanted
                sizes.append(len(wanted))
            tab.select_option(f"#{key}", "any")
        assert len(sizes) >= 3
        assert min(sizes) < len(examples), "something is filtered"
        tab.select_option("#order", "most crowded")
        counts = [len(examples[name]["events"]) for name in tab.evaluate(shown)]
        assert counts == sorted(counts, reverse=True)
        assert len(set(counts)) > 1
        tab.select_option("#order", "random")
        assert tab.evaluate(shown) == list(examples)
        assert tab.evaluate("document.activeElement.id") == "examples", "a choice lets go"
        for key, at in (("j", 0), ("j", 1), ("ArrowDown", 2), ("k", 1), ("ArrowUp", 0)):
            tab.keyboard.press(key)
            assert tab.evaluate("current") == at
        tab.locator("#kind").focus()
        tab.keyboard.press("j")
        assert tab.evaluate("current") == 1, "from a choice too"
        assert tab.locator("#kind").input_value() == "any"
        charts = tab.locator("#charts figcaption").all_text_contents()
        for title in ("silence between two events", "level of scenes"):
            assert sum(text.startswith(title) for text in charts) == 1
        licences = tab.locator("table").filter(has_text="licences").locator("tbody tr")
        assert licences.count() >= 1
        first = next(one for one in values["examples"] if one["events"])
        span = tab.locator(f"[id='{first['id']}'] .span").first
        said, event = span.get_attribute("aria-label"), first["events"][0]
        for word in (event["label"], event["kind"], event["source"]):
            assert word in said
        assert span.locator("b").get_attribute("title") == said
        assert tab.problems == []


def test_rejects_are_counted_in_a_browser(tmp_path, page) -> None:
    values = _data(page.read_text(encoding="utf-8"))
    values["tables"][0]["rows"][0][3] = "1,234"
    (tmp_path / "x.html").write_text(fill_page("dataset", "t", values), encoding="utf-8")
    with open_page((tmp_path / "x.html").as_uri()) as tab:
        row = tab.locator("table").filter(has_text="rejected").locator("tbody tr").first
        assert row.locator("td").nth(3).text_content() == "1,234"


def test_a_hostile_clip_is_text_in_a_browser(trained, tmp_path, page) -> None:
    values = _data(page.read_text(encoding="utf-8"))
    values["examples"][0]["events"] = [
        {
            "label": HOSTILE,
            "kind": HOSTILE,
            "source": HOSTILE,
            "onset_s": 0,
            "offset_s": 1,
            "snr_db": 3,
        }
    ]
    (tmp_path / "x.html").write_text(fill_page("dataset", HOSTILE, values), encoding="utf-8")
    with open_page((tmp_path / "x.html").as_uri()) as tab:
        assert tab.title() == HOSTILE
        assert tab.locator("article script").count() == 0
        assert tab.locator("article").first.locator("td").first.text_content() == HOSTILE
        assert tab.problems == []
