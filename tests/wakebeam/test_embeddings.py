"""The task `embeddings` as docs/embeddings.md types it: shards, model, judgement and export."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path

from tests.audio_factory import burst, write
from tests.wakebeam.conftest import Workplace, typed_on

RECIPE = """
schema: 1
task: embeddings
name: high
seed: 3
data:
  material: [{path: sounds, positive_pattern: /high/, source_pattern: '([a-z]+\\d+)_'}]
  splits: {train: 0.6, validation: 0.2, test: 0.2}
model: {units: 8}
training: {batch_size: 32, epochs: 6, learning_rate: 0.01, positive_weight: balanced}
"""


def test_from_sound_to_an_exported_classifier(tmp_path: Path) -> None:
    begin, *commands = typed_on("embeddings.md")
    synth, train, evaluate, export = (shlex.split(c, comments=True)[1:] for c in commands)
    (tmp_path / "recipes").symlink_to(Path(__file__).parents[2] / "recipes")
    subprocess.run(begin, shell=True, check=True, cwd=tmp_path)
    assert "task: embeddings" in (tmp_path / "w" / "recipe.yaml").read_text()
    for i in range(90):
        kind, hz = ("high", 2500) if i % 3 == 0 else ("low", 500)
        sound = burst(before_s=0.8, after_s=1.2, hz=hz + 10 * i, seed=i, noise=0.01)
        write(tmp_path / "w" / "sounds" / kind / f"take{i // 2}_{i}.wav", sound)
    (tmp_path / "w" / "recipe.yaml").write_text(RECIPE)
    place = Workplace(tmp_path)
    made = place(*synth).stdout
    assert "identity" in made
    assert "positive" in made
    assert json.loads(place("verify", "w/data", "--deep", "--json").stdout)["decoded"] == 90
    assert json.loads(place("synth", "w", "--json").stdout)["shards_reused"] == 3
    changed = place("train", "w", "--set", "data.hop_s=1.0", code=1)
    assert "made from another recipe" in changed.stderr
    assert "Traceback" not in changed.stderr
    assert "epochs" in place(*train).stdout
    values = json.loads(place(*evaluate, "--json").stdout)
    accuracy = values["accuracy"]
    assert values["judged_on"] == "test"
    assert accuracy["interval"][0] > values["base_rate"]["share"] - 0.1
    assert values["average_precision"] > 0.9
    text = (tmp_path / "w" / "model" / "evaluation.txt").read_text()
    assert f"{accuracy['count']} of {accuracy['total']}" in text
    assert "largest difference" in place(*export).stdout
    assert (tmp_path / "w" / "export" / "saved_model.pb").exists()
