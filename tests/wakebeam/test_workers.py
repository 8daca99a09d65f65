"""Two workers on loopback, as docs/training.md types it: one model, written once."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from tests.models.test_fitting import free_addresses
from tests.wakebeam.conftest import typed_on

ROOT = Path(__file__).parents[2]


def test_two_workers_train_one_detector(trained, tmp_path) -> None:
    shutil.copytree(trained.folder, tmp_path / "all")
    shutil.rmtree(tmp_path / "all/w/model")
    addresses = free_addresses(2)
    export, train = typed_on("training.md")
    config = json.loads(shlex.split(export)[1].removeprefix("TF_CONFIG="))
    config["cluster"]["worker"] = addresses
    words = [sys.executable, "-m", "wakebeam.cli", *shlex.split(train)[1:]]
    words += [*trained.settings(), "--set", "training.epochs=1"]
    assert "training.strategy=multiworker" in words
    workers = [
        subprocess.Popen(
            words,
            cwd=tmp_path / "all",
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "TF_CONFIG": json.dumps(config | {"task": config["task"] | {"index": i}}),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(2)
    ]
    for worker in workers:
        out, said = worker.communicate(timeout=240)
        assert worker.returncode == 0, said[-3000:]
        assert "1 epochs" in out
    model = tmp_path / "all/w/model"
    assert len(json.loads((model / "history.json").read_text())["epochs"]) == 1
    assert json.loads((model / "model.json").read_text())["epochs_trained"] == 1
