"""Retraining through the command line: scenes added, a better model promoted, a worse one not."""

from __future__ import annotations

import json
import shutil

MANY_TAKES = ("--set", "splits={train: 0.1, validation: 0.1, test: 0.8}", "--set", "seed=8")
SCENES = "dataset.num_examples={train: 1, validation: 1, test: 48}"


def _read(path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def test_a_poor_model_is_replaced_and_a_good_one_stays(trained, tmp_path) -> None:
    shutil.copytree(trained.folder, tmp_path / "all")
    place = type(trained)(tmp_path / "all")
    work = place.folder / "w"
    short = [*place.settings(), "--set", "training.epochs=4", "--set", "training.cache=copies"]
    shards = sorted((work / "data").rglob("*.tfrecord"))
    before = [path.read_bytes() for path in shards]
    shutil.rmtree(work / "model")
    poor = ("--set", "training.epochs=1", "--set", "training.learning_rate=1e-6")
    place("train", "w", *place.settings(), *poor)
    for rate, out in (("16000", "w/judge"), ("20000", "w/fast")):
        how = ("--set", SCENES, "--set", f"sample_rate_hz={rate}", *MANY_TAKES)
        place("synth", "w", *place.settings(), *how, "--out", out)

    words = ("retrain", "w", "--since", "w/model", *short, "--append", "32")
    refused = place(*words, "--test-on", "w/fast", code=1)
    assert "20000 Hz" in refused.stderr
    assert not (work / "candidate").exists(), "before anything is made"

    found = json.loads(place(*words, "--test-on", "w/judge", "--json").stdout)
    assert found["promoted"]
    assert found["new"]["miss_rate"] < found["old"]["miss_rate"]
    assert found["miss_rate_difference_interval"][1] < 0
    assert found["takes_sign_test"]["p"] < 0.05
    assert (found["looks"], found["selected_on_test"]) == (1, True)
    assert [path.read_bytes() for path in shards] == before
    assert list((work / "copies").iterdir()), "training.cache is used"
    card = _read(work / "model/model.json")
    assert card["init_from"]["name"] == "model"
    kept = place.folder / found["kept"]
    assert _read(kept / "model.json")["epochs_trained"] == 1

    done = place("run", "w", *short)
    assert "train     current" in done.stderr
    assert _read(work / "model/model.json") == card
    report, export = _read(work / "model/evaluation.json"), _read(work / "export/metadata.json")
    assert export["evaluation"] == report["model"]
    assert "selected_on_test" not in report, "it was judged on another test"
    assert "already trained" in place("train", "w", *short).stdout
    other = place("train", "w", *short, "--set", "training.epochs=3", code=1)
    assert "another recipe" in other.stderr
    assert "training.epochs: 4 → 3" in other.stderr
    judged = place("evaluate", "w/model", "--dataset", "w/judge")
    assert "chose this model by this very test split (comparison 1" in judged.stdout

    # The same weights, and the same statistics of batches: nothing can be better.
    still = ("training.learning_rate=1e-7", "training.freeze=[batch_normalization]")
    settings = [word for value in still for word in ("--set", value)]
    done = place(*words[:-2], *settings, "--test-on", "w/judge")
    assert "not better beyond doubt" in done.stdout
    assert "comparison 2 on this test split" in done.stdout
    assert "w/model stays" in done.stdout
    assert _read(work / "model/model.json") == card
    verified = json.loads(place("verify", "w/data", "--json").stdout)
    assert verified["records"] == 144 + 32


def test_thresholds_are_the_recipes_own_wherever_both_are_judged(trained, tmp_path) -> None:
    from models.promotion import outcomes_of
    from schemas.recipe import Evaluation

    work = trained.folder / "w"
    how = ("--set", SCENES, *MANY_TAKES, "--set", "dataset.num_examples.validation=2")
    other = tmp_path / "other"
    trained("synth", "w", *trained.settings(), *how, "--out", other)
    judging = Evaluation.model_validate(_read(work / "model/model.json")["evaluation"])
    heard = outcomes_of(work / "model", str(work / "data"), str(other), judging)
    assert heard.threshold == _read(work / "model/evaluation.json")["threshold"]
    assert heard.num_keywords > 0


def test_a_validation_split_without_keywords_is_refused_before_training(trained, tmp_path) -> None:
    how = ("--set", "scene.num_keywords=[0, 0]", "--set", "scene.num_negatives=[1, 2]")
    few = ("--set", "dataset.num_examples={train: 8, validation: 2, test: 2}")
    words = [*trained.settings(), *few, *how, "--set", f"dataset.out={tmp_path / 'silent'}"]
    trained("synth", "w", *words)
    refused = trained("train", "w", *words, code=1)
    assert "no keyword is in the validation split" in refused.stderr
    assert "raise scene.num_keywords" in refused.stderr
    assert _read(trained.folder / "w/model/model.json"), "what is there stays"
