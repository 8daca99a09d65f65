"""The classic exercise's nine real takes, from recipe to the two real recordings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import soundfile

from tests.wakebeam.conftest import Workplace

ROOT = Path(__file__).parents[2]
TAKES = ROOT.parent / "shared/data/activate_10s"
ACTIVATES = {"1.wav": [(1.90, 2.59)], "2.wav": [(1.57, 2.35), (4.19, 4.89)]}
"""When "activate" is spoken, seconds: heard by people, and by an independent recogniser."""
SETTINGS = (  # the recipe's network hears as well, after a quarter of an hour
    "sample_rate_hz=16000",
    "features={family: log_mel}",
    "model={family: stream_tcn}",
    "material.keyword_parts=false",
    "dataset.num_examples={train: 1600, validation: 160, test: 160}",
    "training={epochs: 5, batch_size: 16, augmentation: {gain_db: [-12, 6], masks: {}}}",
)


@pytest.mark.skipif(not TAKES.exists(), reason=f"the recordings are not there: {TAKES}")
def test_R37_the_activates_of_the_two_real_recordings_are_found(tmp_path) -> None:
    text = (ROOT / "recipes/activate_10s.yaml").read_text(encoding="utf-8")
    (tmp_path / "w").mkdir()
    there = str(TAKES.resolve())
    recipe = text.replace("../../shared/data/activate_10s", there)
    (tmp_path / "w/recipe.yaml").write_text(recipe, encoding="utf-8")
    place = Workplace(tmp_path)
    place("run", "w", *(word for setting in SETTINGS for word in ("--set", setting)))
    words = ("detect", "--model", "w/export", "--chime", "chimed", "--json")
    lines = place(*words, TAKES / "dev").stdout.splitlines()
    found = [json.loads(line) for line in lines]
    for name, spoken in ACTIVATES.items():
        times_s = [each["time_s"] for each in found if Path(each["file"]).name == name]
        for onset_s, offset_s in spoken:
            assert any(onset_s <= time_s <= offset_s + 0.5 for time_s in times_s), (name, times_s)
        chimed, _ = soundfile.read(tmp_path / "chimed" / name)
        original, _ = soundfile.read(TAKES / "dev" / name)
        assert len(chimed) >= len(original)
    assert len(found) <= 6, "three and at most three that are none"
