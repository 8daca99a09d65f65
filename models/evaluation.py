"""Judgement: a threshold chosen on validation, applied to test, counted in events.

Everything in a report comes from event_matching.py: misses with an interval by takes, false accepts
per hour with the exact Poisson interval, each class by itself with micro and macro averages, time
to detect, slices of both (slices.py), the worst misses and false accepts to listen to.
`write_report` writes the same files for a data set's test split and for a stream.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from models.detector import Detector
from models.event_matching import count_events
from models.frame_accuracy import frame_accuracy
from models.model_files import COMPARISON_NAME, read_card, write_json
from models.operating_points import (
    OperatingPoint,
    choose_on_validation,
    counted,
    limit_of,
    sweep,
    threshold_text,
)
from models.plots import both_curves, det_curve, miss_curve
from models.report_html import report_page
from models.report_text import RULE_OF_THREE, report_text
from models.scoring import Scorer
from models.slices import Matched, false_accepts_by, misses_by, put_down_to, sound_at
from models.takes import interval_of
from models.worst_clips import FloatArray, WorstClip, cut_from, worst_clips, write_clips
from pipeline.input_dataset import judged_examples, read_dataset
from schemas.canonical import digest
from schemas.detection import Detection, ReferenceEvent, ScoredRecording
from schemas.errors import DatasetError
from schemas.recipe import Evaluation, LabelWindow
from schemas.stored_dataset import StoredDataset

REPORT_NAME = "evaluation.json"
RATES = (
    "miss_rate",
    "miss_interval",
    "num_keywords",
    "false_accepts_per_hour",
    "false_accept_interval",
    "hours",
)
"""What of a report's values says how good a detector of keywords is."""
_NUM_WORST = 10
_BATCH = 16


@dataclass(frozen=True)
class Report:
    """A judgement, ready to print; `values` is what `evaluation.json` holds."""

    values: dict[str, Any]
    points: tuple[OperatingPoint, ...]
    chosen: OperatingPoint


def evaluate(folder: Path, data: str) -> Report:
    """Judge a trained model on a data set's test split and write the report beside the model.

    Writes evaluation.json, .txt, .png (miss rate against false accepts), .html, and the worst
    misses and false accepts as sounds.

    Raises:
        TrainingError: no trained model.
        DatasetError: the data set is incomplete, of another rate or other labels, or has no keyword
            to choose a threshold on.
    """
    card, detector, stored = open_judged(folder, data)
    judging = Evaluation.model_validate(card["evaluation"])
    counting = judging.rule()
    score = Scorer(detector, stored)
    validation = score("validation")
    limit = judging.max_false_accepts_per_hour
    chosen = choose_on_validation(sweep(validation, detector.labels, **counting), limit)
    recordings = score("test")
    points = sweep(recordings, detector.labels, **counting)
    report = judge(recordings, detector.labels, chosen.threshold, judging, points)
    window = LabelWindow.model_validate(card["training"]["label_window"])
    values = report.values | {
        "chosen_on": "validation",
        "judged_on": "test",
        "validation": _numbers(chosen) | limit_of(chosen, limit),
        "frames": frame_accuracy(recordings, detector, window, chosen.threshold),
    }
    values |= origin(card, stored) | _selected_on(folder, stored)
    report = Report(values, points, report.chosen)

    def cut(clips: Sequence[WorstClip]) -> list[FloatArray]:
        return _cut_test_scenes(stored, clips)

    write_report(folder, f"{card['name']}: test split", report, cut, stored.sample_rate_hz)
    return report


def open_judged(folder: Path, data: str) -> tuple[dict[str, Any], Detector, StoredDataset]:
    """Return a trained model's card, the model, and the data set that fits it.

    Raises:
        TrainingError: no trained model.
        DatasetError: the data set is incomplete or of another rate or other labels.
    """
    card, detector = read_card(folder), Detector.load(folder)
    return card, detector, fitting_dataset(detector, data)


def fitting_dataset(detector: Detector, data: str) -> StoredDataset:
    """Read a data set that a detector may be judged on.

    Raises:
        DatasetError: it is incomplete or of another rate or other labels.
    """
    stored = read_dataset(data)
    if (stored.sample_rate_hz, stored.labels) != (detector.sample_rate_hz, detector.labels):
        raise DatasetError(
            f"{data} has {stored.sample_rate_hz} Hz and labels {', '.join(stored.labels)}",
            expected=f"{detector.sample_rate_hz} Hz and {', '.join(detector.labels)}, as the model",
        )
    return stored


def origin(card: dict[str, Any], stored: StoredDataset) -> dict[str, Any]:
    """Return what a report says of the model and the data that it is about."""
    return {
        "model": evaluation_identity(card, stored.identity()),
        "dataset": stored.identity(),
        "network": {"parameters": card["parameters"], "family": card["model"]["family"]}
        | {"multiply_adds_per_second": card.get("multiply_adds_per_second")},
        "software": card.get("software", {}),
    }


def write_report(
    folder: Path,
    title: str,
    report: Report,
    cut: Callable[[Sequence[WorstClip]], Sequence[FloatArray]],
    sample_rate_hz: int,
) -> None:
    """Write the files of a judgement of keywords.

    Args:
        folder: gets evaluation.txt, .png, .html, .json and evaluation_clips/.
        title: of page and pictures.
        report: what was found.
        cut: as worst_clips.write_clips takes it.
        sample_rate_hz: of the sounds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / REPORT_NAME).unlink(missing_ok=True)
    sounds = write_clips(folder, worst_clips(report.values), cut, sample_rate_hz)
    chosen = report.chosen
    at = (
        f"at threshold {threshold_text(chosen.threshold)} {100 * chosen.miss_rate:.1f} % of "
        f"keywords are missed, with {chosen.false_accepts_per_hour:.2f} false accepts per hour"
    )
    pictures = [
        (f"Misses against false accepts: {at}", miss_curve(report.points, chosen, title)),
        (f"DET curve, normal-deviate axes: {at}", det_curve(report.points, chosen, title)),
    ]
    write_files(folder, title, report.values, report_text(report.values), pictures, sounds)


def write_files(
    folder: Path,
    title: str,
    values: dict[str, Any],
    text: str,
    pictures: Sequence[tuple[str, bytes]],
    sounds: Sequence[tuple[str, str]] = (),
) -> None:
    """Write evaluation.txt, .png, .html and, last, .json: it says that they are of this model."""
    (folder / "evaluation.txt").write_text(text, encoding="utf-8")
    (folder / "evaluation.png").write_bytes(pictures[0][1])
    page = report_page(title, text, pictures, sounds)
    (folder / "evaluation.html").write_text(page, encoding="utf-8")
    write_json(folder / REPORT_NAME, values)


def picture(values: dict[str, Any], title: str, suffix: str) -> bytes:
    """Return the curves of a report's values, as .png or .svg."""
    names = [field.name for field in fields(OperatingPoint)]
    chosen, *points = (
        OperatingPoint(**{name: row[name] for name in names}) for row in (values, *values["sweep"])
    )
    return both_curves(points, chosen, title, suffix)


def evaluation_identity(card: dict[str, Any], dataset_identity: str) -> str:
    """Return a digest of the model and data that a report is about."""
    return digest([card["dataset"], card["best_epoch"], card["training"], dataset_identity])


def judge(
    recordings: Sequence[ScoredRecording],
    labels: Sequence[str],
    threshold: float,
    judging: Evaluation,
    points: tuple[OperatingPoint, ...] = (),
) -> Report:
    """Count and slice at one threshold over scored recordings."""
    matched = [
        (recording, count_events(recording, labels, threshold=threshold, **judging.rule()))
        for recording in recordings
    ]
    duration_s = sum(recording.duration_s for recording in recordings)
    found = [m for _, m in matched]
    point = counted(found, threshold, duration_s)
    by_label = {label: counted(found, threshold, duration_s, label) for label in labels}
    hits = [hit for m in found for hit in m.hits]
    keywords = [e for r in recordings for e in r.events if e.kind == "keyword"]
    values = _numbers(point) | {
        "num_takes": len({e.source for e in keywords if e.source}),
        "miss_interval": interval_of(found),
        "num_other_events": sum(e.kind != "keyword" for r in recordings for e in r.events),
        "num_false_accept_sounds": len(
            {put_down_to(r.events, d, r.name) for r, m in matched for d in m.false_accepts}
        ),
        "num_repetitions": sum(len(m.repetitions) for m in found),
        "threshold": threshold,
        "counting": judging.rule(),
        "by_label": {
            label: _numbers(one) | {"miss_interval": interval_of(found, label)}
            for label, one in by_label.items()
        },
        "macro": _macro(by_label.values()),
        "time_to_detect_s": _percentiles([d.time_s - event.offset_s for event, d in hits]),
        "time_since_onset_s": _percentiles([d.time_s - event.onset_s for event, d in hits]),
        "misses_by": misses_by(matched),
        "false_accepts_by": false_accepts_by(matched),
        "worst_misses": [
            {
                "recording": r.name,
                "onset_s": round(e.onset_s, 3),
                "offset_s": round(e.offset_s, 3),
                "label": e.label,
                "source": e.source,
            }
            | _snr(e)
            for r, e in _misses(matched)[:_NUM_WORST]
        ],
        "worst_false_accepts": [
            {
                "recording": r.name,
                "time_s": round(d.time_s, 3),
                "label": d.label,
                "score": round(d.score, 4),
                "on": sound_at(r.events, d),
            }
            for r, d in _false_accepts(matched)[:_NUM_WORST]
        ],
        "sweep": [_numbers(p) | {"threshold": p.threshold} for p in points],
        "hours_for_a_claim": {str(rate): RULE_OF_THREE / rate for rate in (0.5, 0.1)},
    }
    return Report(values, points, point)


def _selected_on(folder: Path, stored: StoredDataset) -> dict[str, Any]:
    """Whether a promotion chose this model by the split that judges it, and how many looked."""
    try:
        found = json.loads((folder / COMPARISON_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if found.get("test") != stored.split_identity("test") or not found.get("selected_on_test"):
        return {}
    return {"selected_on_test": True, "looks": found["looks"]}


def _cut_test_scenes(stored: StoredDataset, clips: Sequence[WorstClip]) -> list[FloatArray]:
    """The parts of a test split's scenes that the clips name, in one pass."""
    wanted = {clip.recording for clip in clips}
    audio: dict[str, FloatArray] = {}
    for ids, batch, _ in judged_examples(stored, split="test", batch_size=_BATCH):
        for i in (i for i, name in enumerate(ids) if name in wanted):
            audio[ids[i]] = np.asarray(batch[i])
        if len(audio) == len(wanted):
            break
    return [cut_from(audio[clip.recording], clip, stored.sample_rate_hz) for clip in clips]


def _numbers(point: OperatingPoint) -> dict[str, Any]:
    return asdict(point) | {
        "miss_rate": point.miss_rate,
        "false_accepts_per_hour": point.false_accepts_per_hour,
        "false_accept_interval": point.false_accept_interval,
    }


def _macro(points: Iterable[OperatingPoint]) -> dict[str, float]:
    """Each class counts alike: the mean of those that had keywords, and of false accepts an hour.

    The micro average is the report's own first lines: every event counts alike there.
    """
    of = list(points)
    rates = [point.miss_rate for point in of if point.num_keywords]
    return {
        "miss_rate": sum(rates) / max(1, len(rates)),
        "false_accepts_per_hour": sum(p.false_accepts_per_hour for p in of) / max(1, len(of)),
    }


def _percentiles(delays: Sequence[float]) -> dict[str, float]:
    if not delays:
        return {}
    p5, median, p95 = np.percentile(delays, [5, 50, 95]).round(4).tolist()
    return {"p5": p5, "median": median, "p95": p95}


def _snr(event: ReferenceEvent) -> dict[str, float]:
    """Known in scenes, not in recordings: left out there, as JSON has no NaN."""
    return {"snr_db": round(event.snr_db, 2)} if np.isfinite(event.snr_db) else {}


def _misses(matched: Matched) -> list[tuple[ScoredRecording, ReferenceEvent]]:
    rows = [(r, e) for r, m in matched for e in m.misses]
    return sorted(rows, key=lambda row: (-np.nan_to_num(row[1].snr_db), row[0].name))


def _false_accepts(matched: Matched) -> list[tuple[ScoredRecording, Detection]]:
    rows = [(r, d) for r, m in matched for d in m.false_accepts]
    return sorted(rows, key=lambda row: (-row[1].score, row[0].name))
