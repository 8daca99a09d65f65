"""Judgement: a threshold chosen on validation, applied to test, counted in events.

Everything in a report comes from `event_matching`: misses with an interval by takes, false accepts
per hour with the exact Poisson interval, time to detect, slices by SNR and by what sounded at a
false accept, the worst misses and false accepts by example id.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.detector import Detector
from models.event_matching import (
    Matching,
    OperatingPoint,
    choose_point,
    detect_events,
    match_events,
    operating_point,
    sweep,
)
from models.frame_accuracy import frame_accuracy
from models.intervals import wilson_by_group
from models.model_files import read_card, write_json
from models.plots import det_curve
from models.report_html import report_page
from models.scoring import score_split
from pipeline.input_dataset import read_dataset
from schemas.canonical import digest
from schemas.detection import Detection, ReferenceEvent, ScoredRecording
from schemas.errors import DatasetError
from schemas.recipe import Evaluation, LabelWindow
from schemas.stored_dataset import StoredDataset

REPORT_NAME = "evaluation.json"
_SNR_EDGES_DB = (-1e9, 5.0, 10.0, 15.0, 1e9)
_NUM_WORST = 10


@dataclass(frozen=True)
class Report:
    """A judgement, ready to print; `values` is what `evaluation.json` holds."""

    values: dict[str, Any]
    points: tuple[OperatingPoint, ...]
    chosen: OperatingPoint


def evaluate(folder: Path, data: str) -> Report:
    """Judge a trained model on a data set's test split and write the report beside the model.

    Writes evaluation.json, .txt, .png (miss rate against false accepts) and .html.

    Raises:
        TrainingError: no trained model.
        DatasetError: the data set is incomplete or of another rate or other labels.
    """
    card, detector, stored = open_judged(folder, data)
    judging = Evaluation.model_validate(card["evaluation"])
    counting = {"debounce_s": judging.debounce_s, "hit_window_s": judging.hit_window_s}
    validation = score_split(detector, stored, "validation")
    chosen = choose_point(
        sweep(validation, detector.labels, **counting), judging.max_false_accepts_per_hour
    )
    recordings = score_split(detector, stored, "test")
    points = sweep(recordings, detector.labels, **counting)
    report = judge(recordings, detector.labels, chosen.threshold, judging, points)
    window = LabelWindow.model_validate(card["training"]["label_window"])
    values = report.values | {
        "chosen_on": "validation",
        "judged_on": "test",
        "validation": _numbers(chosen),
        "frames": frame_accuracy(recordings, detector, window, chosen.threshold),
    }
    values |= origin(card, stored)
    picture = det_curve(points, report.chosen, f"{card['name']}: test split")
    write_report(folder, card["name"], values, report_text(values), picture)
    return Report(values, points, report.chosen)


def open_judged(folder: Path, data: str) -> tuple[dict[str, Any], Detector, StoredDataset]:
    """Return a trained model's card, the model, and the data set that fits it.

    Raises:
        TrainingError: no trained model.
        DatasetError: the data set is incomplete or of another rate or other labels.
    """
    card = read_card(folder)
    detector = Detector.load(folder)
    stored = read_dataset(data)
    if (stored.sample_rate_hz, stored.labels) != (detector.sample_rate_hz, detector.labels):
        raise DatasetError(
            f"{data} has {stored.sample_rate_hz} Hz and labels {', '.join(stored.labels)}",
            expected=f"{detector.sample_rate_hz} Hz and {', '.join(detector.labels)}, as the model",
        )
    return card, detector, stored


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
    folder: Path, name: str, values: dict[str, Any], text: str, picture: bytes
) -> None:
    """Write evaluation.txt, .png, .html and .json into a model's folder."""
    (folder / "evaluation.txt").write_text(text, encoding="utf-8")
    (folder / "evaluation.png").write_bytes(picture)
    (folder / "evaluation.html").write_text(report_page(name, text, [picture]), encoding="utf-8")
    write_json(folder / REPORT_NAME, values)  # last: it says that the others are of this model


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
    point = operating_point(
        recordings,
        labels,
        threshold=threshold,
        debounce_s=judging.debounce_s,
        hit_window_s=judging.hit_window_s,
    )
    matched = []
    for recording in recordings:
        detections = detect_events(
            recording, labels, threshold=threshold, debounce_s=judging.debounce_s
        )
        found = match_events(detections, recording.events, hit_window_s=judging.hit_window_s)
        matched.append((recording, found))
    delays = [d.time_s - event.offset_s for _, m in matched for event, d in m.hits]
    keywords = [e for r in recordings for e in r.events if e.kind == "keyword"]
    values = _numbers(point) | {
        "num_takes": len({e.source for e in keywords if e.source}),
        "miss_interval": _miss_interval(point, matched),
        "num_other_events": sum(e.kind != "keyword" for r in recordings for e in r.events),
        "threshold": threshold,
        "counting": {"debounce_s": judging.debounce_s, "hit_window_s": judging.hit_window_s},
        "time_to_detect_s": _percentiles(delays),
        "time_since_onset_s": _percentiles(
            [d.time_s - e.onset_s for _, m in matched for e, d in m.hits]
        ),
        "misses_by_snr_db": _by_snr(matched),
        "false_accepts_by_source": _by_source(matched),
        "worst_misses": [
            {"recording": r.name, "offset_s": round(e.offset_s, 3)} | _snr(e)
            for r, e in _misses(matched)[:_NUM_WORST]
        ],
        "worst_false_accepts": [
            {"recording": r.name, "time_s": round(d.time_s, 3), "score": round(d.score, 4)}
            for r, d in _false_accepts(matched)[:_NUM_WORST]
        ],
        "sweep": [_numbers(p) | {"threshold": p.threshold} for p in points],
        "hours_for_a_claim": {"0.5": 3.0 / 0.5, "0.1": 3.0 / 0.1},
    }
    return Report(values, points, point)


def report_text(values: dict[str, Any]) -> str:
    """Return the report as a table for people."""
    low, high = (100 * v for v in values["miss_interval"])
    fa_low, fa_high = values["false_accept_interval"]
    rows = [
        (
            "missed",
            f"{100 * values['miss_rate']:.1f} %",
            f"{low:.1f} … {high:.1f} %",
            f"{values['num_misses']} of {values['num_keywords']} keywords"
            + (f" ({values['num_takes']} different takes)" if values["num_takes"] else ""),
        ),
        (
            "false accepts per hour",
            f"{values['false_accepts_per_hour']:.2f}",
            f"{fa_low:.2f} … {fa_high:.2f}",
            f"{values['num_false_accepts']} in {values['hours']:.2f} h",
        ),
    ]
    lines = [f"{'':24}{'found':>9}  {'95 % interval':>17}  counted"]
    lines += [
        f"{name:24}{value:>9}  {interval:>17}  {count}" for name, value, interval, count in rows
    ]
    delay = values["time_to_detect_s"]
    if delay:
        lines.append(
            f"{'time to detect':24}{delay['median']:>7.2f} s  "
            f"{delay['p5']:>6.2f} … {delay['p95']:.2f} s  after the keyword's end"
        )
    lines.append(
        f"threshold {values['threshold']:.4f}, events counted with debounce "
        f"{values['counting']['debounce_s']:g} s and hit window "
        f"{values['counting']['hit_window_s']:g} s"
    )
    if "validation" in values:
        known = values["validation"]
        lines.append(
            f"on validation that threshold misses {100 * known['miss_rate']:.1f} % at "
            f"{known['false_accepts_per_hour']:.2f} false accepts per hour"
        )
    for row in values["misses_by_snr_db"]:
        lines.append(f"  SNR {row['snr_db']:>9} dB: {row['misses']} of {row['keywords']} missed")
    by_count = sorted(values["false_accepts_by_source"].items(), key=lambda item: (-item[1], item))
    lines += [f"  false accepts on {name}: {count}" for name, count in by_count]
    lines += _made_of(values)
    if not values["num_other_events"]:
        lines.append("there was no other speech or sound in the test: it says nothing about those")
    if values["hours"] < 6.0:
        lines.append(
            f"{values['hours']:.2f} h can't prove a rate below "
            f"{3 / max(values['hours'], 1e-9):.1f} per hour; "
            "0.5 per hour needs 6 h without an alarm, 0.1 needs 30 h"
        )
    return "\n".join(lines) + "\n"


def headline(values: dict[str, Any]) -> str:
    """Return the result in a few words."""
    return (
        f"{100 * values['miss_rate']:.1f} % missed, "
        f"{values['false_accepts_per_hour']:.2f} false accepts/h on test"
    )


def origin_text(values: dict[str, Any]) -> list[str]:
    """Return lines on what was judged: network, versions, data."""
    network = values["network"]
    cost = network["multiply_adds_per_second"]
    return [
        f"network {network['family']}: {network['parameters']:,} parameters"
        + (f", {cost / 1e6:.1f} million multiply-adds/s" if cost else ""),
        f"data set {values['dataset'][:16]}, made with "
        + ", ".join(f"{name} {version}" for name, version in values["software"].items()),
    ]


def _made_of(values: dict[str, Any]) -> list[str]:
    """What was judged, where a trained model was; steps right last."""
    if "network" not in values:
        return []
    lines, frames = origin_text(values), values["frames"]
    if frames["num_steps"]:
        lines.append(
            f"{100 * frames['accuracy']:.1f} % of all steps are right; a detector that never fires "
            f"gets {100 * frames['accuracy_of_silence']:.1f} %"
        )
    return lines


def _numbers(point: OperatingPoint) -> dict[str, Any]:
    return asdict(point) | {
        "miss_rate": point.miss_rate,
        "miss_interval": point.miss_interval,
        "false_accepts_per_hour": point.false_accepts_per_hour,
        "false_accept_interval": point.false_accept_interval,
    }


def _miss_interval(point: OperatingPoint, matched: Matched) -> tuple[float, float]:
    """By takes, which a scene's events name; a recording's labels don't."""
    takes: dict[str, list[int]] = {}
    for _, found in matched:
        for event in (*(event for event, _ in found.hits), *found.misses):
            takes.setdefault(event.source, [0, 0])[1] += 1
        for event in found.misses:
            takes[event.source][0] += 1
    if not takes or "" in takes:
        return point.miss_interval
    return wilson_by_group([(missed, trials) for missed, trials in takes.values()])


def _percentiles(delays: Sequence[float]) -> dict[str, float]:
    if not delays:
        return {}
    p5, median, p95 = np.percentile(delays, [5, 50, 95]).round(4).tolist()
    return {"p5": p5, "median": median, "p95": p95}


Matched = Sequence[tuple[ScoredRecording, Matching]]


def _by_snr(matched: Matched) -> list[dict[str, Any]]:
    rows = []
    for low, high in zip(_SNR_EDGES_DB, _SNR_EDGES_DB[1:], strict=False):
        hit = sum(low <= e.snr_db < high for _, m in matched for e, _ in m.hits)
        missed = sum(low <= e.snr_db < high for _, m in matched for e in m.misses)
        name = f"< {high:g}" if low < -1e8 else f"≥ {low:g}" if high > 1e8 else f"{low:g}–{high:g}"
        if hit + missed:
            rows.append({"snr_db": name, "keywords": hit + missed, "misses": missed})
    return rows


def _by_source(matched: Matched) -> dict[str, int]:
    """False accepts by the folder of what sounded then or up to half a second before."""
    counts: Counter[str] = Counter()
    for recording, found in matched:
        for detection in found.false_accepts:
            near = [
                e for e in recording.events if e.onset_s <= detection.time_s <= e.offset_s + 0.5
            ]
            named = "/".join(near[-1].source.split("/")[:2]) if near else "background alone"
            counts[named or "an event"] += 1
    return dict(counts.most_common())


def _snr(event: ReferenceEvent) -> dict[str, float]:
    """Known in scenes, not in recordings: left out there, as JSON has no NaN."""
    return {"snr_db": round(event.snr_db, 2)} if np.isfinite(event.snr_db) else {}


def _misses(matched: Matched) -> list[tuple[ScoredRecording, ReferenceEvent]]:
    rows = [(r, e) for r, m in matched for e in m.misses]
    return sorted(rows, key=lambda row: (-np.nan_to_num(row[1].snr_db), row[0].name))


def _false_accepts(matched: Matched) -> list[tuple[ScoredRecording, Detection]]:
    rows = [(r, d) for r, m in matched for d in m.false_accepts]
    return sorted(rows, key=lambda row: (-row[1].score, row[0].name))
