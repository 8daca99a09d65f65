"""Export: one folder with everything that a detector needs, checked before it is visible.

    saved_model/            sound in, scores and times out (saved_detector.py)
    stream_float32.tflite   one streaming step with explicit state (step_conversion.py)
    front_end.tflite        its front end alone
    network_int8.tflite     its network alone, in integers, for microcontrollers
    stream.onnx             the step as ONNX, if asked for (onnx_form.py)
    metadata.json           labels, rate, threshold, what it was measured to do, origins
    MODEL.md                the same for people

What the forms must hold to is in export_checks.py. An integer form that doesn't is left out:
`refused` in metadata.json says why.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from models.detector import Detector
from models.evaluation import RATES, REPORT_NAME
from models.export_checks import check_int8, check_parity
from models.export_folder import METADATA_NAME, publish, require_replaceable
from models.model_card import CARD_TEXT_NAME, card_text
from models.model_files import read_card, write_json
from models.onnx_form import onnx_form
from models.saved_detector import save_detector
from models.step_conversion import IntegerError, float_forms, int8_form
from models.step_model import (
    FLOAT32_NAME,
    FRONT_END_NAME,
    INT8_NAME,
    ONNX_NAME,
    StepModel,
    quantization,
)
from pipeline.input_dataset import judged_examples, read_dataset
from pipeline.scratch_folder import scratch_folder
from schemas.errors import TrainingError
from schemas.stored_dataset import StoredDataset

SAVED_MODEL_NAME = "saved_model"
FILE_NAMES = (
    METADATA_NAME,
    CARD_TEXT_NAME,
    SAVED_MODEL_NAME,
    FLOAT32_NAME,
    FRONT_END_NAME,
    INT8_NAME,
    ONNX_NAME,
)
"""All that an export may hold."""
_MEASURED = (*RATES, "time_to_detect_s", "time_since_onset_s")
_NUM_CHECKED = 8
_NUM_CALIBRATED = 32


def export(folder: Path, out: Path, *, data: str, onnx: bool = False) -> dict[str, Any]:
    """Export a trained and evaluated model.

    Args:
        folder: of the model.
        out: the export; an earlier one is replaced when the new one has passed its checks.
        data: data set whose test split is used to check, its validation split to calibrate int8
            and to count its events.
        onnx: with an ONNX file too.

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
        save_detector(detector, scratch / SAVED_MODEL_NAME)
        for name, content in float_forms(detector).items():
            (scratch / name).write_bytes(content)
        if onnx:
            (scratch / ONNX_NAME).write_bytes(onnx_form(detector))
        metadata = _metadata(detector, card, report)
        write_json(scratch / METADATA_NAME, metadata)
        audio = _audio(stored, "test", _NUM_CHECKED)
        forms = ("float32", "onnx") if onnx else ("float32",)
        streams = [StepModel(scratch, form) for form in forms]
        saved_model = scratch / SAVED_MODEL_NAME
        metadata["parity"] = check_parity(detector, saved_model, streams, audio)
        metadata |= _add_int8(detector, scratch, stored, metadata)
        write_json(scratch / METADATA_NAME, metadata)
        measured = {
            "measured": metadata["measured_on_test"],
            "threshold": metadata.get("threshold"),
        }
        (scratch / CARD_TEXT_NAME).write_text(card_text(card | measured), encoding="utf-8")
        publish(scratch, out, FILE_NAMES)
        return metadata


def _add_int8(
    detector: Detector, folder: Path, stored: StoredDataset, metadata: dict[str, Any]
) -> dict[str, Any]:
    """Write the integer form unless it fails; return what the metadata says of it."""
    path = folder / INT8_NAME
    try:
        path.write_bytes(int8_form(detector, _audio(stored, "validation", _NUM_CALIBRATED)))
    except IntegerError as error:
        return {"refused": {INT8_NAME: f"no integer form in LiteRT: {error}"}}
    wrong, figures = check_int8(detector, folder, stored, metadata)
    if wrong:
        path.unlink()
        return {"refused": {INT8_NAME: f"on validation: {wrong}"}, "int8": {"events": figures}}
    return {"refused": {}, "int8": {"events": figures, "quantization": quantization(path)}}


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
    (folder / FLOAT32_NAME).write_bytes(float_forms(detector)[FLOAT32_NAME])
    write_json(folder / METADATA_NAME, _metadata(detector, card, report))


def _read_report(folder: Path) -> dict[str, Any]:
    path = folder / REPORT_NAME
    if not path.exists():
        raise TrainingError(
            f"{folder} has no {REPORT_NAME}, so its threshold is not known",
            fix="run `wakebeam evaluate MODEL --dataset DATA` first",
        )
    return json.loads(path.read_text(encoding="utf-8"))


def _audio(stored: StoredDataset, split: str, num_examples: int) -> np.ndarray:
    batch = next(judged_examples(stored, split=split, batch_size=num_examples))
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


def is_whole(out: Path) -> bool:
    """Return whether all that an export must hold is there: what it refused needn't be."""
    try:
        refused = json.loads((out / METADATA_NAME).read_text(encoding="utf-8"))["refused"]
    except (OSError, ValueError, LookupError, TypeError):
        return False
    return all((out / name).exists() for name in FILE_NAMES if name not in {*refused, ONNX_NAME})
