"""Slices, averages by class, worst clips: counted by hand on a recording of a minute."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from models.evaluation import judge, write_report
from models.intervals import wilson, wilson_by_group
from models.report_text import report_text
from models.worst_clips import cut_from, worst_clips
from schemas.detection import ReferenceEvent, ScoredRecording
from schemas.recipe import Evaluation

RATE = 8000


def _event(onset_s, label="kw", kind="keyword", snr_db=10.0, clip="a", speaker="anna"):
    role = "keyword" if kind == "keyword" else "negative"
    source = f"{role}/{label}/{clip}.wav"
    return ReferenceEvent(onset_s, onset_s + 0.5, label, kind, snr_db, source, speaker)


EVENTS = (
    _event(3.0, snr_db=2.0),
    _event(5.0, snr_db=12.0, clip="b", speaker="bert"),  # 1.5 s after the keyword before: missed
    _event(25.0, "speech", "speech", clip="s"),
    _event(25.6, snr_db=12.0, clip="b", speaker="bert"),  # 0.1 s after speech
    _event(45.0, "other kw", snr_db=20.0, clip="c", speaker="cleo"),  # missed
)
FIRES = {"kw": (3.6, 26.2, 25.3, 55.0), "other kw": (10.0, 25.2)}


@pytest.fixture(scope="module")
def report():
    times_s = 0.02 * np.arange(1, 3001)
    labels = ("kw", "other kw")
    scores = np.zeros((3000, 2), np.float32)
    for column, label in enumerate(labels):
        for time_s in FIRES[label]:
            scores[round(time_s / 0.02) - 1, column] = 0.9
    scores[round(10.0 / 0.02) - 1, 1] = 0.95
    recording = ScoredRecording("minute.wav", 60.0, times_s, scores, EVENTS)
    return judge([recording], labels, 0.5, Evaluation(debounce_s=0.5))


def _rows(report, table: str, count: str) -> dict[str, tuple[int, int]]:
    return {row["slice"]: (row["misses"], row[count]) for row in report.values["misses_by"][table]}


def test_misses_by_what_is_known_of_a_keyword(report) -> None:
    assert report.values["num_misses"] == 2
    assert _rows(report, "snr_db", "keywords") == {
        "< 5 dB": (0, 1), "10–15 dB": (1, 2), "≥ 15 dB": (1, 1),
    }  # fmt: skip
    assert _rows(report, "keyword_spacing_s", "keywords") == {
        "< 2 s": (1, 1), "10–30 s": (1, 2), "≥ 30 s or first": (0, 1),
    }  # fmt: skip
    assert _rows(report, "gap_before_s", "keywords") == {
        "< 0.2 s": (0, 1), "1–2 s": (1, 1), "≥ 2 s or first": (1, 2),
    }  # fmt: skip
    assert _rows(report, "position", "keywords") == {
        "first third": (1, 2), "middle third": (0, 1), "last third": (1, 1),
    }  # fmt: skip
    assert list(_rows(report, "speaker", "keywords").items()) == [
        ("cleo", (1, 1)), ("bert", (1, 2)), ("anna", (0, 1)),
    ]  # fmt: skip
    assert _rows(report, "source", "keywords") == {
        "keyword/other kw": (1, 1), "keyword/kw": (1, 3),
    }  # fmt: skip


def test_false_accepts_by_what_sounded(report) -> None:
    """At 25.3 s and 25.2 s speech sounded; at 10 s and at 55 s nothing did."""
    assert report.values["num_false_accepts"] == 4
    rows = report.values["false_accepts_by"]["kind"]
    kinds = {row["slice"]: row["false_accepts"] for row in rows}
    assert kinds == {"background alone": 2, "speech": 2}
    (speech,) = (r for r in rows if r["slice"] == "speech")
    assert speech["sounded"] == 1
    sources = {row["slice"] for row in report.values["false_accepts_by"]["source"]}
    assert sources == {"background alone", "negative/speech"}


def test_each_class_micro_and_macro(report) -> None:
    by_label = report.values["by_label"]
    assert (by_label["kw"]["num_misses"], by_label["kw"]["num_keywords"]) == (1, 3)
    assert (by_label["other kw"]["num_misses"], by_label["other kw"]["num_keywords"]) == (1, 1)
    assert report.values["miss_rate"] == pytest.approx(2 / 4), "micro: every event alike"
    assert report.values["macro"]["miss_rate"] == pytest.approx((1 / 3 + 1) / 2)
    assert report.values["macro"]["false_accepts_per_hour"] == pytest.approx(2 * 60)
    assert "macro average: 66.7 % missed" in report_text(report.values)


def test_intervals_of_each_part_are_by_takes() -> None:
    """Take a is missed in all of its ten placements, take b in none of ten."""
    times_s = 0.02 * np.arange(1, 10001)
    events = tuple(_event(3.0 + 9 * i, clip="ab"[i % 2], speaker="anna") for i in range(20))
    scores = np.zeros((10000, 1), np.float32)
    for event in events[1::2]:
        scores[round(event.offset_s / 0.02), 0] = 0.9
    recording = ScoredRecording("long", 200.0, times_s, scores, events)
    values = judge([recording], ("kw",), 0.5, Evaluation()).values
    two_takes = pytest.approx(wilson_by_group([(10, 10), (0, 10)]))
    assert wilson_by_group([(10, 10), (0, 10)])[0] < wilson(10, 20)[0] - 0.1
    assert values["miss_interval"] == two_takes
    assert values["by_label"]["kw"]["miss_interval"] == two_takes
    for table in ("snr_db", "speaker", "source"):
        (row,) = values["misses_by"][table]
        assert row["interval"] == two_takes, table
    unknown = [replace(event, source="") for event in events]
    recording = ScoredRecording("long", 200.0, times_s, scores, tuple(unknown))
    values = judge([recording], ("kw",), 0.5, Evaluation()).values
    assert values["misses_by"]["snr_db"][0]["interval"] == pytest.approx(wilson(10, 20))


def test_the_last_keyword_is_the_one_that_ended_last() -> None:
    """A keyword of 20 s holds one of half a second; the third follows the long one's end by 1 s."""
    long = replace(_event(1.0), offset_s=21.0)
    events = (long, _event(2.0, clip="b"), _event(22.0, clip="c"))
    recording = ScoredRecording("r", 60.0, np.array([60.0]), np.zeros((1, 1), np.float32), events)
    rows = judge([recording], ("kw",), 0.5, Evaluation()).values["misses_by"]["keyword_spacing_s"]
    assert {row["slice"]: row["keywords"] for row in rows} == {"< 2 s": 2, "≥ 30 s or first": 1}


def test_worst_ones_are_cut_out_and_linked(report, tmp_path) -> None:
    audio = (np.arange(60 * RATE) / (60 * RATE)).astype(np.float32)  # a sample says its time
    clips = worst_clips(report.values)
    assert [clip.name for clip in clips[:2]] == ["miss-01.wav", "miss-02.wav"]
    assert "missed other kw at 45.00 s" in clips[0].remark, "the loudest miss is the worst"
    assert "score 0.9500, on background alone" in clips[2].remark

    def cut(wanted):
        return [cut_from(audio, clip, RATE) for clip in wanted]

    write_report(tmp_path, "a <title>", report, cut, RATE)
    page = (tmp_path / "evaluation.html").read_text()
    assert "a &lt;title&gt;" in page
    for clip in clips:
        assert f'src="evaluation_clips/{clip.name}"' in page
        x, rate = soundfile.read(tmp_path / "evaluation_clips" / clip.name)
        assert rate == RATE
        assert x[0] * 60 == pytest.approx(max(0.0, clip.start_s), abs=0.01)
        assert len(x) / RATE == pytest.approx(min(60, clip.stop_s) - max(0, clip.start_s), abs=0.01)
    assert json.loads((tmp_path / "evaluation.json").read_text())["num_misses"] == 2


def test_no_alarm_in_an_hour_is_a_bound_of_three() -> None:
    silent = ScoredRecording("r", 3600.0, np.array([1.0]), np.zeros((1, 1), np.float32), ())
    values = judge([silent], ("kw",), 0.5, Evaluation()).values
    assert values["false_accept_interval"] == pytest.approx((0.0, 3.0), abs=0.01)
    assert values["hours_for_a_claim"] == pytest.approx({"0.5": 6.0, "0.1": 30.0}, abs=0.05)
    text = report_text(values)
    assert "0.00 … 3.00" in text
    assert "1.00 h can't prove a rate below 3.0 per hour" in text
    assert "0.5 per hour needs 6 h without an alarm, 0.1 needs 30 h" in text
