"""From scores to sound events: by hand, in pieces as in one, thresholds from validation alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from models.event_f1 import EventCounts
from models.sound_event_evaluation import headline, report_text
from models.sound_event_judging import THRESHOLDS, choose, count, judge_sound_events
from models.sound_events import (
    EventClock,
    EventRule,
    SoundEventDetector,
    find_events,
    joined,
    medians,
)
from pipeline.recipe_file import load_recipe
from schemas.detection import ReferenceEvent, ScoredRecording, SoundEvent
from schemas.errors import RecipeError, RequestError
from schemas.recipe import Evaluation, Judging, LabelWindow, Psds, SoundEvents

HOP_S = 0.04


def _rule(*, threshold=0.5, size=1, delay_s=0.0, fewest=1, labels=("a",)) -> EventRule:
    clock = EventClock(HOP_S, 0.0, delay_s, fewest)
    return EventRule(clock, labels, (threshold,) * len(labels), (size,) * len(labels))


def _recording(scores, events=(), name="r") -> ScoredRecording:
    scores = np.asarray(scores, np.float32)
    scores = scores[:, None] if scores.ndim == 1 else scores
    times_s = HOP_S * np.arange(1, len(scores) + 1)
    return ScoredRecording(name, len(scores) * HOP_S, times_s, scores, tuple(events))


def _spans(scores, **how) -> list[tuple[int, int]]:
    found = find_events(_recording(scores), _rule(**how))
    return [(round(e.onset_s / HOP_S), round(e.offset_s / HOP_S)) for e in found]


def test_a_run_of_steps_is_an_event_from_its_first_hop_to_its_last() -> None:
    scores = [0, 0.6, 0.9, 0.5, 0, 0, 0.7, 0]
    assert _spans(scores) == [(1, 4), (6, 7)]
    assert _spans(scores, threshold=0.55) == [(1, 3), (6, 7)]
    assert _spans(scores, fewest=2) == [(1, 4)]
    assert find_events(_recording(scores), _rule())[0].score == pytest.approx(0.9)
    assert _spans([]) == []


def test_what_the_network_says_late_is_counted_when_it_was() -> None:
    scores = [1, 1, 0, 0, 0, 1, 1, 0, 0, 0]
    assert _spans(scores, delay_s=3 * HOP_S) == [(2, 4)]  # the first is over before the sound began
    assert _spans(scores, delay_s=HOP_S) == [(0, 1), (4, 6)]
    assert _spans([0, 0, 0, 1, 1], delay_s=2 * HOP_S) == [(1, 5)]  # cut off: nobody heard it end


def test_a_median_filter_fills_gaps_and_drops_clicks() -> None:
    scores = [0, 0, 1, 0, 0, 1, 1, 0, 1, 1, 0, 0]
    assert _spans(scores, size=3) == [(5, 10)]
    np.testing.assert_array_equal(
        medians(np.array([0.2, 0.9, 0.4], np.float32), 3), np.float32([0.2, 0.4, 0.4])
    )


SCORES = st.lists(st.tuples(*[st.sampled_from([0.1, 0.4, 0.5, 0.9])] * 2), max_size=60)


@settings(max_examples=200, deadline=None)
@given(
    SCORES,
    st.lists(st.integers(0, 60), max_size=6),
    st.tuples(*[st.sampled_from([1, 3, 7, 21])] * 2),
    st.tuples(*[st.sampled_from([0.3, 0.5, 0.95])] * 2),
    st.sampled_from([0.0, 0.08, 0.5]),
    st.integers(1, 4),
)
def test_events_of_a_stream_are_those_of_the_whole(
    scores, cuts, sizes, thresholds, delay_s, fewest
) -> None:
    rule = EventRule(EventClock(HOP_S, 0.1, delay_s, fewest), ("a", "b"), thresholds, sizes)
    recording = _recording(np.array(scores, np.float32).reshape(-1, 2))
    stream = SoundEventDetector(rule)
    places = sorted(min(cut, len(scores)) for cut in cuts)
    found = []
    for times_s, part in zip(
        np.split(recording.times_s, places), np.split(recording.scores, places), strict=True
    ):
        found += stream.process(times_s, part)
    found += stream.flush()
    found = sorted(found, key=lambda e: (e.onset_s, e.label))
    assert found == find_events(recording, rule)


def test_a_rule_survives_json_and_refuses_what_does_not_fit() -> None:
    rule = _rule(size=5, delay_s=0.2, labels=("a", "b"))
    assert EventRule.of(["a", "b"], rule.values()) == rule
    with pytest.raises(RequestError, match="odd"):
        _rule(size=4)
    with pytest.raises(RequestError, match="2 labels"):
        EventRule(EventClock(HOP_S), ("a", "b"), (0.5,), (1, 1))


def test_overlapping_events_of_a_class_are_one() -> None:
    events = [
        SoundEvent(3, 4, "a"),
        SoundEvent(0, 2, "a"),
        SoundEvent(1, 1.5, "a"),
        SoundEvent(2, 3, "a"),
        SoundEvent(1, 2, "b"),
        SoundEvent(6, 7, "a"),
    ]
    assert joined(events) == (SoundEvent(0, 4, "a"), SoundEvent(1, 2, "b"), SoundEvent(6, 7, "a"))
    assert joined(joined(events)) == joined(events)


def _scene(height: float, name: str, kind: str = "keyword") -> ScoredRecording:
    """Two seconds of `a` among ten, with a score of that height, and noise at 0.2."""
    scores = np.full((250, 2), 0.2, np.float32)
    scores[50:100, 0] = height
    event = ReferenceEvent(2.0, 4.0, "a", kind, source="a/1.wav")
    return _recording(scores, [event], name)


def test_thresholds_are_those_that_are_best_on_validation() -> None:
    judging = SoundEvents(medians_s=(0.04, 0.4))
    choice = choose([_scene(0.7, "v")], ("a", "b"), EventClock(HOP_S), judging)
    assert 0.2 < choice.rule.thresholds[0] <= 0.7
    assert choice.rule.median_steps[0] in (1, 11)
    assert choice.macro_f1 == 1.0
    assert choice.counts["b"] == EventCounts(0, 0, 0)  # a class that isn't there is found nowhere
    assert choice.rule.thresholds[1] > 0.2
    soft = [_scene(0.7, "t1"), _scene(min(choice.rule.thresholds[0], 0.7) - 0.05, "t2")]
    counts = count(soft, choice.rule, judging.collars)
    assert counts["a"] == EventCounts(1, 1, 2)


def test_the_report_has_counts_parameters_and_both_splits() -> None:
    judging = SoundEvents(psds=Psds(dtc=0.5, gtc=0.5))
    choice = choose([_scene(0.7, "v")], ("a", "b"), EventClock(HOP_S), judging)
    values = judge_sound_events([_scene(0.7, "t"), _scene(0.1, "u")], choice, judging)
    assert values["classes"]["a"]["num_reference"] == 2
    assert values["classes"]["a"]["f1"] == pytest.approx(2 / 3)
    assert values["classes"]["a"]["num_takes"] == 1
    assert values["classes"]["b"]["f1"] is None
    assert values["macro_f1"] == pytest.approx(2 / 3)
    assert values["psds"] == pytest.approx(0.5)  # half of the events at each threshold
    network = {"family": "x", "parameters": 1, "multiply_adds_per_second": None}
    values |= {"network": network, "dataset": "0" * 64, "software": {}}
    text = report_text(values)
    for part in ("66.7 %", "PSDS 0.5000 (dtc 0.5, gtc 0.5, cttc 0.3", "2 scenes", "0.2 s or 50 %"):
        assert part in text
    assert headline(values) == "macro event F1 66.7 %, PSDS 0.500 on test"


def test_sounds_that_are_no_keywords_are_background() -> None:
    judging = SoundEvents()
    values = judge_sound_events(
        [_scene(0.7, "t", "speech")],
        choose([_scene(0.7, "v")], ("a", "b"), EventClock(HOP_S), judging),
        judging,
    )
    assert values["micro"]["num_reference"] == 0
    assert values["micro"]["num_found"] == 1
    assert values["psds"] is None and values["macro_f1"] is None


def test_the_highest_threshold_is_above_any_usual_noise() -> None:
    assert len(THRESHOLDS) == 49
    assert THRESHOLDS[0] < 0.01 and THRESHOLDS[24] == 0.5 and THRESHOLDS[-1] > 0.99


def test_the_measure_says_how_a_recipe_is_judged(tmp_path) -> None:
    judging = TypeAdapter(Judging)
    assert judging.validate_python({"debounce_s": 2.0}) == Evaluation(debounce_s=2.0)
    assert isinstance(judging.validate_python({"measure": "sound_events"}), SoundEvents)
    with pytest.raises(ValidationError):
        judging.validate_python({"measure": "loudness"})
    with pytest.raises(ValidationError, match="goes with the rule event"):
        LabelWindow(delay_s=0.1)
    text = (
        "schema: 1\nname: x\nmaterial:\n  keyword: [{path: k, label: a}]\n"
        "  background: [{path: b}]\nevaluation: {measure: sound_events, medians: [1.0]}\n"
    )
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=r"evaluation.medians is not a known key.*'medians_s'"):
        load_recipe(path)
    path.write_text(text.replace(", medians: [1.0]", ""))
    with pytest.raises(RecipeError, match="expected|Expected"):
        _ = load_recipe(path).keyword_evaluation


def test_after_a_gap_no_event_begins_before_the_sound_does() -> None:
    clock = EventClock(HOP_S, 10.0, 10 * HOP_S, first_s=10.0)
    rule = EventRule(clock, ("a",), (0.5,), (1,))
    detector = SoundEventDetector(rule)
    scores = np.ones((20, 1), np.float32)
    times_s = 10.0 + HOP_S * np.arange(1, 21)
    (event,) = detector.process(times_s, scores) + detector.flush()
    assert (event.onset_s, event.offset_s) == (10.0, pytest.approx(10.0 + 20 * HOP_S))
    assert EventRule.of(("a",), rule.values()) == rule
