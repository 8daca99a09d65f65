"""Event F1 and PSDS: by hand, and against sed_eval and psds_eval on any lists of events."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.event_f1 import EventCounts, count_events, macro_f1, micro
from models.psds import PsdsReference, psds
from models.sound_events import joined
from schemas.detection import SoundEvent
from schemas.errors import RequestError
from schemas.recipe import Collars, Psds

LABELS = ("dog", "rain", "rooster")
DURATION_S = 10.0
PER_S = 8
"""Times are eighths of seconds: exact, so that lists often lie right on a collar or a share."""


@st.composite
def event_lists(draw, most: int = 5) -> list[SoundEvent]:
    events = []
    for label, onset, length in draw(
        st.lists(
            st.tuples(st.sampled_from(LABELS), st.integers(0, 76), st.integers(1, 48)),
            max_size=most,
        )
    ):
        events.append(SoundEvent(onset / PER_S, min(DURATION_S, (onset + length) / PER_S), label))
    return events


RECORDINGS = st.lists(st.tuples(event_lists(), event_lists()), min_size=1, max_size=4)


def _counts(recordings, collars=Collars()):  # noqa: B008
    counts = dict.fromkeys(LABELS, EventCounts())
    for found, reference in recordings:
        for label, one in count_events(found, reference, LABELS, collars).items():
            counts[label] += one
    return counts


@settings(max_examples=60, deadline=None)
@pytest.mark.filterwarnings("ignore:Mean of empty slice")
@given(RECORDINGS, st.sampled_from([0.125, 0.25, 1.0]), st.sampled_from([0.0, 0.5, 1.0]))
def test_event_f1_is_that_of_sed_eval(recordings, collar_s: float, share: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sed_eval = pytest.importorskip("sed_eval", reason="in the extra dev")
    theirs = sed_eval.sound_event.EventBasedMetrics(
        list(LABELS),
        t_collar=collar_s,
        percentage_of_length=share,
        empty_system_output_handling="zero_score",
    )
    for i, pair in enumerate(recordings):
        found, reference = (
            [
                {
                    "file": f"{i}.wav",
                    "event_onset": e.onset_s,
                    "event_offset": e.offset_s,
                    "event_label": e.label,
                }
                for e in events
            ]
            for events in pair
        )
        theirs.evaluate(reference, found)
    counts = _counts(recordings, Collars(onset_s=collar_s, offset_s=collar_s, offset_share=share))
    for label, row in theirs.results_class_wise_metrics().items():
        np.testing.assert_equal(counts[label].num_matches, theirs.class_wise[label]["Ntp"])
        np.testing.assert_allclose(counts[label].f1, row["f_measure"]["f_measure"])
        np.testing.assert_allclose(counts[label].recall, row["f_measure"]["recall"])
    whole = theirs.results_overall_metrics()["f_measure"]
    np.testing.assert_allclose(micro(counts.values()).f1, whole["f_measure"])
    mean = theirs.results_class_wise_average_metrics()["f_measure"]["f_measure"]
    np.testing.assert_allclose(macro_f1(counts.values()), mean)


def test_a_maximum_matching_beats_first_come_first_served() -> None:
    """The first found event could take either reference; only one choice leaves two matches."""
    found = [SoundEvent(1.1, 2.0, "dog"), SoundEvent(1.25, 2.0, "dog")]
    reference = [SoundEvent(1.1, 2.0, "dog"), SoundEvent(0.95, 2.0, "dog")]
    counts = count_events(found, reference, LABELS, Collars())
    assert counts["dog"] == EventCounts(2, 2, 2)
    assert counts["dog"].f1 == 1.0
    assert math.isnan(counts["rain"].f1)
    assert macro_f1(counts.values()) == 1.0


@pytest.mark.parametrize(
    ("onset_s", "offset_s", "right"),
    [(1.2, 3.0, 1), (1.21, 3.0, 0), (0.8, 4.0, 1), (1.0, 4.01, 0), (1.0, 2.0, 1), (1.0, 1.9, 0)],
)
def test_an_offset_may_be_half_the_references_length_away(onset_s, offset_s, right) -> None:
    reference = [SoundEvent(1.0, 3.0, "dog")]
    found = [SoundEvent(onset_s, offset_s, "dog")]
    assert count_events(found, reference, LABELS, Collars())["dog"].num_matches == right


def test_a_class_of_which_nothing_was_found_counts_in_the_mean() -> None:
    counts = _counts([([], [SoundEvent(0, 1, "dog")]), ([SoundEvent(0, 1, "rain")],) * 2])
    assert (counts["dog"].f1, counts["rain"].f1) == (0.0, 1.0)
    assert macro_f1(counts.values()) == 0.5
    assert micro(counts.values()) == EventCounts(1, 1, 2)


def test_events_of_other_classes_and_impossible_ones_are_refused() -> None:
    with pytest.raises(RequestError, match="'cat'"):
        count_events([SoundEvent(0, 1, "cat")], [], LABELS, Collars())
    for onset_s, offset_s in [(1, 1), (2, 1), (-1, 1), (0, math.inf), (math.nan, 1)]:
        with pytest.raises(RequestError, match="onset < offset"):
            SoundEvent(onset_s, offset_s, "dog")


def _row(*arrays) -> tuple[float, ...]:
    return tuple(round(float(x), 6) for array in arrays for x in array.flat)


CRITERIA = st.builds(
    Psds,
    dtc=st.sampled_from([0.0, 0.1, 0.5, 0.7, 1.0]),
    gtc=st.sampled_from([0.0, 0.1, 0.5, 0.7, 1.0]),
    cttc=st.sampled_from([0.0, 0.3, 0.9]),
    alpha_ct=st.sampled_from([0.0, 0.5, 1.0]),
    alpha_st=st.sampled_from([0.0, 0.5, 1.0]),
    e_max=st.sampled_from([50.0, 100.0, 1000.0]),
)


def _theirs(reference, points, criteria):
    """PSDS and the rates of each point as psds_eval has them."""
    import pandas as pd
    from psds_eval import PSDSEval

    names = [f"{i:03d}.wav" for i in range(len(reference))]

    def table(rows):
        columns = ["filename", "onset", "offset", "event_label"]
        values = [
            (name, e.onset_s, e.offset_s, e.label)
            for name, events in zip(names, rows, strict=True)
            for e in events
        ]
        return pd.DataFrame(values, columns=columns).astype(
            {"filename": str, "onset": float, "offset": float, "event_label": str}
        )

    metadata = pd.DataFrame({"filename": names, "duration": [DURATION_S] * len(names)})
    judge = PSDSEval(
        dtc_threshold=criteria.dtc,
        gtc_threshold=criteria.gtc,
        cttc_threshold=criteria.cttc,
        ground_truth=table(reference),
        metadata=metadata,
    )
    for found in points:
        judge.add_operating_point(table(found))
    scores = {"alpha_ct": criteria.alpha_ct, "alpha_st": criteria.alpha_st}
    return judge.psds(max_efpr=criteria.e_max, **scores).value, judge.operating_points


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(event_lists(), *[event_lists(8)] * 4), min_size=1, max_size=4), CRITERIA)
@pytest.mark.filterwarnings("ignore")
def test_psds_is_that_of_psds_eval(rows, criteria) -> None:
    pytest.importorskip("psds_eval", reason="in the extra dev")
    reference, *points = (
        [list(joined(events)) for events in column] for column in zip(*rows, strict=True)
    )
    present = {e.label for events in reference for e in events}
    if len(present) < 2:  # psds_eval has no number for one class: the mean over no other class
        reference[0] = list(joined([*reference[0], *(SoundEvent(0, 1, c) for c in LABELS)]))
        present = set(LABELS)
    points = [[[e for e in one if e.label in present] for one in point] for point in points]
    ours = PsdsReference(reference, [DURATION_S] * len(reference), LABELS)
    rates = [ours.rates(point, criteria) for point in points]
    expected, table = _theirs(reference, points, criteria)
    found = {_row(r.true_positive, r.false_positive, r.cross_trigger) for r in rates}
    columns = zip(table.tpr, table.fpr, map(np.nan_to_num, table.ctr), strict=True)
    assert found == {_row(*row) for row in columns}  # sets: psds_eval leaves out equal points
    assert psds(rates, criteria) == pytest.approx(expected, abs=1e-9)


PUBLISHED = {
    "icassp 1": (
        "a 2 20, b 12 35, c 42 47",
        "a 0 19, a 40 45, b 11 25, b 27 30, b 32 41.5, c 38 48",
        50.0,
        0.9142857142857143,
    ),
    "icassp 2": (
        "a 5 20, b 5 30, c 42 47",
        "a 2 43, b 15 20, c 10 30, c 40 49",
        50.0,
        0.29047619047619044,
    ),
    "icassp 3": (
        "a 5 18, b 10 30, c 42 48",
        "a 2 18.5, a 29 48, b 10 30, c 32 38",
        50.0,
        0.6238095238095237,
    ),
    "example 4": (
        "a 2 22, a 43 64, b 18 20, b 21 23, b 25 27, b 29 32, b 85 88, c 35 58, d 47 66, d 97 100",
        "a 9 25, a 41 66, b 25 49, b 74 82, b 86 105, c 33 45, c 46.5 59, d 4 11, d 30 36, d 62 67",
        120.0,
        0.5,
    ),
    "dcase": (
        "dishes 0.066 1.046, speech 0.463 1.721, dishes 1.886 4.295, speech 2.879 3.739, "
        "dishes 4.778 5.028, speech 5.056 6.499, speech 7.062 9.497, dishes 8.127 8.974",
        "dishes 0 1.0196825396825395, dishes 1.8539682539682538 2.8736507936507936, "
        "dishes 3.7079365079365076 5.747301587301587, speech 0.46349206349206346 "
        "0.9269841269841269, speech 1.2977777777777777 1.761269841269841, speech "
        "2.8736507936507936 3.986031746031746, speech 5.654603174603174 10.01142857142857",
        10.0,
        0.6089285714285714,
    ),
}
"""What psds_eval's own tests hold it to: events, what was found, the file's seconds, PSDS."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_psds_of_published_examples(name) -> None:
    """The metadata there has four more files, without events: 280 s in all."""
    *lists, duration_s, expected = PUBLISHED[name]
    rows = [[one.split() for one in text.split(", ")] for text in lists]
    reference, found = ([SoundEvent(float(a), float(b), c) for c, a, b in row] for row in rows)
    labels = sorted({event.label for event in reference})
    judge = PsdsReference([reference, []], [duration_s, 280.0 - duration_s], labels)
    criteria = Psds(dtc=0.5, gtc=0.5, cttc=0.3, alpha_ct=0, alpha_st=0, e_max=100)
    rates = judge.rates([found, []], criteria)
    assert psds([rates], criteria) == pytest.approx(expected, abs=1e-12)


def test_psds_by_hand() -> None:
    """One class, half an hour, one false positive: 2 an hour, and one of two events found."""
    reference = PsdsReference(
        [[SoundEvent(1, 3, "dog"), SoundEvent(5, 7, "dog")]], [1800.0], ["dog"]
    )
    criteria = Psds(dtc=0.5, gtc=0.5, alpha_ct=0, alpha_st=0, e_max=4)
    point = reference.rates([[SoundEvent(1, 4, "dog"), SoundEvent(6.5, 8, "dog")]], criteria)
    assert point.true_positive.tolist() == [0.5]
    assert point.false_positive.tolist() == [2.0]
    assert psds([point], criteria) == pytest.approx(0.5 * (4 - 2) / 4)
    free = reference.rates([[SoundEvent(5, 7, "dog")]], criteria)
    assert psds([point, free], criteria) == pytest.approx(0.5)


def test_a_false_positive_on_another_class_costs_more() -> None:
    events = [SoundEvent(1, 3, "dog"), SoundEvent(5, 7, "rain")]
    reference = PsdsReference([events], [3600.0], LABELS)
    criteria = Psds(alpha_ct=0.5)
    on_rain = reference.rates([[SoundEvent(5, 7, "dog")]], criteria)
    on_nothing = reference.rates([[SoundEvent(8, 9, "dog")]], criteria)
    assert reference.labels == ("dog", "rain")
    assert on_rain.false_positive.tolist() == on_nothing.false_positive.tolist() == [1.0, 0.0]
    assert on_rain.cross_trigger[0].tolist() == [0.0, 1800.0]
    assert on_rain.effective(0.5).tolist() == [901.0, 0.0]
    assert on_nothing.effective(0.5).tolist() == [1.0, 0.0]


def test_psds_refuses_what_it_cannot_count() -> None:
    dog = SoundEvent(1, 3, "dog")
    with pytest.raises(RequestError, match="no event at all"):
        PsdsReference([[]], [10.0], LABELS)
    with pytest.raises(RequestError, match="lengths"):
        PsdsReference([[dog]], [], LABELS)
    with pytest.raises(RequestError, match="sound at 2 s"):
        PsdsReference([[dog, SoundEvent(2, 4, "dog")]], [10.0], LABELS)
    reference = PsdsReference([[dog]], [10.0], LABELS)
    with pytest.raises(RequestError, match="of 2 recordings"):
        reference.rates([[dog], [dog]], Psds())
    with pytest.raises(RequestError, match="sound at 2 s"):
        reference.rates([[dog, SoundEvent(2, 4, "dog")]], Psds())


def test_a_long_chain_of_events_is_matched_in_any_order() -> None:
    there = [SoundEvent(0.3 * i, 0.3 * i + 1.0, "a") for i in range(3000)]
    counts = count_events(list(reversed(there)), there, ["a"], Collars(onset_s=0.35))
    assert counts["a"].num_matches == 3000
