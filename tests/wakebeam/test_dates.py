"""The date translator as a user makes it: synth, train, evaluate, on a small recipe."""

from __future__ import annotations

import json

import pytest

from schemas.errors import WakebeamError
from tests.wakebeam.conftest import Workplace
from wakebeam.tasks import TaskPlace, open_any
from wakebeam.tasks.dates import make_task

RECIPE = """
schema: 1
task: dates
name: small
seed: 3
dates:
  first: 2000-01-01
  last: 2009-12-31
  writings: [{locales: [en_GB], formats: [dd.MM.y]}]
dataset: {num_examples: {train: 3000, validation: 200, test: 300}, examples_per_shard: 1000}
model: {family: date_attention, longest_text: 20, encoder_units: 16, decoder_units: 32}
training: {epochs: 8, batch_size: 50, optimizer: adam, learning_rate: 0.02}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Workplace:
    folder = tmp_path_factory.mktemp("dates")
    (folder / "w").mkdir()
    (folder / "w/recipe.yaml").write_text(RECIPE)
    made = Workplace(folder)
    done = made("synth", "w", "--num-workers", 1).stdout
    assert "5 shards made" in done
    assert "3500 pairs" in done
    made("train", "w")
    return made


def test_R76_a_small_translator_is_right_on_days_it_never_saw(place: Workplace) -> None:
    values = json.loads(place("evaluate", "w/model", "--json").stdout)
    test = values["accuracy"]
    assert test["total"] == 300
    assert test["share"] > 0.9
    low, high = test["interval"]
    assert 0.8 < low < test["share"] <= high + 1e-9
    assert len(values["trials"]) == 8
    assert values["trials"][0]["text"] == "3 May 1979"
    model = place.folder / "w/model"
    assert json.loads((model / "evaluation.json").read_text()) == values
    assert (model / "evaluation.png").read_bytes()[:4] == b"\x89PNG"
    text = (model / "evaluation.txt").read_text()
    assert "days that training never saw" in text and "21th of August 2016" in text


def test_R76_days_of_the_test_are_not_in_training(place: Workplace) -> None:
    from pipeline.date_pairs import decode_pair
    from pipeline.tfrecord import RecordReader

    days: dict[str, set[str]] = {}
    for path in (place.folder / "w/data").rglob("*.tfrecord"):
        with path.open("rb") as file:
            found = {decode_pair(record).date for record in RecordReader(file, path.name)}
        days.setdefault(path.parent.name, set()).update(found)
    assert set(days) == {"train", "validation", "test"}
    assert not days["test"] & (days["train"] | days["validation"])


def test_what_is_done_is_not_done_again(place: Workplace) -> None:
    assert "already complete" in place("synth", "w", "--num-workers", 1).stdout
    assert "already trained" in place("train", "w").stdout


def test_synth_has_the_options_of_scenes_or_says_what_to_do(place: Workplace) -> None:
    runner = ["--runner=FnApiRunner", "--direct_running_mode=in_memory"]
    values = json.loads(place("synth", "w", "--out", "other", "--json", *runner).stdout)
    made = json.loads((place.folder / "other/manifest.json").read_text())
    assert values["out"].endswith("other")
    assert (values["shards_made"], values["shards_reused"], values["examples_rejected"]) == (
        5,
        0,
        0,
    )
    assert values["recipe_digest"] == made["recipe_digest"]
    verified = json.loads(place("verify", "other", "--deep", "--json").stdout)
    assert verified == {"records": 3500, "decoded": 3500, "rendered": 0, "problems": []}
    next((place.folder / "other/train").glob("*.tfrecord")).unlink()
    assert "is missing" in place("verify", "other", code=1).stdout
    again = json.loads(place("synth", "w", "--out", "other", "--json", "--num-workers", 1).stdout)
    assert (again["shards_made"], again["shards_reused"]) == (1, 4)
    assert again["identity"] == values["identity"]
    for words, says in (
        (["--append", 5], "wakebeam synth --overwrite"),
        (["--add-recipe", "w/recipe.yaml"], "wakebeam synth --overwrite"),
        (["--plan-only"], "To do: leave it out"),
        (["--num_workers=4"], "--num-workers=N"),
    ):
        refused = place("synth", "w", *words, code=2).stderr
        assert says in refused
        assert refused.count("\n") == 1


def test_wrong_requests_are_refused(place: Workplace) -> None:
    wrong = "dates.writings=[{locales: [en_GB], formats: [d MMM Y]}]"
    assert "write y" in place("synth", "w", "--set", wrong, code=2).stderr
    for setting, says in (
        ("seed=4", "made from another recipe: seed: 3 → 4"),
        ("model.longest_text=9", "texts of 10 characters"),
    ):
        with pytest.raises(WakebeamError, match=says):
            opened = open_any(place.folder / "w", [setting])
            assert isinstance(opened, TaskPlace)
            make_task(opened)
