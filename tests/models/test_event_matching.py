"""Events by hand: one per keyword, none per frame, the same in pieces."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.evaluation import judge
from models.event_matching import EventDetector, detect_events, match_events
from models.intervals import poisson_rate, wilson, wilson_by_group
from models.operating_points import (
    OperatingPoint,
    choose_on_validation,
    choose_point,
    event_cost,
    limit_of,
    operating_point,
    sweep,
)
from models.promotion import count_outcomes
from models.report_text import headline, report_text
from schemas.detection import Detection, ReferenceEvent, ScoredRecording
from schemas.errors import DatasetError
from schemas.recipe import Evaluation

STEP_S = 10 / 1375


def _recording(runs, n=1375, events=(), step_s=STEP_S) -> ScoredRecording:
    scores = np.zeros((n, 1), np.float32)
    for start, stop in runs:
        scores[start : stop + 1] = 0.9
    return ScoredRecording("r", n * step_s, step_s * np.arange(1, n + 1), scores, tuple(events))


def _detect(recording, debounce_s=1.0, threshold=0.5):
    return detect_events(recording, ["kw"], threshold=threshold, debounce_s=debounce_s)


@pytest.mark.parametrize("run", [(10, 59), (30, 79), (100, 199), (0, 1374), (0, 0), (1374, 1374)])
def test_R32_one_event_a_run_also_at_the_start_and_for_long_runs(run) -> None:
    (event,) = _detect(_recording([run]))
    assert event.time_s == pytest.approx((run[0] + 1) * STEP_S)


def test_edges_inside_the_debounce_are_the_same_event() -> None:
    assert len(_detect(_recording([(10, 20), (60, 70), (140, 150)]))) == 1
    assert len(_detect(_recording([(10, 20), (160, 170)]))) == 2
    assert len(_detect(_recording([(10, 20), (160, 170)]), debounce_s=2.0)) == 1


def test_the_score_is_the_peak_of_the_event() -> None:
    recording = _recording([(10, 20)])
    recording.scores[15] = 0.97
    (event,) = _detect(recording)
    assert event.score == pytest.approx(0.97)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.integers(0, 10), min_size=1, max_size=120),
    st.lists(st.integers(0, 120), max_size=8),
    st.sampled_from([0.0, 0.3, 1.0]),
)
def test_pieces_give_the_same_events_as_the_whole(levels, cuts, debounce_s) -> None:
    scores = np.array(levels, np.float32)[:, None] / 10
    times_s = 0.1 * np.arange(1, len(levels) + 1)
    whole = EventDetector(["kw"], 0.5, debounce_s)
    expected = whole.process(times_s, scores) + whole.flush()
    pieces = EventDetector(["kw"], 0.5, debounce_s)
    found = []
    for part in np.split(np.arange(len(levels)), sorted(min(c, len(levels)) for c in cuts)):
        found += pieces.process(times_s[part], scores[part])
    found += pieces.flush()
    assert found == expected


KEYWORDS = [ReferenceEvent(1.0, 1.5, "kw"), ReferenceEvent(4.0, 4.5, "kw")]


def _match(*times_s, label="kw", window_s=1.0):
    detections = [Detection(t, label, 0.9) for t in times_s]
    others = [ReferenceEvent(2.8, 3.5, "speech", "speech")]
    return match_events(detections, [*KEYWORDS, *others], hit_window_s=window_s)


@pytest.mark.parametrize(
    ("times_s", "hits", "misses", "false_accepts", "repetitions"),
    [
        ((), 0, 2, 0, 0),
        ((1.6, 4.6), 2, 0, 0, 0),
        ((1.0, 2.5), 1, 1, 0, 1),
        ((0.999,), 0, 2, 1, 0),
        ((2.501,), 0, 2, 1, 0),
        ((3.2,), 0, 2, 1, 0),
        ((1.2, 1.4, 2.0, 4.1), 2, 0, 0, 2),
    ],
)
def test_matching_by_hand(times_s, hits, misses, false_accepts, repetitions) -> None:
    found = _match(*times_s)
    counts = (len(found.hits), len(found.misses), len(found.false_accepts), len(found.repetitions))
    assert counts == (hits, misses, false_accepts, repetitions)


def test_another_label_is_no_hit() -> None:
    assert len(_match(1.6, label="other").false_accepts) == 1


def test_counts_are_events_per_hour_never_frames() -> None:
    events = [ReferenceEvent(1.0, 1.5, "kw")]
    recordings = [_recording([(300, 800)], events=events)] * 360  # an hour; one long false run each
    point = operating_point(recordings, ["kw"], threshold=0.5, debounce_s=1.0, hit_window_s=0.5)
    assert (point.num_keywords, point.num_misses, point.num_false_accepts) == (360, 360, 360)
    assert point.false_accepts_per_hour == pytest.approx(360)


def test_the_threshold_is_chosen_within_the_limit() -> None:
    events = [ReferenceEvent(1.0, 1.5, "kw")]
    good = _recording([], events=events)
    good.scores[200:240] = 0.8
    bad = _recording([])
    bad.scores[700:740] = 0.6
    points = sweep([good, bad], ["kw"], debounce_s=1.0, hit_window_s=1.0)
    chosen = choose_point(points, 0.5)
    assert 0.6 < chosen.threshold <= 0.8
    assert (chosen.num_misses, chosen.num_false_accepts) == (0, 0)
    assert event_cost(points, 4) == (0.0, 0.0)
    assert event_cost(sweep([bad], ["kw"], debounce_s=1, hit_window_s=1), 4)[0] == 0.0
    silent = sweep([_recording([], events=events)], ["kw"], debounce_s=1, hit_window_s=1)
    assert event_cost(silent, 4) == (1.0, 0.0)
    half = [replace(p, num_keywords=2, num_misses=1, num_false_accepts=0) for p in points]
    assert event_cost(half, 25) == pytest.approx((0.5, 0.1))


def test_a_limit_that_no_threshold_keeps_is_said() -> None:
    """Ten seconds with one alarm at any threshold: 360 an hour, where half a one is allowed."""
    loud = _recording([(100, 140)], events=[ReferenceEvent(7.0, 7.5, "kw")])
    loud.scores[100:140] = 1.0
    points = sweep([loud], ["kw"], debounce_s=1.0, hit_window_s=0.5)
    chosen = choose_on_validation(points, 0.5)
    assert chosen.false_accepts_per_hour == pytest.approx(360)
    known = {"miss_rate": chosen.miss_rate, "false_accepts_per_hour": 360.0}
    values = judge([loud], ["kw"], chosen.threshold, Evaluation()).values
    kept = values | {"validation": known | limit_of(points[0], 1000.0)}
    values |= {"validation": known | limit_of(chosen, 0.5)}
    assert values["validation"]["limit_kept"] is False
    assert "no threshold keeps the limit of 0.5 false accepts per hour" in report_text(values)
    assert "limit not kept" in headline(values)
    assert "LIMIT" not in report_text(kept) + headline(kept).upper()


def test_a_threshold_that_finds_nothing_keeps_no_limit() -> None:
    """Few keywords in few hours: only a threshold above all scores is expected to be quiet."""
    points = [
        OperatingPoint(0.5, 10, 1, 2, 0.2, expected_per_hour=9.0),
        OperatingPoint(0.9, 10, 2, 0, 0.2, expected_per_hour=2.0),
        OperatingPoint(0.99, 10, 3, 0, 0.2, expected_per_hour=0.9),
        OperatingPoint(0.9999, 10, 10, 0, 0.2, expected_per_hour=0.3),
    ]
    chosen = choose_point(points, 0.5)
    assert chosen.threshold == 0.9
    assert limit_of(chosen, 0.5)["limit_kept"] is False
    assert choose_point(points, 1.0).threshold == 0.99
    assert choose_point([replace(p, num_keywords=0, num_misses=0) for p in points], 0.5) == replace(
        points[3], num_keywords=0, num_misses=0
    )


def test_a_validation_without_keywords_chooses_nothing() -> None:
    points = sweep([_recording([])], ["kw"], debounce_s=1.0, hit_window_s=0.5)
    with pytest.raises(DatasetError, match=r"no keyword .* raise scene\.num_keywords"):
        choose_on_validation(points, 0.5)


def test_intervals_against_published_values() -> None:
    assert wilson(276, 299) == pytest.approx((0.887, 0.948), abs=5e-4)
    assert wilson(279, 299) == pytest.approx((0.899, 0.956), abs=5e-4)
    assert wilson(0, 0) == (0.0, 1.0)
    assert poisson_rate(0, 1.0) == pytest.approx((0.0, 2.996), abs=1e-3), "rule of three"
    assert poisson_rate(1, 1.0) == pytest.approx((0.025, 5.572), abs=1e-3)
    assert poisson_rate(10, 2.0) == pytest.approx((4.795 / 2, 18.390 / 2), abs=1e-3)


def test_interval_by_takes_keeps_its_promise_where_the_plain_one_does_not() -> None:
    """Takes differ in how often they are missed: simulated, with known truth."""
    rng = np.random.default_rng(0)
    covered = {"by takes": 0, "plain": 0}
    for _ in range(600):
        trials = rng.poisson(9, 20) + 1
        missed = rng.binomial(trials, rng.beta(0.3, 2.7, 20))
        counts = list(zip(missed.tolist(), trials.tolist(), strict=True))
        for name, (low, high) in (
            ("by takes", wilson_by_group(counts)),
            ("plain", wilson(int(missed.sum()), int(trials.sum()))),
        ):
            covered[name] += low <= 0.1 <= high
    assert covered["by takes"] > 0.91 * 600
    assert covered["plain"] < 0.80 * 600


def test_interval_by_takes_equals_wilsons_where_each_trial_is_a_take() -> None:
    counts = [(1, 1)] * 40 + [(0, 1)] * 360
    ours, plain = wilson_by_group(counts), wilson(40, 400)
    assert ours == pytest.approx(plain, abs=2e-3)
    for counts in ([], [(0, 5)], [(0, 5), (0, 7)], [(5, 5), (7, 7)]):
        low, high = wilson_by_group(counts)
        assert 0.0 <= low <= high <= 1.0
    assert wilson_by_group([(0, 7)] * 10)[1] > wilson(0, 70)[1], "ten takes, not seventy trials"


def test_patience_is_that_many_consecutive_steps() -> None:
    runs = [(100, 102), (400, 404), (700, 701)]  # three, five and two steps
    counts = [
        len(detect_events(_recording(runs), ["kw"], threshold=0.5, debounce_s=1.0, patience=p))
        for p in (1, 2, 3, 4, 5, 6)
    ]
    assert counts == [3, 3, 2, 1, 1, 0]
    interrupted = [(100 + 4 * i, 102 + 4 * i) for i in range(20)]  # never four at once
    recording = _recording(interrupted)
    assert detect_events(recording, ["kw"], threshold=0.5, debounce_s=1.0, patience=4) == []
    (late,) = detect_events(_recording([(0, 9)]), ["kw"], threshold=0.5, debounce_s=1, patience=5)
    assert late.time_s == pytest.approx(5 * STEP_S), "the stream's start counts as below"
    whole = operating_point(
        [_recording(runs)], ["kw"], threshold=0.5, debounce_s=1.0, hit_window_s=1.0, patience=3
    )
    assert whole.num_false_accepts == 2


def test_no_run_of_patience_goes_on_over_a_gap() -> None:
    """Two steps over the threshold before it and two after it are no four."""
    detector = EventDetector(["kw"], 0.5, 0.0, patience=4)
    two, silence = np.full((2, 1), 0.9), np.zeros((1, 1))
    for gap in (True, False):
        detector.process(np.zeros(1), silence)
        detector.process(np.array([0.0, 0.1]), two)
        found = detector.flush() if gap else []
        found += detector.process(np.array([0.2, 0.3]), two) + detector.flush()
        assert len(found) == (0 if gap else 1)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(0, 10), min_size=1, max_size=80),
    st.lists(st.integers(0, 80), max_size=8),
    st.integers(1, 6),
)
def test_patience_in_pieces_and_against_counting_by_hand(levels, cuts, patience) -> None:
    scores = np.array(levels, np.float32)[:, None] / 10
    times_s = 0.1 * np.arange(1, len(levels) + 1)
    detector = EventDetector(["kw"], 0.5, 0.0, patience)
    found = []
    for part in np.split(np.arange(len(levels)), sorted(min(c, len(levels)) for c in cuts)):
        found += detector.process(times_s[part], scores[part])
    found += detector.flush()
    run, expected = 0, []
    for time_s, level in zip(times_s.tolist(), levels, strict=True):
        run = run + 1 if level >= 5 else 0
        expected += [time_s] if run == patience else []
    assert [event.time_s for event in found] == expected


@pytest.mark.parametrize("steps_per_s", [10, 50, 137])
def test_the_count_is_the_same_at_any_frame_rate_so_frames_are_not_what_counts(steps_per_s) -> None:
    """Ten minutes: a hit of 0.3 s, a run of 4 s without a keyword, a miss."""
    step_s, n = 1 / steps_per_s, 600 * steps_per_s
    events = [ReferenceEvent(10.0, 10.5, "kw"), ReferenceEvent(300.0, 300.5, "kw")]
    runs = [(round(a * steps_per_s), round(b * steps_per_s)) for a, b in ((10.6, 10.9), (100, 104))]
    recording = _recording(runs, n, events, step_s)
    point = operating_point([recording], ["kw"], threshold=0.5, debounce_s=1.0, hit_window_s=1.0)
    assert (point.num_keywords, point.num_misses, point.num_false_accepts) == (2, 1, 1)
    assert point.false_accepts_per_hour == pytest.approx(6.0)
    report = judge([recording], ["kw"], 0.5, Evaluation())
    assert report.values["false_accepts_per_hour"] == point.false_accepts_per_hour
    assert report.values["miss_rate"] == 0.5
    found = count_outcomes([recording], ("kw",), threshold=0.5, judging=Evaluation())
    assert (found.num_misses, found.num_false_accepts) == (1, 1)


def test_there_is_one_counter_for_training_promotion_and_reports() -> None:
    """Who matches for himself counts by a rule of his own; the demo only draws what was found."""
    root = Path(__file__).parents[2]
    users = {
        str(path.relative_to(root))
        for package in ("models", "wakebeam", "beam_jobs", "pipeline")
        for path in (root / package).rglob("*.py")
        if "match_events(" in path.read_text(encoding="utf-8")
    }
    assert users == {"models/event_matching.py", "wakebeam/demo.py"}
    for name in ("detection_task", "promotion", "evaluation"):
        text = (root / "models" / f"{name}.py").read_text(encoding="utf-8")
        assert "**judging.rule()" in text or "**counting" in text, name


def test_what_lies_on_an_edge_lies_there_wherever_it_is_in_a_stream() -> None:
    """Steps are sums of floats; two runs exactly a debounce apart are two events at every place."""
    found = set()
    for first in range(0, 400_000, 997):
        times_s = (240 + 320 * np.arange(first, first + 60)) / 16000
        scores = np.zeros((60, 1), np.float32)
        scores[[2, 52]] = 1.0
        detector = EventDetector(["kw"], 0.5, 1.0)
        found.add(len(detector.process(times_s, scores) + detector.flush()))
    assert found == {2}
