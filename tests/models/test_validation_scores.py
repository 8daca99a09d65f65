"""What a training leaves of an epoch's scores: read back as it was, an hour of it, or refused."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from models.validation_scores import SCORES_NAME, ValidationScores
from schemas.detection import ReferenceEvent, ScoredRecording
from schemas.errors import DatasetError

RULE = {"debounce_s": 0.5, "hit_window_s": 0.3, "patience": 1}
TIMES_S = np.arange(1, 101) / 10


def _scores(num_scenes: int) -> ValidationScores:
    """Scenes of 10 s: the keyword at 2 s is found; every other one has a false accept too."""
    scenes = []
    for i in range(num_scenes):
        scores = np.full((100, 1), 0.00005, np.float32)
        scores[22] = 0.99995
        scores[80] = 0.99993 if i % 2 else 0.9998
        events = (
            ReferenceEvent(2.0, 2.3, "kw", snr_db=6.0, source="kw/<b>.wav"),
            ReferenceEvent(7.0, 7.5, "other", "negative", math.nan),
        )
        scenes.append(ScoredRecording(f"validation/{i}", 10.0, TIMES_S, scores, events))
    return ValidationScores(("kw",), 0.9999, RULE, scenes, "a split", num_scenes)


def test_scores_come_back_as_they_were(tmp_path: Path) -> None:
    assert ValidationScores.read(tmp_path) is None
    made = _scores(4)
    made.save(tmp_path)
    found = ValidationScores.read(tmp_path)
    assert (found.labels, found.threshold, found.rule) == (("kw",), 0.9999, RULE)
    for one, other in zip(found.recordings, made.recordings, strict=True):
        np.testing.assert_array_equal(one.scores, other.scores)
        assert repr(one.events) == repr(other.events)
    counted = [(len(m.hits), len(m.misses), len(m.false_accepts)) for m in found.count()]
    assert counted == [(1, 0, 0), (1, 0, 1)] * 2, "as finely as thresholds near one need"
    _scores(2).save(tmp_path)
    assert len(ValidationScores.read(tmp_path).recordings) == 2
    assert [path.name for path in tmp_path.iterdir()] == [SCORES_NAME]


def test_an_hour_is_kept(tmp_path: Path) -> None:
    _scores(500).save(tmp_path)
    found = ValidationScores.read(tmp_path)
    assert (len(found.recordings), found.num_scenes, found.split) == (360, 500, "a split")


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    _scores(2).save(tmp_path)
    whole = (tmp_path / SCORES_NAME).read_bytes()
    for content in (b"", b"no archive", whole[: len(whole) // 2], whole[:-30]):
        (tmp_path / SCORES_NAME).write_bytes(content)
        with pytest.raises(DatasetError, match=SCORES_NAME):
            ValidationScores.read(tmp_path)
    pickled = np.array([{"a": 1}], dtype=object)
    np.savez(tmp_path / SCORES_NAME, scores=pickled, times_s=TIMES_S, about="{}")
    with pytest.raises(DatasetError, match=SCORES_NAME):
        ValidationScores.read(tmp_path)
