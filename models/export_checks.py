"""What an export must hold to before anybody sees it.

All floating-point forms give the trained model's scores on test scenes to 1e-4, or nothing is
written. The integer form may differ in score, but not in what users count: with the float model's
threshold it must miss no more, and alarm no more, on the validation split than the intervals of the
float model's own figures allow. Else that form is left out, and the reason is kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from models.detector import Detector
from models.evaluation import RATES, judge
from models.event_f1 import micro
from models.intervals import wilson
from models.saved_detector import saved_scores
from models.sound_event_judging import count, numbers
from models.sound_events import EventRule
from models.step_model import StepModel
from models.streaming import StreamingDetector
from pipeline.input_dataset import judged_examples
from schemas.detection import ScoredRecording
from schemas.errors import ParityError
from schemas.recipe import Collars, Evaluation
from schemas.stored_dataset import StoredDataset

PARITY_TOLERANCE = 1e-4
_MOST_HOURS = 2.0
_BATCH = 16


def check_parity(
    detector: Detector, saved_model: Path, streams: Iterable[StepModel], audio: np.ndarray
) -> dict[str, float]:
    """Compare the floating-point forms with the trained detector.

    Args:
        detector: the original.
        saved_model: its SavedModel.
        streams: its streaming forms.
        audio: (recordings, num_samples) float32, of whole 16-bit values.

    Returns:
        {form: largest difference in score}.

    Raises:
        ParityError: one differs by more than 1e-4.
    """
    offline = np.asarray(detector.scores(tf.constant(audio)))
    found = {
        f"saved_model {signature}": scores
        for signature, scores in saved_scores(detector, saved_model, audio).items()
    }
    found |= {f"stream_{model.form}": stream_scores(model, audio) for model in streams}
    differences = {
        form: float(np.abs(scores - offline[:, : scores.shape[1]]).max())
        for form, scores in found.items()
    }
    for form, difference in differences.items():
        if not difference <= PARITY_TOLERANCE:
            raise ParityError(
                f"{form} differs from the trained model by {difference:.2g} in score",
                expected=f"at most {PARITY_TOLERANCE:g}",
                fix="this is a defect of wakebeam; please report it with the model's card",
            )
    return differences


def check_int8(
    detector: Detector, folder: Path, stored: StoredDataset, metadata: dict[str, Any]
) -> tuple[str, dict[str, Any]]:
    """Count the events of both forms on the validation split, two hours of it at most.

    Args:
        detector: what they were made of.
        folder: the export.
        stored: the data set.
        metadata: with the rule and the threshold.

    Returns:
        Why the integer form must not be used, empty if nothing is wrong; and the figures.
    """
    models = [StepModel(folder, form) for form in ("float32", "int8")]
    recordings: dict[str, list[ScoredRecording]] = {model.form: [] for model in models}
    times_s = detector.times_s(stored.example_samples)
    duration_s = stored.example_samples / stored.sample_rate_hz
    most = max(1, int(_MOST_HOURS * 3600 / duration_s))
    for ids, audio, events in judged_examples(stored, split="validation", batch_size=_BATCH):
        for model in models:
            scores = stream_scores(model, np.asarray(audio))
            recordings[model.form] += [
                ScoredRecording(name, duration_s, times_s, one, found)
                for name, one, found in zip(ids, scores, events, strict=True)
            ]
        if len(recordings["int8"]) >= most:
            break
    if metadata.get("measure") == "sound_events":
        return _sound_events_differ(recordings, detector.labels, metadata["rule"])
    return _keywords_differ(recordings, detector.labels, metadata)


def stream_scores(model: StepModel, audio: np.ndarray) -> np.ndarray:
    """Score (recordings, num_samples) by an export's streaming step, each from a new stream."""
    stream = StreamingDetector(model)
    rows = []
    for recording in audio:
        stream.reset()
        rows.append(np.concatenate([stream.process(recording).scores, stream.finish().scores]))
    return np.stack(rows)


def _keywords_differ(
    recordings: dict[str, list[ScoredRecording]],
    labels: tuple[str, ...],
    metadata: dict[str, Any],
) -> tuple[str, dict[str, Any]]:
    counting = {key: metadata[key] for key in ("debounce_s", "hit_window_s", "patience")}
    judging = Evaluation(**counting)
    values = {
        form: judge(scored, labels, metadata["threshold"], judging).values
        for form, scored in recordings.items()
    }
    wanted, got = values["float32"], values["int8"]
    figures = {form: {name: of[name] for name in RATES} for form, of in values.items()}
    bounds = (
        ("misses", "miss_rate", "miss_interval", 100.0, " %"),
        ("false accepts", "false_accepts_per_hour", "false_accept_interval", 1.0, "/h"),
    )
    said = [
        f"{what} {got[rate] * scale:.1f}{unit}, float32 {wanted[rate] * scale:.1f}{unit} "
        f"(up to {wanted[interval][1] * scale:.1f})"
        for what, rate, interval, scale, unit in bounds
        if got[rate] > wanted[interval][1]
    ]
    return "; ".join(said), figures


def _sound_events_differ(
    recordings: dict[str, list[ScoredRecording]], labels: tuple[str, ...], rule: dict[str, Any]
) -> tuple[str, dict[str, Any]]:
    how = EventRule.of(labels, rule)
    counts = {
        form: micro(count(scored, how, Collars()).values()) for form, scored in recordings.items()
    }
    wanted, got = counts["float32"], counts["int8"]
    bounds = (
        ("recall", got.recall, wanted.recall, wilson(wanted.num_matches, wanted.num_reference)[0]),
        (
            "precision",
            got.precision,
            wanted.precision,
            wilson(wanted.num_matches, wanted.num_found)[0],
        ),
    )
    said = [
        f"{what} {100 * ours:.1f} %, float32 {100 * theirs:.1f} % (down to {100 * least:.1f})"
        for what, ours, theirs, least in bounds
        if ours < least
    ]
    return "; ".join(said), {form: numbers(of) for form, of in counts.items()}
