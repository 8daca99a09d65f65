"""R30: no frame accuracy without that of a detector that never fires."""

from __future__ import annotations

import numpy as np
import pytest

from models.detector import Detector
from models.frame_accuracy import frame_accuracy
from models.report_text import _made_of
from schemas.detection import ReferenceEvent, ScoredRecording
from schemas.recipe import LabelWindow, Specgram, TriggerGru

EXERCISE = LabelWindow(rule="exercise")


@pytest.fixture(scope="module")
def detector() -> Detector:
    config = TriggerGru(filters=4, units=4)
    return Detector(Specgram(), config, sample_rate_hz=44100, labels=("activate",))


def _recording(detector: Detector, *, keywords: int, fires: slice = slice(0)) -> ScoredRecording:
    scores = np.zeros((1375, 1), np.float32)
    scores[fires] = 1.0
    events = [ReferenceEvent(2.0 * i, 2.0 * i + 1.0, "activate") for i in range(keywords)]
    events.append(ReferenceEvent(9.0, 9.5, "speech", "speech"))
    return ScoredRecording("one", 10.0, detector.times_s(441_000), scores, tuple(events))


def test_R30_a_silent_detector_is_right_nine_times_in_ten(detector) -> None:
    silent = [_recording(detector, keywords=n) for n in range(5)]
    found = frame_accuracy(silent, detector, EXERCISE, 0.5)
    assert found["accuracy"] == found["accuracy_of_silence"] == 1 - 2 * 50 / 1375
    assert found["accuracy_of_silence"] == pytest.approx(0.927, abs=0.001)
    assert found["num_steps"] == 5 * 1375


def test_R30_the_right_answer_is_better_by_what_it_fires(detector) -> None:
    run = slice(138, 188)  # after a keyword whose last millisecond is 999
    found = frame_accuracy([_recording(detector, keywords=1, fires=run)], detector, EXERCISE, 0.5)
    assert found["accuracy"] == 1.0
    assert found["accuracy_of_silence"] == pytest.approx(1 - 50 / 1375)


def test_R30_steps_that_do_not_matter_are_not_counted(detector) -> None:
    found = frame_accuracy([_recording(detector, keywords=1)], detector, LabelWindow(), 0.5)
    assert 1250 < found["num_steps"] < 1375


def test_R30_and_R49_text_names_both_and_what_was_judged() -> None:
    frames = {"accuracy": 0.95, "accuracy_of_silence": 0.927, "num_steps": 9}
    network = {"family": "trigger_gru", "parameters": 523_329, "multiply_adds_per_second": 71.8e6}
    software = {"tensorflow": "2.17.1", "tf-keras": "2.17.0"}
    values = {"network": network, "frames": frames, "software": software, "dataset": "ab" * 32}
    assert _made_of(values) == [
        "network trigger_gru: 523,329 parameters, 71.8 million multiply-adds/s",
        "data set abababababababab, made with tensorflow 2.17.1, tf-keras 2.17.0",
        "95.0 % of all steps are right; a detector that never fires gets 92.7 %",
    ]
    assert _made_of({}) == []
