"""What a detector is judged by: a recipe's `evaluation.measure`, and the functions for each.

A card's `evaluation`, a report and a recipe's section all name it; what names none, as older ones
do, is about keywords.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models import evaluation, report_text, sound_event_evaluation
from models.detection_task import DetectionTask
from models.sound_event_task import SoundEventTask

Values = dict[str, Any]


@dataclass(frozen=True)
class Measure:
    """How one kind of detector is fitted, judged and reported.

    Attributes:
        task: made of a recipe and the place of its data set.
        evaluate: judges a model's folder on a data set, writes the report, returns its values.
        report_text: the values for people.
        headline: the same in a few words.
        share_missed: in [0, 1], of what there was to find.
        picture: of a report's values, with a title and a suffix: the curves, or a bar a class.
    """

    task: type[DetectionTask]
    evaluate: Callable[[Path, str], Values]
    report_text: Callable[[Values], str]
    headline: Callable[[Values], str]
    share_missed: Callable[[Values], float]
    picture: Callable[[Values, str, str], bytes]


def measure_of(values: Mapping[str, Any]) -> Measure:
    """Return the measure that a recipe's `evaluation`, a card's or a report names."""
    return MEASURES[values.get("measure", "keywords")]


MEASURES: dict[str, Measure] = {
    "keywords": Measure(
        task=DetectionTask,
        evaluate=lambda folder, data: evaluation.evaluate(folder, data).values,
        report_text=report_text.report_text,
        headline=report_text.headline,
        share_missed=lambda values: values["miss_rate"],
        picture=evaluation.picture,
    ),
    "sound_events": Measure(
        task=SoundEventTask,
        evaluate=sound_event_evaluation.evaluate_sound_events,
        report_text=sound_event_evaluation.report_text,
        headline=sound_event_evaluation.headline,
        share_missed=lambda values: 1.0 - (values["micro"]["recall"] or 0.0),
        picture=sound_event_evaluation.picture,
    ),
}
"""The measures that `evaluation.measure` may name."""
