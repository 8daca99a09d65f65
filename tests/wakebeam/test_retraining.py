"""Retraining through the command line: scenes added, a better model promoted, a worse one not."""

from __future__ import annotations

import json
import shutil

SHORT = ("--set", "training.epochs=4")


def test_a_poor_model_is_replaced_and_a_good_one_stays(trained, tmp_path) -> None:
    shutil.copytree(trained.folder, tmp_path / "all")
    place = type(trained)(tmp_path / "all")
    shards = sorted((place.folder / "w/data").rglob("*.tfrecord"))
    before = [path.read_bytes() for path in shards]
    shutil.rmtree(place.folder / "w/model")
    poor = ("--set", "training.epochs=1", "--set", "training.learning_rate=1e-6")
    place("train", "w", *place.settings(), *poor)
    words = ("retrain", "w", "--since", "w/model", *place.settings(), *SHORT)

    found = json.loads(place(*words, "--append", "32", "--json").stdout)
    assert found["promoted"]
    assert found["new"]["miss_rate"] < found["old"]["miss_rate"]
    assert found["miss_rate_difference_interval"][1] < 0
    assert [path.read_bytes() for path in shards] == before
    card = json.loads((place.folder / "w/model/model.json").read_text())
    assert card["init_from"]["name"] == "model"
    kept = place.folder / found["kept"]
    assert json.loads((kept / "model.json").read_text())["epochs_trained"] == 1

    done = place(*words, "--set", "training.learning_rate=1e-7")
    assert "not better beyond doubt" in done.stdout
    assert "w/model stays" in done.stdout
    assert json.loads((place.folder / "w/model/model.json").read_text()) == card
    verified = json.loads(place("verify", "w/data", "--json").stdout)
    assert verified["records"] == 144 + 32
