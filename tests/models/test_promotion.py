"""A new model replaces the old one where it is better beyond doubt, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from models.paired_tests import difference_interval, sign_test
from models.promotion import Outcomes, compare, comparison_text, count_outcomes
from schemas.detection import ReferenceEvent, ScoredRecording
from schemas.errors import DatasetError
from schemas.recipe import Evaluation


def _outcomes(misses: list[int], false_accepts: list[int], each: int = 2) -> Outcomes:
    """As many takes as `misses`, each placed `each` times, and a recording for each."""
    takes = {f"take {i}": (n, each) for i, n in enumerate(misses)}
    alarms = {f"clip {i}": n for i, n in enumerate(false_accepts)}
    return Outcomes(0.5, takes, alarms, len(misses) / 36, {})


NONE = [0] * 100


@pytest.mark.parametrize(
    ("old", "new", "better"),
    [
        (([1] * 40 + [0] * 60, NONE), ([1] * 10 + [0] * 90, NONE), True),
        (([1] * 40 + [0] * 60, NONE), ([1] * 38 + [0] * 62, NONE), False),  # two of 200: chance
        (([1] * 10 + [0] * 90, NONE), ([1] * 40 + [0] * 60, NONE), False),  # worse
        (([1] * 40 + [0] * 60, NONE), (NONE, [1] * 50 + [0] * 50), False),  # bought with alarms
        ((NONE, [1] * 50 + [0] * 50), (NONE, NONE), True),  # as many found, fewer alarms
        ((NONE, [1] * 50 + [0] * 50), ([1] * 5 + [0] * 95, NONE), False),  # fewer, but it misses
        ((NONE, NONE), (NONE, NONE), False),  # the same
        ((NONE, [1] * 5 + [0] * 95), (NONE, NONE), False),  # five alarms fewer: p = 0.06
        ((NONE, [1] * 6 + [0] * 94), (NONE, NONE), True),  # six: p = 0.03
        ((NONE, [9] + [0] * 99), (NONE, NONE), False),  # nine alarms on one clip
    ],
)
def test_who_is_better(old, new, better: bool) -> None:
    found = compare(_outcomes(*old), _outcomes(*new), limit_per_hour=0.5)
    assert found["better"] is better
    assert ("not better" in comparison_text(found)) is not better


def test_four_of_a_thousand_are_chance_though_the_bootstrap_says_otherwise() -> None:
    old = _outcomes([1] * 4 + [0] * 996, [0] * 1000, each=1)
    new = _outcomes([0] * 1000, [0] * 1000, each=1)
    found = compare(old, new, limit_per_hour=0.5)
    assert found["miss_rate_difference_interval"][1] < 0
    assert found["takes_sign_test"] == {"fewer": 4, "more": 0, "p": pytest.approx(0.125)}
    assert not found["better"]


def _heard(hits: dict[str, int], scenes: int = 4) -> Outcomes:
    """54 takes in as many scenes each; the detector fires on those of `hits`."""
    recordings = []
    times_s = 0.1 * np.arange(1, 41)
    for number in range(54 * scenes):
        take = f"keyword/kw/{number % 54}.wav"
        scores = np.zeros((40, 1), np.float32)
        scores[16, 0] = 0.9 * (take in hits)
        event = ReferenceEvent(1.0, 1.5, "kw", source=take)
        recordings.append(ScoredRecording(f"scene {number}", 4.0, times_s, scores, (event,)))
    return count_outcomes(recordings, ("kw",), threshold=0.5, judging=Evaluation())


@pytest.mark.parametrize(("learnt", "better"), [(1, False), (5, False), (6, True)])
def test_a_take_that_is_newly_recognised_counts_once_in_however_many_scenes(
    learnt: int, better: bool
) -> None:
    known = dict.fromkeys((f"keyword/kw/{i}.wav" for i in range(40)), 1)
    more = dict.fromkeys((f"keyword/kw/{i}.wav" for i in range(40 + learnt)), 1)
    found = compare(_heard(known), _heard(more), limit_per_hour=0.5)
    assert (found["num_keywords"], found["num_takes"]) == (216, 54)
    assert found["takes_sign_test"]["fewer"] == learnt
    assert found["better"] is better


def test_false_accepts_are_those_of_the_clip_that_sounded() -> None:
    """One clip sets it off in all of nine scenes, background alone in one."""
    times_s = 0.1 * np.arange(1, 41)
    recordings = []
    for number in range(10):
        scores = np.zeros((40, 1), np.float32)
        scores[16, 0] = 0.9
        clip = ReferenceEvent(1.0, 1.8, "speech", "speech", source="negative/speech/a.wav")
        events = (clip,) if number < 9 else ()
        recordings.append(ScoredRecording(f"scene {number}", 4.0, times_s, scores, events))
    heard = count_outcomes(recordings, ("kw",), threshold=0.5, judging=Evaluation())
    assert {cause: n for cause, n in heard.alarms.items() if n} == {
        "negative/speech/a.wav": 9, "scene 9": 1,
    }  # fmt: skip
    silent = count_outcomes(recordings, ("kw",), threshold=0.95, judging=Evaluation())
    found = compare(heard, silent, limit_per_hour=0.5)
    assert found["false_accepts_sign_test"]["fewer"] == 2
    assert not found["better"]


def test_false_accepts_on_one_background_under_many_scenes_are_one_cause() -> None:
    times_s = 0.1 * np.arange(1, 41)
    scores = np.zeros((40, 1), np.float32)
    scores[16, 0] = 0.9
    recordings = [ScoredRecording(f"scene {i}", 4.0, times_s, scores) for i in range(6)]
    under = {recording.name: "background/noise/fan.wav" for recording in recordings}
    outcomes = [
        count_outcomes(recordings, ("kw",), threshold=t, judging=Evaluation(), backgrounds=under)
        for t in (0.5, 0.95)
    ]
    assert outcomes[0].alarms == {"background/noise/fan.wav": 6}
    found = compare(*outcomes, limit_per_hour=0.5)
    assert found["false_accepts_sign_test"]["fewer"] == 1
    assert not found["better"]


def test_labels_without_takes_count_by_recording() -> None:
    events = tuple(ReferenceEvent(float(i), i + 0.5, "kw") for i in range(3))
    recording = ScoredRecording("r", 5.0, np.array([5.0]), np.zeros((1, 1), np.float32), events)
    found = count_outcomes([recording], ("kw",), threshold=0.5, judging=Evaluation())
    assert found.takes == {"r": (3, 3)}


def test_the_sign_test_is_mcnemars_where_each_group_is_one_trial() -> None:
    rng = np.random.default_rng(2)
    old, new = rng.integers(0, 2, (2, 60))
    found = sign_test(old, new)
    gained, lost = int(((old == 1) & (new == 0)).sum()), int(((old == 0) & (new == 1)).sum())
    assert (found.fewer, found.more) == (gained, lost)
    tail = stats.binom.cdf(min(gained, lost), gained + lost, 0.5)
    assert found.p == pytest.approx(min(1.0, 2 * tail))
    assert sign_test(old, old).p == 1.0
    assert sign_test(np.zeros(0, np.int64), np.zeros(0, np.int64)).p == 1.0


def test_equal_models_are_seldom_promoted() -> None:
    """Two models that miss takes alike by chance: at most 2.5 % are called better by misses."""
    rng = np.random.default_rng(0)
    promoted = 0
    for _ in range(400):
        old, new = (rng.binomial(1, 0.15, 54) * 7 for _ in range(2))
        promoted += compare(
            _outcomes(old.tolist(), [0] * 54, each=7),
            _outcomes(new.tolist(), [0] * 54, each=7),
            limit_per_hour=0.5,
        )["better"]
    assert promoted <= 0.04 * 400


def test_the_interval_is_that_of_paired_groups() -> None:
    rng = np.random.default_rng(1)
    old = rng.integers(0, 2, 200)
    gained = np.where(np.arange(200) < 20, -1, 0) * old  # only where the old one missed
    found = compare(
        _outcomes(old.tolist(), [0] * 200), _outcomes((old + gained).tolist(), [0] * 200),
        limit_per_hour=0.5,
    )  # fmt: skip
    difference = gained.sum() / 400
    low, high = found["miss_rate_difference_interval"]
    assert found["miss_rate_difference"] == pytest.approx(difference)
    spread = 1.96 * np.sqrt(gained.var() / 200) / 2
    assert (low, high) == pytest.approx((difference - spread, difference + spread), abs=0.004)
    assert difference_interval(np.zeros(0, np.int64), np.zeros(0), seed=0) == (0.0, 0.0)


def test_different_tests_are_not_compared() -> None:
    with pytest.raises(DatasetError, match="different tests"):
        compare(_outcomes([0] * 9, [0] * 9), _outcomes([0] * 8, [0] * 8), limit_per_hour=0.5)


def test_the_text_says_that_a_promoted_model_was_selected_here() -> None:
    old, new = _outcomes([1] * 40 + [0] * 60, NONE), _outcomes(NONE, NONE)
    found = compare(old, new, limit_per_hour=0.5) | {"looks": 3}
    text = comparison_text(found)
    assert "comparison 3 on this test split; it chose the new model" in text
    assert "40 less often missed, 0 more often (sign test, p = 0.000)" in text
    assert "flatter" not in comparison_text(found | {"better": False})
