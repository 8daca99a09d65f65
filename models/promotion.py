"""Whether a new detector replaces the one in use: both judged on one test split, by events.

Each model is heard at the threshold that validation chose for it. Misses are counted by take, and
false accepts by what sounded then (its clip, else the background under the scene): what repeats in
a test is one group, and groups are what is compared (paired_tests.py). The new one is better where

    it misses fewer keywords beyond doubt and its false accepts per hour are at most the recipe's
    limit, or those of the old one;

    or its false accepts are fewer beyond doubt and it misses no more keywords.

*Beyond doubt*: the whole 95 % interval of the difference is below 0, and the exact two-sided sign
test by groups has p < 0.05. That takes six groups that differ, all for the new one. Anything else
leaves the old one in place: a retraining every week must not be a walk by chance.

What this never gives is an unbiased figure. A model that was promoted was chosen for its result on
this test, and each comparison is another look at it: `looks` counts them, and nothing corrects for
them. The figure to publish comes from data that no promotion looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.evaluation import fitting_dataset, open_judged
from models.event_matching import count_events
from models.operating_points import choose_on_validation, limit_of, limit_text, sweep
from models.paired_tests import difference_interval, sign_test
from models.scoring import Scorer
from models.slices import put_down_to
from pipeline.input_dataset import backgrounds_of, read_dataset
from schemas.detection import ScoredRecording
from schemas.errors import DatasetError
from schemas.recipe import Evaluation

_PUBLISH = "publish those of data that no promotion looked at"


@dataclass(frozen=True)
class Outcomes:
    """What a detector did with a test.

    Attributes:
        threshold: chosen on validation.
        takes: {take, or recording where takes aren't known: (misses, keywords)}.
        alarms: {clip that sounded, or background: false accepts}; also those that had none.
        hours: of all recordings.
        limit: that the threshold was chosen by, as `operating_points.limit_of` gives it.
    """

    threshold: float
    takes: Mapping[str, tuple[int, int]]
    alarms: Mapping[str, int]
    hours: float
    limit: Mapping[str, Any]

    @property
    def num_misses(self) -> int:
        """Of all keywords."""
        return sum(misses for misses, _ in self.takes.values())

    @property
    def num_keywords(self) -> int:
        """The same for all detectors."""
        return sum(keywords for _, keywords in self.takes.values())

    @property
    def num_false_accepts(self) -> int:
        """In all recordings."""
        return sum(self.alarms.values())

    @property
    def miss_rate(self) -> float:
        """Share of keywords missed; 0 where there was none."""
        return self.num_misses / max(1, self.num_keywords)

    @property
    def false_accepts_per_hour(self) -> float:
        """Over everything heard."""
        return self.num_false_accepts / self.hours


def outcomes_of(folder: Path, data: str, test_on: str, judging: Evaluation) -> Outcomes:
    """Hear a test split with a trained model, at its own threshold.

    Args:
        folder: of the model.
        data: the recipe's data set, whose validation split chooses the threshold, as in `evaluate`.
        test_on: the data set whose test split judges.
        judging: how events are counted.

    Raises:
        DatasetError: one is incomplete, of another rate or other labels, or there is no keyword to
            choose a threshold on.
    """
    _, detector, own = open_judged(folder, data)
    tested = fitting_dataset(detector, test_on)
    points = sweep(Scorer(detector, own)("validation"), detector.labels, **judging.rule())
    allowed = judging.max_false_accepts_per_hour
    chosen = choose_on_validation(points, allowed)
    return count_outcomes(
        Scorer(detector, tested)("test"),
        detector.labels,
        threshold=chosen.threshold,
        judging=judging,
        limit=limit_of(chosen, allowed),
        backgrounds=backgrounds_of(tested, "test"),
    )


def count_outcomes(
    recordings: Sequence[ScoredRecording],
    labels: tuple[str, ...],
    *,
    threshold: float,
    judging: Evaluation,
    limit: Mapping[str, Any] | None = None,
    backgrounds: Mapping[str, str] | None = None,
) -> Outcomes:
    """Count events of scored recordings by take and by what sounded.

    Args:
        recordings: what was heard.
        labels: of the scores.
        threshold: of a score.
        judging: how events are counted.
        limit: that the threshold was chosen by.
        backgrounds: {name of a recording: what lies under it}; itself where it isn't known.
    """
    takes: dict[str, tuple[int, int]] = {}
    alarms: dict[str, int] = {}
    for recording in recordings:
        found = count_events(recording, labels, threshold=threshold, **judging.rule())
        judged = [(event, 0) for event, _ in found.hits] + [(event, 1) for event in found.misses]
        for event, missed in judged:
            take = event.source or recording.name
            misses, keywords = takes.get(take, (0, 0))
            takes[take] = (misses + missed, keywords + 1)
        under = (backgrounds or {}).get(recording.name) or recording.name
        for cause in (under, *(event.source for event in recording.events)):
            alarms.setdefault(cause or under, 0)
        for detection in found.false_accepts:
            alarms[put_down_to(recording.events, detection, under)] += 1
    hours = sum(recording.duration_s for recording in recordings) / 3600
    return Outcomes(threshold, takes, alarms, hours, limit or {})


def compare(
    old: Outcomes, new: Outcomes, *, limit_per_hour: float, seed: int = 0
) -> dict[str, Any]:
    """Return both results, the differences with their intervals, and whether the new one is better.

    Args:
        old: what the model in use did.
        new: what the other did with the same recordings.
        limit_per_hour: false accepts that the recipe allows.
        seed: of the bootstrap.

    Raises:
        DatasetError: they didn't hear the same test.
    """
    takes, causes = sorted(old.takes), sorted(old.alarms)
    if (takes, causes) != (sorted(new.takes), sorted(new.alarms)) or old.hours != new.hours:
        raise DatasetError("two models were compared on different tests", expected="the same one")
    counts = np.array([(*old.takes[t], *new.takes[t]) for t in takes], np.int64).reshape(-1, 4)
    misses_old, keywords, misses_new, _ = counts.T
    alarms = np.array([(old.alarms[c], new.alarms[c]) for c in causes], np.int64).reshape(-1, 2)
    of_takes, of_alarms = sign_test(misses_old, misses_new), sign_test(alarms[:, 0], alarms[:, 1])
    miss_interval = difference_interval(misses_new - misses_old, keywords, seed=seed)
    hours = np.full(len(causes), old.hours / max(1, len(causes)))
    accept_interval = difference_interval(alarms[:, 1] - alarms[:, 0], hours, seed=seed)
    allowed = max(limit_per_hour, old.false_accepts_per_hour)
    fewer_misses = miss_interval[1] < 0 and of_takes.shows_fewer
    fewer_accepts = accept_interval[1] < 0 and of_alarms.shows_fewer
    better = (fewer_misses and new.false_accepts_per_hour <= allowed) or (
        fewer_accepts and new.miss_rate <= old.miss_rate
    )
    return {
        "old": _numbers(old),
        "new": _numbers(new),
        "num_keywords": old.num_keywords,
        "num_takes": len(takes),
        "hours": old.hours,
        "miss_rate_difference": new.miss_rate - old.miss_rate,
        "miss_rate_difference_interval": miss_interval,
        "takes_sign_test": asdict(of_takes),
        "false_accepts_per_hour_difference": new.false_accepts_per_hour
        - old.false_accepts_per_hour,
        "false_accepts_per_hour_difference_interval": accept_interval,
        "false_accepts_sign_test": asdict(of_alarms),
        "better": bool(better),
    }


def compare_models(
    old: Path, new: Path, judging: Evaluation, *, data: str, test_on: str | None = None
) -> dict[str, Any]:
    """Compare two trained models; arguments and errors as of `outcomes_of`, one test for both."""
    judged_on = test_on or data
    outcomes = [outcomes_of(folder, data, judged_on, judging) for folder in (old, new)]
    found = compare(*outcomes, limit_per_hour=judging.max_false_accepts_per_hour)
    stored = read_dataset(judged_on)
    return found | {"judged_on": stored.identity(), "test": stored.split_identity("test")}


def comparison_text(values: dict[str, Any]) -> str:
    """Return a comparison for people."""
    miss_low, miss_high = (100 * v for v in values["miss_rate_difference_interval"])
    low, high = values["false_accepts_per_hour_difference_interval"]
    lines = [f"{'':24}{'missed':>9}{'false accepts/h':>18}"]
    for name in ("old", "new"):
        row = values[name]
        rate = f"{100 * row['miss_rate']:.1f} %"
        lines.append(f"{name:24}{rate:>9}{row['false_accepts_per_hour']:>18.2f}")
    lines.append(
        f"difference, 95 %: missed {miss_low:+.1f} … {miss_high:+.1f} %, false accepts "
        f"{low:+.2f} … {high:+.2f} per hour ({values['num_keywords']} keywords of "
        f"{values['num_takes']} takes in {values['hours']:.2f} h)"
    )
    for test, what in (("takes_sign_test", "takes"), ("false_accepts_sign_test", "clips heard")):
        row = values[test]
        error = "missed" if test == "takes_sign_test" else "taken for a keyword"
        lines.append(
            f"{what}: {row['fewer']} less often {error}, {row['more']} more often "
            f"(sign test, p = {row['p']:.3f})"
        )
    for name in ("old", "new"):
        said = limit_text(values[name])
        lines += [f"{name}: LIMIT NOT KEPT on validation: {said}"] if said else []
    lines.append(f"the new model is {'' if values['better'] else 'not '}better beyond doubt")
    if "looks" in values:
        looks = f"comparison {values['looks']} on this test split"
        if values["better"]:
            looks += "; it chose the new model, so the figures above flatter it: " + _PUBLISH
        lines.append(looks)
    return "\n".join(lines)


def _numbers(outcomes: Outcomes) -> dict[str, Any]:
    return {
        "miss_rate": outcomes.miss_rate,
        "false_accepts_per_hour": outcomes.false_accepts_per_hour,
        "threshold": outcomes.threshold,
        **outcomes.limit,
    }
