"""Through the command line: start from a model, freeze, look first, weak and strong machines."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import get_args

import numpy as np
import pytest

from models.detector import Detector
from models.zoo import build_network
from schemas.errors import RequestError, TrainingError
from schemas.recipe import Model
from schemas.recipe_machines import MACHINES
from tests.wakebeam.conftest import Workplace
from wakebeam.stages import make_model
from wakebeam.workspace import Workspace

SHORT = ("training.epochs=1", "training.learning_rate=0.00001")


@pytest.fixture
def place(trained, tmp_path) -> Workplace:
    """A recipe's folder with the data set of `trained` and no model."""
    (tmp_path / "w").mkdir()
    for name in ("kw", "other", "noise"):
        (tmp_path / name).symlink_to(trained.folder / name)
    for name in ("bank", "data"):
        (tmp_path / "w" / name).symlink_to(trained.folder / "w" / name)
    (tmp_path / "w/recipe.yaml").write_text((trained.folder / "w/recipe.yaml").read_text())
    return Workplace(tmp_path)


def _workspace(place: Workplace, *settings: str, machine: str | None = None) -> Workspace:
    overrides = [*place.settings()[1::2], *SHORT, *settings]
    return Workspace.open(place.folder / "w/recipe.yaml", overrides).on(machine, overrides)


def test_R48_training_looks_first_starts_from_a_model_and_keeps_what_is_frozen(
    trained, place
) -> None:
    start = trained.folder / "w/model"
    freeze = "training.freeze=[batch_normalization, convolution]"
    words = [w for setting in (*SHORT, freeze) for w in ("--set", setting)]
    done = place("train", "w", *place.settings(), *words, "--init-from", start, "--sanity")
    assert "sanity: one batch fitted: loss" in done.stderr
    assert "1 epochs, " in done.stdout
    assert "parameters, " in done.stdout
    assert "million multiply-adds/s" in done.stdout
    before, after = Detector.load(start).network, Detector.load(place.folder / "w/model").network
    pairs = zip(before.variables, after.variables, strict=True)
    changed = [old.name for old, new in pairs if not np.array_equal(old.numpy(), new.numpy())]
    assert changed, "nothing was trained"
    assert all(name.split("/")[-2].startswith(("dense", "widen", "logits")) for name in changed)
    card = json.loads((place.folder / "w/model/model.json").read_text())
    assert card["init_from"]["name"] == "model"
    begun = [f"training.init_from={json.dumps(str(start))}", freeze]
    assert make_model(_workspace(place, *begun)).already_complete
    for other in (begun[:1], begun[1:]):
        with pytest.raises(TrainingError, match="another recipe"):
            make_model(_workspace(place, *other))


def test_what_does_not_fit_is_refused_and_nothing_is_written(trained, place) -> None:
    start = f"training.init_from={json.dumps(str(trained.folder / 'w/model'))}"
    with pytest.raises(TrainingError, match="doesn't fit stream_tcn"):
        make_model(_workspace(place, start, "model.channels=16"))
    with pytest.raises(TrainingError, match=r"nothing\.h5 does not exist"):
        make_model(_workspace(place, "training.init_from=nothing.h5"))
    assert not (place.folder / "w/model/model.json").exists()


def test_R49_report_states_network_size_versions_and_data(trained) -> None:
    report = json.loads((trained.folder / "w/model/evaluation.json").read_text())
    data = json.loads((trained.folder / "w/data/manifest.json").read_text())
    assert report["network"]["family"] == "stream_tcn"
    assert report["network"]["parameters"] > 1000
    assert report["network"]["multiply_adds_per_second"] > 1e6
    assert {"tensorflow", "tf-keras"} <= set(report["software"])
    assert len(report["dataset"]) == 64
    assert data
    for kind in ("txt", "html"):
        text = (trained.folder / f"w/model/evaluation.{kind}").read_text()
        for said in ("network stream_tcn: ", "parameters", report["dataset"][:16], "tensorflow 2."):
            assert said in text


def test_R30_headline_is_events_and_frame_accuracy_has_its_base(trained) -> None:
    lines = (trained.folder / "w/model/evaluation.txt").read_text().splitlines()
    assert lines[1].startswith("missed")
    assert lines[2].startswith("false accepts per hour")
    frames = json.loads((trained.folder / "w/model/evaluation.json").read_text())["frames"]
    assert 0.8 < frames["accuracy_of_silence"] < 1
    (said,) = [line for line in lines if "of all steps are right" in line]
    assert f"never fires gets {100 * frames['accuracy_of_silence']:.1f} %" in said


def test_R51_a_weak_machine_trains_within_the_memory_that_is_said(place) -> None:
    code = (
        "import resource, subprocess, sys; "
        "done = subprocess.run([sys.executable, '-m', 'wakebeam.cli', *sys.argv[1:]]); "
        "peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss; "
        "print('PEAK', peak * (1 if sys.platform == 'darwin' else 1024)); "
        "sys.exit(done.returncode)"
    )
    settings = [s for s in place.settings()[1::2] if not s.startswith(("model", "training"))]
    words = [w for s in (*settings, "training.epochs=1") for w in ("--set", s)]
    done = subprocess.run(
        [sys.executable, "-c", code, "train", "w", "--machine", "weak", *words],
        cwd=place.folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    card = json.loads((place.folder / "w/model/model.json").read_text())
    weak = MACHINES["weak"]
    assert card["training"]["batch_size"] == weak.training["batch_size"]
    assert card["model"]["channels"] == weak.models["stream_tcn"]["channels"]
    assert int(done.stdout.rpartition("PEAK")[2]) < weak.memory_bytes


def test_R51_a_strong_machines_settings_end_in_mixed_precision(place) -> None:
    recipe = Workspace.open(place.folder / "w/recipe.yaml", place.settings()[1::2])
    workspace = recipe.on("strong", ["training.epochs=1", *place.settings()[1::2][:6]])
    assert workspace.recipe.training.mixed_precision
    card = make_model(workspace).card
    assert card["training"]["batch_size"] == MACHINES["strong"].training["batch_size"]
    assert card["parameters"] > 250_000
    entry = json.loads((place.folder / "w/model/history.json").read_text())["epochs"][0]
    assert 0 < entry["loss"] < 10


@pytest.mark.parametrize("family", get_args(get_args(Model)[0]))
def test_R51_every_family_has_sizes_for_both(family) -> None:
    sizes = []
    for machine in MACHINES.values():
        name = family.model_fields["family"].default
        section = family.model_validate(dict(machine.models[name]))
        bins = 40 if family.made_for == "log_mel" else 101
        sizes.append(build_network(section, num_features=bins, num_labels=1).count_params())
    assert sizes[0] * 5 < sizes[1]


def test_R51_what_is_set_by_hand_counts_more(place) -> None:
    chosen = _workspace(place, "model.num_blocks=3", machine="weak").recipe
    assert chosen.training.batch_size == 8  # as `settings` says
    assert chosen.training.shuffle_examples == 64
    assert chosen.model.num_blocks == 3
    with pytest.raises(RequestError, match="weak or strong"):
        _workspace(place, machine="huge")
