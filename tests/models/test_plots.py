"""Pictures as PNG and SVG: what they hold, and that an SVG is the same each time."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from models.event_matching import count_events
from models.operating_points import operating_point, sweep
from models.plots import (
    both_curves,
    class_scores,
    detector_output,
    histograms,
    picture_suffix,
    stream_picture,
    write_picture,
)
from schemas.detection import ReferenceEvent, ScoredRecording
from schemas.errors import RequestError

RULE = {"debounce_s": 1.0, "hit_window_s": 0.5}
HOSTILE = "<script>$x$</script>\x01"
BEGINS = {".png": b"\x89PNG\r\n", ".svg": b"<?xml"}


def _recording(keywords: tuple[float, ...], fires: tuple[float, ...]) -> ScoredRecording:
    times_s = np.arange(1, 301) / 5
    scores = np.full((300, 1), 0.01, np.float32)
    for time_s in fires:
        scores[round(5 * time_s), 0] = 0.9
    events = [ReferenceEvent(t, t + 1.0, "kw") for t in keywords]
    events.append(ReferenceEvent(50.0, 51.0, "dog", "other"))
    return ScoredRecording("r", 60.0, times_s, scores, tuple(events))


RECORDINGS = [_recording((5, 15, 25), (5.2, 15.2, 40, 44)), _recording((5, 15), (5.2, 30))]
POINTS = sweep(RECORDINGS, ("kw",), **RULE)
OWN = operating_point(RECORDINGS, ("kw",), threshold=0.5, **RULE)


def _stream(suffix: str) -> bytes:
    found = [count_events(r, ("kw",), threshold=0.5, **RULE) for r in RECORDINGS]
    how = {"points": POINTS, "chosen": OWN, "highest": [-6.0, 2.0] * 50, "title": HOSTILE}
    return stream_picture(RECORDINGS, found, suffix=suffix, **how)


def _output(suffix: str) -> bytes:
    one = RECORDINGS[0]
    return detector_output(
        np.random.default_rng(0).standard_normal(60 * 8000).astype(np.float32) / 9,
        8000,
        times_s=one.times_s,
        scores=one.scores[:, 0],
        threshold=0.5,
        title=HOSTILE,
        events=one.events,
        matching=count_events(one, ("kw",), threshold=0.5, **RULE),
        suffix=suffix,
    )


def _histograms(suffix: str) -> bytes:
    bars = [(0.0, 3), (0.5, 0), (1.0, 7)]
    of_law = {"title": "where", "unit": "of the scene", "bars": bars, "law": [4.0, 2.0, 4.0]}
    return histograms([of_law, {"title": "level", "unit": "dBFS", "bars": bars}], HOSTILE, suffix)


PICTURES = {
    "stream": _stream,
    "output": _output,
    "histograms": _histograms,
    "curves": lambda suffix: both_curves(POINTS, OWN, HOSTILE, suffix),
    "classes": lambda suffix: class_scores({"dog": 0.5, "cat": 1.0}, HOSTILE, suffix),
}


def _groups(svg: bytes) -> dict[str, ET.Element]:
    named = ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}g")
    return {group.get("id", ""): group for group in named}


def _texts(svg: bytes) -> list[str]:
    return [text for text in ET.fromstring(svg).itertext() if text.strip()]


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_is_of_the_kind_that_was_asked_for(name) -> None:
    for suffix, begin in BEGINS.items():
        assert PICTURES[name](suffix).startswith(begin)
    made = PICTURES[name](".svg")
    assert made == PICTURES[name](".svg"), "the same bytes each time"
    assert b"<dc:date>" not in made
    assert "<script>$x$</script>\\x01" in " ".join(_texts(made)), "a title stays a title"


def test_a_stream_shows_every_event_and_what_became_of_it() -> None:
    made = _stream(".svg")
    groups = _groups(made)
    drawn = {
        name: len(list(groups[name].iter("{http://www.w3.org/2000/svg}use")))
        for name in ("hit", "miss", "false-accept")
    }
    assert drawn == {"hit": 3, "miss": 2, "false-accept": 3}
    texts = _texts(made)
    for said in ("keyword (5)", "other sound (2)", "hit (3)", "miss (2)", "false accept (3)"):
        assert said in texts
    assert "keywords missed, %" in texts
    assert "minutes    dashes: threshold 0.5" in texts


def test_histograms_have_their_bars_and_the_law() -> None:
    made = _histograms(".svg")
    texts = _texts(made)
    assert {"where", "level", "of the scene", "dBFS"} <= set(texts)
    lines = [g for name, g in _groups(made).items() if re.fullmatch(r"line2d_\d+", name)]
    points = [len(list(g.iter("{http://www.w3.org/2000/svg}use"))) for g in lines]
    assert points.count(3) == 1, "the law is a line with a dot a bar, in one of the two"


def test_other_suffixes_are_refused_and_both_kinds_named(tmp_path) -> None:
    assert picture_suffix(Path("a/B.SVG")) == ".svg"
    (tmp_path / "folder.png").mkdir()
    for place in ("x.jpg", "x", "x.pdf", str(tmp_path / "folder.png")):
        with pytest.raises(RequestError, match=r"\.png or \.svg"):
            picture_suffix(Path(place))
    write_picture(tmp_path / "new/x.svg", b"<svg/>")
    assert (tmp_path / "new/x.svg").read_bytes() == b"<svg/>"
    with pytest.raises(RequestError, match="can't be written"):
        write_picture(tmp_path / "new/x.svg/y.svg", b"")
