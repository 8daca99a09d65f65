"""The task `commands` as a user goes it: train, evaluate, export; real processes, real files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import yaml

from models.commands_evaluation import load_judged_clips
from pipeline.recipe_file import load_any_recipe
from schemas.errors import DatasetError, RecipeError
from schemas.recipe_commands import CommandsRecipe
from tests.audio_factory import write
from tests.clip_factory import melody, speech_commands
from tests.wakebeam.conftest import Workplace
from wakebeam.tasks import task_verb

TRAINING = ("alma", "bert", "emil", "fred")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Workplace:
    folder = tmp_path_factory.mktemp("commands in a folder")
    speech_commands(folder / "clips", takes=6)
    (folder / "clips/go/alma_nohash_99.wav").write_bytes(b"RIFF")
    recipe = {
        "schema": 1,
        "task": "commands",
        "name": "three words",
        "clips": {"path": "../clips", "speaker_pattern": "([a-z]+)_nohash_"},
        "splits": {
            "keep": {"cleo": "test", "dora": "validation"} | dict.fromkeys(TRAINING, "train")
        },
        "features": {"level": "loudest_frame", "scale": "log", "num_mels": 16},
        "model": {"image_size": 16, "filters": [8, 8], "units": 16, "dropout": [0, 0]},
        "augmentation": {"speed": [0.9, 1.1]},
        "training": {"epochs": 5, "batch_size": 8, "learning_rate": 0.003},
    }
    (folder / "w").mkdir()
    (folder / "w/recipe.yaml").write_text(yaml.safe_dump(recipe))
    place = Workplace(folder)
    done = place("train", "w")
    assert "1 files rejected" in done.stderr
    assert "go/alma_nohash_99.wav: not readable" in done.stderr
    return place


def test_R60_R66_R71_evaluation_judges_unseen_speakers_with_intervals(place) -> None:
    values = json.loads(place("evaluate", "w/model", "--json").stdout)
    speakers = {split: set(names) for split, names in values["speakers"].items()}
    assert speakers == {"train": set(TRAINING), "validation": {"dora"}, "test": {"cleo"}}
    counts, found = np.array(values["confusion"]["counts"]), values["accuracy"]
    assert counts.sum() == found["total"] == 3 * 6
    assert np.trace(counts) == found["count"]
    assert found["share"] >= 0.8, "melodies of an unseen speaker are easy to tell apart"
    assert found["interval"][0] < found["share"] <= found["interval"][1]
    model = place.folder / "w/model"
    assert json.loads((model / "evaluation.json").read_text()) == values
    text = (model / "evaluation.txt").read_text()
    for name in ("unseen speakers: cleo", "one voice", "interval", "alma_nohash_99"):
        assert name in text
    assert (model / "evaluation.png").read_bytes()[:4] == b"\x89PNG"


def test_R64_R70_export_bears_the_names_and_reads_files(place) -> None:
    done = task_verb("commands", "export")(place.folder / "w/model", place.folder / "w/export")
    assert "4 signatures" in done
    metadata = json.loads((place.folder / "w/export/metadata.json").read_text())
    assert metadata["class_names"] == ["down", "go", "up"]
    assert max(metadata["largest_difference"].values()) < 1e-4
    assert sorted(p.name for p in (place.folder / "w").iterdir() if p.name[0] != ".") == [
        "export", "model", "recipe.yaml",
    ]  # fmt: skip
    loaded = tf.saved_model.load(str(place.folder / "w/export/saved_model"))
    x = melody("up", "cleo", 70, rate=48000)
    path = write(place.folder / "new.wav", x, 48000)
    answer = loaded.signatures["file"](path=tf.constant(str(path)))
    assert answer["class_names"].numpy().tolist() == [b"up"]


def test_there_is_nothing_to_synth(place) -> None:
    refused = place("synth", "w", code=2).stderr
    assert "nothing to synth" in refused
    assert "wakebeam train" in refused


def test_changed_clips_are_not_judged_with_an_old_model(place) -> None:
    added = place.folder / "clips/go/zoe_nohash_0.wav"
    write(added, melody("go", "alma", 8))
    with pytest.raises(DatasetError, match="has changed since"):
        load_judged_clips(place.folder / "w/model")
    added.unlink()
    load_judged_clips(place.folder / "w/model")


@pytest.mark.parametrize("name", ["commands", "digits", "digits-robust"])
def test_recipes_of_the_task_are_valid(name) -> None:
    recipe = load_any_recipe(ROOT / "recipes" / f"{name}.yaml")
    assert isinstance(recipe, CommandsRecipe)


@pytest.mark.parametrize(
    ("override", "part"),
    [
        ("clips.label_pattern=abc", "needs a group"),
        ("clips.clip_s=0.001", "shorter than a frame"),
        ("augmentation.speed=[1.2, 0.8]", "upside down"),
        ("augmentation.sped=[0.8, 1.2]", "did you mean 'speed'"),
        ("model.dropout=[0.5, 1.0]", "dropout"),
        ("features={num_mels: 40, high_hz: 9000}", "half the sample rate"),
    ],
)
def test_a_wrong_recipe_says_what_is_wrong(override, part) -> None:
    with pytest.raises(RecipeError, match=part):
        load_any_recipe(ROOT / "recipes/commands.yaml", [override])
