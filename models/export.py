"""Export: one folder with everything that a detector needs, checked before it is visible.

    saved_model/            waveform in, scores and times out, preprocessing inside, any length
    stream_float32.tflite   one streaming step with explicit state
    stream_int8.tflite      the same, weights and activations in int8 where LiteRT has kernels
    metadata.json           labels, rate, threshold and what it was measured to do, origins

Offline, SavedModel and float stream must agree to 1e-4 on test scenes, or nothing is written.
The int8 model's difference in score and in detections is measured and recorded.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from models.detector import Detector
from models.evaluation import REPORT_NAME
from models.event_matching import detect_events
from models.export_folder import METADATA_NAME, publish, require_replaceable
from models.model_files import read_card, write_json
from models.quiet import quiet_stderr
from models.sound_events import EventRule, find_events
from models.step_model import MODEL_NAME, StepModel
from models.streaming import StreamingDetector
from pipeline.input_dataset import judged_examples, read_dataset
from pipeline.scratch_folder import scratch_folder
from schemas.detection import ScoredRecording
from schemas.errors import ParityError, TrainingError
from schemas.stored_dataset import StoredDataset

PARITY_TOLERANCE = 1e-4
Finder = Callable[[ScoredRecording], list[tuple[str, float]]]
"""From scores to the label and the time in seconds of each event."""
INT8_NAME = "stream_int8.tflite"
SAVED_MODEL_NAME = "saved_model"
FILE_NAMES = (METADATA_NAME, MODEL_NAME, INT8_NAME, SAVED_MODEL_NAME)
"""All that an export holds."""
_MEASURED = (
    "miss_rate",
    "miss_interval",
    "num_keywords",
    "false_accepts_per_hour",
    "false_accept_interval",
    "hours",
    "time_to_detect_s",
    "time_since_onset_s",
)
_NUM_CHECKED = 8
_NUM_CALIBRATION_STEPS = 400


def export(folder: Path, out: Path, *, data: str) -> dict[str, Any]:
    """Export a trained and evaluated model.

    Args:
        folder: of the model.
        out: the export; an earlier one is replaced when the new one has passed its checks.
        data: data set whose test split is used to check, its validation split to calibrate int8.

    Returns:
        The metadata.

    Raises:
        TrainingError: no trained model, or it wasn't evaluated.
        RequestError: `out` holds something else than an export.
        ParityError: the forms disagree; `out` is as it was.
    """
    require_replaceable(out, FILE_NAMES)
    card, report = read_card(folder), _read_report(folder)
    detector = Detector.load(folder)
    stored = read_dataset(data)
    with scratch_folder(out.parent, "exporting") as scratch:
        _save_model(detector, scratch / SAVED_MODEL_NAME)
        function = _step_function(detector)
        (scratch / MODEL_NAME).write_bytes(_convert(function, detector, None))
        audio = _audio(stored, "validation")
        (scratch / INT8_NAME).write_bytes(_convert(function, detector, audio))
        metadata = _metadata(detector, card, report)
        write_json(scratch / METADATA_NAME, metadata)
        metadata["parity"] = check_parity(
            detector, scratch, _audio(stored, "test"), _finder(detector, report)
        )
        write_json(scratch / METADATA_NAME, metadata)
        publish(scratch, out, FILE_NAMES)
        return metadata


def write_step(detector: Detector, folder: Path) -> None:
    """Write the float streaming step alone, with no threshold and nothing measured."""
    counting = {"debounce_s": 1.0, "hit_window_s": 1.0}
    report = dict.fromkeys(_MEASURED) | {"threshold": None, "counting": counting, "model": ""}
    _write_step(detector, folder, {"name": "untrained"}, report)


def write_stream(folder: Path, out: Path) -> None:
    """Write what StreamingDetector needs of a trained and evaluated model, and nothing else.

    Raises:
        TrainingError: no trained model, or it wasn't evaluated.
    """
    _write_step(Detector.load(folder), out, read_card(folder), _read_report(folder))


def _write_step(
    detector: Detector, folder: Path, card: dict[str, Any], report: dict[str, Any]
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MODEL_NAME).write_bytes(_convert(_step_function(detector), detector, None))
    write_json(folder / METADATA_NAME, _metadata(detector, card, report))


def check_parity(
    detector: Detector, folder: Path, audio: np.ndarray, find: Finder
) -> dict[str, Any]:
    """Compare all forms of a detector on (recordings, num_samples) float32; `find` makes events.

    Returns:
        Largest differences in score, and how many of the float model's detections int8 has too.

    Raises:
        ParityError: SavedModel or float stream differ from offline by more than 1e-4.
    """
    offline = np.asarray(detector.scores(tf.constant(audio)))
    saved = tf.saved_model.load(str(folder / SAVED_MODEL_NAME))
    from_saved = saved.signatures["serving_default"](waveform=tf.constant(audio))["scores"].numpy()
    streams = {name: _stream_scores(folder, name, audio) for name in (MODEL_NAME, INT8_NAME)}
    differences = {
        "saved_model": float(np.abs(from_saved - offline).max()),
        "stream_float32": float(np.abs(streams[MODEL_NAME] - offline).max()),
    }
    for name, difference in differences.items():
        if not difference <= PARITY_TOLERANCE:
            raise ParityError(
                f"{name} differs from the trained model by {difference:.2g} in score",
                expected=f"at most {PARITY_TOLERANCE:g}",
                fix="this is a defect of wakebeam; please report it with the model's card",
            )
    agree, total = _agreement(detector, streams, find, audio.shape[1])
    return differences | {
        "stream_int8": float(np.abs(streams[INT8_NAME] - offline).max()),
        "int8_detections_agreeing": agree,
        "float_detections": total,
    }


def _read_report(folder: Path) -> dict[str, Any]:
    path = folder / REPORT_NAME
    if not path.exists():
        raise TrainingError(
            f"{folder} has no {REPORT_NAME}, so its threshold is not known",
            fix="run `wakebeam evaluate MODEL --dataset DATA` first",
        )
    return json.loads(path.read_text(encoding="utf-8"))


def _save_model(detector: Detector, path: Path) -> None:
    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.float32, name="waveform")])
    def serve(waveform: tf.Tensor) -> dict[str, tf.Tensor]:
        scores = detector.scores(waveform)
        ends = tf.range(1, tf.shape(scores)[1] + 1) * detector.hop_samples
        times_s = tf.cast(ends + detector.warmup_samples, tf.float32) / detector.sample_rate_hz
        return {"scores": scores, "times_s": times_s}

    module = tf.Module()
    module.kept, module.serve = list(detector.network.variables), serve
    tf.saved_model.save(module, str(path), signatures={"serving_default": serve})


def _step_function(detector: Detector) -> Any:
    initial = detector.initial_state()
    specs = {f"state_{i}": tf.TensorSpec(s.shape, tf.float32) for i, s in enumerate(initial)}

    @tf.function
    def step(samples: tf.Tensor, **states: tf.Tensor) -> dict[str, tf.Tensor]:
        ordered = [states[f"state_{i}"] for i in range(len(initial))]
        scores, new = detector.step(samples, ordered)
        return {"scores": scores} | {f"state_{i}": tf.identity(s) for i, s in enumerate(new)}

    samples = tf.TensorSpec([1, detector.step_samples], tf.float32)
    return step.get_concrete_function(samples=samples, **specs)


def _convert(function: Any, detector: Detector, calibration: np.ndarray | None) -> bytes:
    """Convert the step; with calibration audio, to int8. A converter is used once only."""
    with tempfile.TemporaryDirectory() as folder:
        module = tf.Module()
        module.kept = list(detector.network.variables)  # what the function refers to
        tf.saved_model.save(module, folder, signatures={"step": function})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=["step"])
        if calibration is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: _calibration(detector, calibration)
        with quiet_stderr():
            return converter.convert()


def _calibration(detector: Detector, audio: np.ndarray) -> Iterator[tuple[str, dict[str, Any]]]:
    """Steps of real streams with the states that they really have."""
    step = tf.function(detector.step)
    for recording in audio[
        : max(1, _NUM_CALIBRATION_STEPS * detector.step_samples // audio.shape[1])
    ]:
        state: list[Any] = detector.initial_state()
        if detector.warmup_samples:
            state[0] = recording[None, : detector.warmup_samples]
        stop = len(recording) - detector.step_samples + 1
        for at in range(detector.warmup_samples, stop, detector.step_samples):
            samples = recording[None, at : at + detector.step_samples]
            yield (
                "step",
                {"samples": samples}
                | {f"state_{i}": np.asarray(s, np.float32) for i, s in enumerate(state)},
            )
            _, state = step(tf.constant(samples), [tf.constant(s) for s in state])


def _audio(stored: StoredDataset, split: str) -> np.ndarray:
    batch = next(judged_examples(stored, split=split, batch_size=_NUM_CHECKED))
    return batch[1].numpy()


def _metadata(detector: Detector, card: dict[str, Any], report: dict[str, Any]) -> dict[str, Any]:
    initial = detector.initial_state()
    return {
        "name": card["name"],
        "labels": list(detector.labels),
        "sample_rate_hz": detector.sample_rate_hz,
        "step_samples": detector.step_samples,
        "hop_samples": detector.hop_samples,
        "warmup_samples": detector.warmup_samples,
        "initial_values": {f"state_{i}": float(s.flat[0]) for i, s in enumerate(initial)},
        "card": card,
        "evaluation": report["model"],
    } | _judged(report)


def _judged(report: dict[str, Any]) -> dict[str, Any]:
    """How events are made of scores, and what that was measured to do."""
    if report.get("measure") == "sound_events":
        of_events = ("macro_f1", "micro", "psds", "num_recordings", "hours")
        how = {"measure": "sound_events", "rule": report["rule"]}
        return how | {"measured_on_test": {name: report[name] for name in of_events}}
    return {
        "threshold": report["threshold"],
        "debounce_s": report["counting"]["debounce_s"],
        "hit_window_s": report["counting"]["hit_window_s"],
        "patience": report["counting"].get("patience", 1),
        "measured_on_test": {name: report[name] for name in _MEASURED},
        "measured_on_validation": report.get("validation", {}),
    }


def _finder(detector: Detector, report: dict[str, Any]) -> Finder:
    """Return what finds the label and time of each event as the report did."""
    if report.get("measure") == "sound_events":
        rule = EventRule.of(detector.labels, report["rule"])
        return lambda recording: [(e.label, e.onset_s) for e in find_events(recording, rule)]
    counting = report["counting"]
    how = {
        "threshold": report["threshold"],
        "debounce_s": counting["debounce_s"],
        "patience": counting.get("patience", 1),
    }
    return lambda recording: [
        (d.label, d.time_s) for d in detect_events(recording, detector.labels, **how)
    ]


def _stream_scores(folder: Path, name: str, audio: np.ndarray) -> np.ndarray:
    stream = StreamingDetector(StepModel(folder, name))
    rows = []
    for recording in audio:
        stream.reset()
        parts = [stream.process(recording).scores, stream.finish().scores]
        rows.append(np.concatenate(parts))
    return np.stack(rows)


def _agreement(
    detector: Detector, streams: dict[str, np.ndarray], find: Finder, num_samples: int
) -> tuple[int, int]:
    times_s = detector.times_s(num_samples)
    agree = total = 0
    for ours, theirs in zip(streams[MODEL_NAME], streams[INT8_NAME], strict=True):
        wanted, found = (
            find(ScoredRecording("", times_s[-1], times_s, scores)) for scores in (ours, theirs)
        )
        total += len(wanted)
        agree += sum(
            any(label == other and abs(time_s - other_s) < 0.5 for other, other_s in found)
            for label, time_s in wanted
        )
    return agree, total


def is_whole(out: Path) -> bool:
    """Return whether all files of an export are there."""
    return all((out / name).exists() for name in FILE_NAMES)
