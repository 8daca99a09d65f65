"""What a recipe says about features, labels and augmentation, through the command line."""

from __future__ import annotations

import json

import pytest

from tests.wakebeam.conftest import Workplace, make_workplace

OPTIONS = (
    "features={family: pcen, statistics: dataset}",
    "training.epochs=2",
    "training.cache=copies",
    "training.loss=max_pool",
    "training.class_weights={kw: 1.5}",
    "training.event_weights={speech: 2.0}",
    "training.augmentation.mixup={probability: 0.5}",
    "training.augmentation.noise={snr_db: [0, 20]}",
    "training.augmentation.delay_s=0.2",
    "training.augmentation.gain_db=[-6, 6]",
    "training.augmentation.masks={num_times: 1}",
)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Workplace:
    return make_workplace(tmp_path_factory.mktemp("options"))


def _settings(place: Workplace, *more: str) -> list[str]:
    return [
        *place.settings(),
        *(word for option in (*OPTIONS, *more) for word in ("--set", option)),
    ]


def test_all_options_together_train_judge_and_export(place) -> None:
    done = place("run", "w", *_settings(place))
    card = json.loads((place.folder / "w/model/model.json").read_text())
    assert card["features"]["family"] == "pcen"
    assert len(card["feature_statistics"]["mean"]) == 40
    assert min(card["feature_statistics"]["deviation"]) > 0
    assert len(list((place.folder / "w/copies").iterdir())) >= 2, "of train and of validation"
    metadata = json.loads((place.folder / "w/export/metadata.json").read_text())
    assert max(metadata["parity"].values()) < 1e-4
    assert metadata["parity"]["stream_float32"] < 1e-4
    assert "train     made" in done.stderr
    history = json.loads((place.folder / "w/model/history.json").read_text())
    assert all(0 <= entry["input_wait_fraction"] < 1 for entry in history["epochs"])


def test_the_verb_train_says_where_the_time_goes(place) -> None:
    more = ("features={family: mfcc}", "training.epochs=1", "training.loss=focal")
    done = place("train", "w", *_settings(place, *more), "--overwrite")
    said = next(line for line in done.stdout.splitlines() if line.startswith("time: "))
    assert "input wait" in said
    assert "% of a step of" in said
    assert "first step after" in said


def test_a_wrong_option_is_refused_in_the_recipes_terms(place) -> None:
    for option, said in (
        ("training.augmentation.echo=1", "training.augmentation.echo"),
        ("training.data_service=localhost", "training.data_service"),
    ):
        done = place("train", "w", *_settings(place, option), code=2)
        assert said in done.stderr
        assert "Traceback" not in done.stderr
