"""Judgement of a command classifier on its test clips, by speakers that it never heard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from models.class_plots import report_picture
from models.class_report import classification_report, confusion_text
from models.command_classifier import CommandClassifier
from models.intervals import share_text
from models.model_files import read_card, write_json
from pipeline.inputs.clip_folder import ClipFolder, load_clip_folder
from schemas.errors import DatasetError
from schemas.recipe import Fractions
from schemas.recipe_commands import LabelledClips

REPORT_NAME = "evaluation.json"
_NUM_WORST = 10


def load_judged_clips(folder: Path) -> ClipFolder:
    """Load the clips that a model was made with, split as they were then.

    Raises:
        TrainingError: no trained model.
        MaterialError: the clips aren't there any more.
        DatasetError: they have changed.
    """
    card = read_card(folder)
    config = LabelledClips.model_validate(card["clips"])
    clips = load_clip_folder(
        config, Fractions.model_validate(card["splits"]), Path(card["base_dir"])
    )
    if clips.identity != card["data"]["identity"]:
        raise DatasetError(
            f"{config.path} has changed since the model was trained: {clips.describe()}",
            expected="the same clips, so that none of the test was trained on",
            fix="train anew with `wakebeam train RECIPE --overwrite`",
        )
    return clips


def evaluate(folder: Path) -> dict[str, Any]:
    """Judge a trained model on its test clips; write evaluation.json, .txt and .png beside it.

    Raises:
        TrainingError: no trained model.
        DatasetError: the clips have changed, or none is for the test.
    """
    card = read_card(folder)
    classifier = CommandClassifier.load(folder)
    clips = load_judged_clips(folder)
    rows = clips.rows["test"]
    if not len(rows):
        raise DatasetError(
            "no clip is for the test",
            fix="raise splits.test, or name speakers for it in splits.keep, and train anew",
        )
    logits, labels = classifier.score(clips.samples[rows]), clips.labels[rows]
    predicted = logits.argmax(axis=1)
    worst = _most_wrong(logits, labels)
    known = clips.speakers_known
    speakers = [clips.speakers[row] for row in rows] if known else []
    values = classification_report(labels, predicted, clips.class_names, speakers) | {
        "name": card["name"],
        "judged_on": "test",
        "split_by": card["clips"]["split_by"],
        "speakers": {split: list(clips.speakers_in(split)) for split in clips.rows},
        "num_clips": {split: len(clips.rows[split]) for split in clips.rows},
        "rejects": [reject.to_json() for reject in clips.rejects],
        "best_epoch": card["best_epoch"],
        "parameters": card["parameters"],
        "worst": [
            {
                "clip": clips.clip_ids[rows[i]],
                "true": clips.class_names[labels[i]],
                "predicted": clips.class_names[predicted[i]],
            }
            for i in worst[:_NUM_WORST]
        ],
    }
    (folder / "evaluation.txt").write_text(report_text(values), encoding="utf-8")
    picture = report_picture(
        np.array(values["confusion"]["counts"]),
        clips.class_names,
        f"{card['name']}: test clips",
        next(((clips.clip_ids[rows[i]], int(labels[i]), logits[i]) for i in worst), None),
    )
    (folder / "evaluation.png").write_bytes(picture)
    write_json(folder / REPORT_NAME, values)  # last: it says that the others are of this model
    return values


def report_text(values: dict[str, Any]) -> str:
    """Return the report as a table for people."""
    lines = [f"right, test clips      {share_text(values['accuracy'])}"]
    lines.append(_whose(values))
    for row in values.get("by_group", []):
        lines.append(f"  {row['group']:20} {share_text(row)}")
    if len(values.get("by_group", [])) == 1:
        lines.append("  one voice: others may differ from it by more than the interval says")
    if "interval_by_group" in values["accuracy"]:
        low, high = (100 * bound for bound in values["accuracy"]["interval_by_group"])
        lines.append(f"  interval over speakers, who differ more: {low:.1f} … {high:.1f} %")
    best = values["best_epoch"]
    lines.append(
        f"on validation, where epoch {best['epoch']} was chosen, {100 * best['accuracy']:.1f} %"
    )
    lines += [f"  {row['class']:20} {share_text(row)}" for row in values["by_class"]]
    lines.append(confusion_text(values))
    if values["rejects"]:
        lines.append(f"{len(values['rejects'])} files could not be used:")
        lines += [f"  {reject['path']}: {reject['reason']}" for reject in values["rejects"][:10]]
    return "\n".join(lines) + "\n"


def _whose(values: dict[str, Any]) -> str:
    """Say whether the test's speakers are new to the model."""
    test, train = values["speakers"]["test"], values["speakers"]["train"]
    if not test:
        return "no speaker is known: a voice of the test may have been trained on"
    if values["split_by"] == "reference":
        heard = len(set(test) & set(train))
        return f"dealt as the reference: {heard} of the test's {len(test)} speakers were trained on"
    some = ", ".join(test[:8]) + (f" and {len(test) - 8} more" if len(test) > 8 else "")
    return f"unseen speakers: {some}; trained on {len(train)} others"


def _most_wrong(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Wrong answers, the surest first."""
    lead = logits.max(axis=1) - logits[np.arange(len(labels)), labels]
    order = np.argsort(-lead, kind="stable")
    return order[lead[order] > 0]
