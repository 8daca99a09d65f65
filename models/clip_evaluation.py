"""Judgement of a clip classifier on its test clips, from videos that it never learnt from.

Each accuracy comes with its counts, an interval by clips and one by videos, and beside it the
accuracy of always giving the commoner answer. Where there is no test split (the reference's own
has none) validation is judged, and the report says that the weights were chosen on it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from models.clip_judging import judged, probabilities
from models.embeddings_task import load_classifier, logits_of
from models.intervals import share_text
from models.model_files import read_card, write_json
from pipeline.inputs.embedding_set import Clips, read_clip_set, read_clips
from schemas.errors import DatasetError
from schemas.recipe_embeddings import ClipModel

REPORT_NAME = "evaluation.json"
_NUM_WORST = 5


def evaluate_clips(folder: Path) -> dict[str, Any]:
    """Judge a trained classifier; write evaluation.json and .txt beside it.

    Raises:
        TrainingError: no trained model.
        DatasetError: its data aren't there, or have changed.
    """
    card = read_card(folder)
    network = load_classifier(folder)
    config = ClipModel.model_validate(card["model"])
    location = card["data"]["location"]
    stored = read_clip_set(location if "://" in location else str((folder / location).resolve()))
    if stored.identity() != card["data"]["identity"]:
        raise DatasetError(
            f"{stored.location} has changed since the model was trained",
            expected="the same clips, so that none of the test was trained on",
            fix="train anew with `wakebeam train RECIPE --overwrite`",
        )
    split = "test" if stored.num_examples("test") else "validation"
    clips = read_clips(stored, split, num_frames=config.num_frames, padding=config.padding)
    logits = logits_of(network, clips)
    values = judged(clips.labels, logits, clips.video_ids) | {
        "name": card["name"],
        "judged_on": split,
        "num_clips": {name: stored.num_examples(name) for name in stored.counts},
        "rejects": dict(stored.manifest.rejects),
        "best_epoch": card["best_epoch"],
        "parameters": card["parameters"],
        "worst": _worst(clips, logits),
        "example": _example(network, clips, logits),
    }
    (folder / "evaluation.txt").write_text(report_text(values), encoding="utf-8")
    write_json(folder / REPORT_NAME, values)  # last: it says that the other is of this model
    return values


def report_text(values: dict[str, Any]) -> str:
    """Return the report for people."""
    accuracy, base = values["accuracy"], values["base_rate"]
    low, high = (100 * bound for bound in accuracy["interval_by_video"])
    lines = [
        f"right on {values['judged_on']}      {share_text(accuracy)}",
        f"  over {accuracy['videos']} videos, whose clips are alike: {low:.1f} … {high:.1f} %",
        f"always the commoner answer  {share_text(base)}",
        f"of clips with the sound, found    {share_text(values['found'])}",
        f"of clips without, taken for it    {share_text(values['false_alarms'])}",
    ]
    if values["average_precision"] is not None:
        lines.append(
            f"average precision {values['average_precision']:.3f}; chance would reach about "
            f"{values['share_positive']:.3f}"
        )
    if values["judged_on"] == "validation":
        lines.append("no clip is for the test: the weights were chosen on these very clips")
    if values["example"]:
        example = values["example"]
        weights = " ".join(f"{weight:.3f}" for weight in example["weights"])
        lines.append(f"attention to the frames of {example['clip_id']}: {weights}")
    if values["rejects"]:
        some = ", ".join(f"{number} {reason}" for reason, number in values["rejects"].items())
        lines.append(f"records that were no clips: {some}")
    return "\n".join(lines) + "\n"


def _worst(clips: Clips, logits: np.ndarray) -> list[dict[str, Any]]:
    """Wrong answers, the surest first."""
    wrong = np.flatnonzero((logits > 0) != (clips.labels == 1))
    order = wrong[np.argsort(-np.abs(logits[wrong]), kind="stable")][:_NUM_WORST]
    p = probabilities(logits)
    return [
        {"clip_id": clips.clip_ids[i], "label": int(clips.labels[i]), "probability": float(p[i])}
        for i in order
    ]


def _example(network: Any, clips: Clips, logits: np.ndarray) -> dict[str, Any] | None:
    """Where the network looks in the clip that it is surest of; None without attention."""
    i = int(np.argmax(logits))
    _, weights = network.logits_and_weights(clips.frames[i : i + 1], clips.mask[i : i + 1])
    if weights is None:
        return None
    real = clips.mask[i] > 0
    return {
        "clip_id": clips.clip_ids[i],
        "label": int(clips.labels[i]),
        "probability": float(probabilities(logits)[i]),
        "weights": [float(weight) for weight in weights.numpy()[0][real]],
    }
