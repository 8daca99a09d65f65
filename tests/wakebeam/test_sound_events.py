"""Sound events through the command line: a tiny fit of two classes, its report, its export."""

from __future__ import annotations

import json

import numpy as np
import pytest

from models.export_checks import PARITY_TOLERANCE
from pipeline.audio_file import read_audio
from tests.audio_factory import material, write
from tests.wakebeam.conftest import Workplace

RECIPE = """
schema: 1
name: chirps
seed: 7
material:
  keyword: [{path: ../kw, label: rising}, {path: ../other, label: falling}]
  background: [{path: ../noise}]
splits: {train: 0.6, validation: 0.2, test: 0.2}
scene: {duration_s: 4.0, num_keywords: [1, 3], num_negatives: [0, 0], polyphony: 2,
        snr_db: [15, 25], on_infeasible: condition}
dataset: {num_examples: {train: 96, validation: 24, test: 24}}
model: {family: sed_crnn, filters: 8, units: 24, dropout: 0.0}
training:
  epochs: 12
  batch_size: 8
  learning_rate: 0.01
  positive_weight: 1.0
  label_window: {rule: event, delay_s: 0.12, ignore_fraction: 1.0, ignore_after_s: 0.0}
evaluation: {measure: sound_events, medians_s: [0.04, 0.12], min_duration_s: 0.1}
"""


@pytest.fixture(scope="module")
def fitted(tmp_path_factory) -> Workplace:
    folder = tmp_path_factory.mktemp("sounds")
    material(folder, keywords=24, negatives=24, backgrounds=10)
    (folder / "w").mkdir()
    (folder / "w/recipe.yaml").write_text(RECIPE)
    place = Workplace(folder)
    place("run", "w")
    return place


def test_run_finds_chirps_with_their_ends(fitted) -> None:
    report = json.loads((fitted.folder / "w/model/evaluation.json").read_text())
    assert report["measure"] == "sound_events"
    assert report["macro_f1"] > 0.5
    assert report["psds"] > 0.3
    classes = report["classes"]
    assert list(classes) == ["falling", "rising"]
    assert sum(row["num_reference"] for row in classes.values()) > 24
    assert report["micro"]["num_matches"] == sum(row["num_matches"] for row in classes.values())
    history = json.loads((fitted.folder / "w/model/history.json").read_text())["epochs"]
    assert max(row["macro_f1"] for row in history) == report["validation"]["macro_f1"]
    text = (fitted.folder / "w/model/evaluation.txt").read_text()
    assert "mean (macro)" in text and "PSDS" in text and "cttc 0.3" in text
    for kind in ("png", "html"):
        assert (fitted.folder / f"w/model/evaluation.{kind}").stat().st_size > 100


def test_a_second_run_does_nothing(fitted) -> None:
    done = fitted("run", "w")
    stages = [line.split()[:2] for line in done.stderr.splitlines()]
    for name in ("synth", "train", "evaluate", "export"):
        assert [name, "current"] in stages


def test_the_export_tells_onset_and_offset(fitted) -> None:
    metadata = json.loads((fitted.folder / "w/export/metadata.json").read_text())
    assert metadata["parity"]["stream_float32"] <= PARITY_TOLERANCE
    assert metadata["int8"]["events"]["float32"]["num_matches"] > 0
    assert metadata["rule"]["delay_s"] == 0.12
    chirp = read_audio(fitted.folder / "kw/3.wav")[0][:, 0]
    silence = np.random.default_rng(0).standard_normal(24_000) * 0.01
    write(fitted.folder / "x.wav", np.concatenate([silence, chirp, silence]))
    lines = fitted("detect", "--model", "w/export", "--json", "x.wav").stdout.splitlines()
    found = [json.loads(line) for line in lines]
    assert all(row.keys() == {"file", "label", "offset_s", "onset_s", "score"} for row in found)
    begin_s = (24_000 + 3_000) / 16_000
    end_s = (24_000 + len(chirp) - 3_000) / 16_000
    assert any(
        row["label"] == "rising"
        and abs(row["onset_s"] - begin_s) < 0.2
        and abs(row["offset_s"] - end_s) < 0.25
        for row in found
    )


def test_what_counts_keywords_refuses_sound_events(fitted) -> None:
    write(fitted.folder / "y.wav", np.zeros(16_000))
    for words in (
        ["mine", "--model", "w/export", "y.wav", "--out", "hard"],
        ["retrain", "w", "--since", "w/model"],
    ):
        done = fitted(*words, code=2)
        assert "keywords" in done.stderr
        assert "Traceback" not in done.stderr
