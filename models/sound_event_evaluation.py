"""The report on sound events: thresholds chosen on validation, counted on test, for people too.

Writes what `evaluation.py` does: evaluation.json, .txt, .png and .html beside the model.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from models.evaluation import open_judged, origin, write_files
from models.plots import class_scores
from models.report_text import origin_text
from models.scoring import Scorer
from models.sound_event_judging import choose, clock_of, judge_sound_events
from schemas.recipe import LabelWindow, SoundEvents

_WIDTH = 18


def evaluate_sound_events(folder: Path, data: str) -> dict[str, Any]:
    """Judge a trained model on a data set's test split and write the report beside the model.

    Returns:
        What `evaluation.json` holds.

    Raises:
        TrainingError: no trained model.
        DatasetError: the data set is incomplete or of another rate or other labels.
    """
    card, detector, stored = open_judged(folder, data)
    judging = SoundEvents.model_validate(card["evaluation"])
    window = LabelWindow.model_validate(card["training"]["label_window"])
    clock = clock_of(detector, judging, window)
    score = Scorer(detector, stored)
    validation = score("validation")
    choice = choose(validation, detector.labels, clock, judging)
    values = judge_sound_events(score("test"), choice, judging)
    values |= {"chosen_on": "validation", "judged_on": "test"} | origin(card, stored)
    rows = values["classes"].items()
    seen = "Event F1: " + ", ".join(f"{name} {_percent(row['f1'])}" for name, row in rows)
    bars = picture(values, f"{card['name']}: event F1 on test", ".png")
    write_files(folder, card["name"], values, report_text(values), [(seen, bars)])
    return values


def picture(values: dict[str, Any], title: str, suffix: str) -> bytes:
    """Return the event F1 of each class as bars, as .png or .svg."""
    shares = {name: row["f1"] or 0.0 for name, row in values["classes"].items()}
    return class_scores(shares, title, suffix)


def report_text(values: dict[str, Any]) -> str:
    """Return the report as a table for people."""
    counting = values["counting"]
    collars, psds = counting["collars"], counting["psds"]
    head = f"{'':{_WIDTH}}{'event F1':>9}{'precision':>11}{'recall':>9}"
    lines = [f"{head}{'events':>8}{'found':>7}{'right':>7}{'takes':>7}{'F1 on validation':>18}"]
    for name, row in values["classes"].items():
        known = f"{row['num_takes']:>7}{_percent(row['validation']['f1']):>18}"
        lines.append(f"{name[:_WIDTH]:{_WIDTH}}{_counts(row)}{known}")
    total = f"{'':7}{_percent(values['validation']['micro']['f1']):>18}"
    lines.append(f"{'all (micro)':{_WIDTH}}{_counts(values['micro'])}{total}")
    lines.append(
        f"{'mean (macro)':{_WIDTH}}{_percent(values['macro_f1']):>9}{'':49}"
        f"{_percent(values['validation']['macro_f1']):>18}"
    )
    score = "undefined" if values["psds"] is None else f"{values['psds']:.4f}"
    lines += [
        f"PSDS {score} (dtc {psds['dtc']:g}, gtc {psds['gtc']:g}, cttc {psds['cttc']:g}, "
        f"alpha_ct {psds['alpha_ct']:g}, alpha_st {psds['alpha_st']:g}, "
        f"e_max {psds['e_max']:g} per hour)",
        f"{values['num_recordings']} scenes, {values['hours']:.2f} h; events of a class that "
        "overlap are one",
        f"an event is right within {collars['onset_s']:g} s at its onset, and at its offset within "
        f"{collars['offset_s']:g} s or {100 * collars['offset_share']:g} % of its length",
        "thresholds and median filters were chosen on validation, for F1: F1 there is too good",
        *origin_text(values),
    ]
    return "\n".join(lines) + "\n"


def headline(values: dict[str, Any]) -> str:
    """Return the result in a few words."""
    score = "undefined" if values["psds"] is None else f"{values['psds']:.3f}"
    return f"macro event F1 {_percent(values['macro_f1'])}, PSDS {score} on test"


def _counts(row: dict[str, Any]) -> str:
    shares = f"{_percent(row['f1']):>9}{_percent(row['precision']):>11}{_percent(row['recall']):>9}"
    return f"{shares}{row['num_reference']:>8}{row['num_found']:>7}{row['num_matches']:>7}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"
