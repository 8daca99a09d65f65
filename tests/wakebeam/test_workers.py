"""Two workers on loopback, through the command line: one model, written once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.models.test_fitting import free_addresses

ROOT = Path(__file__).parents[2]


def test_two_workers_train_one_detector(trained, tmp_path) -> None:
    shutil.copytree(trained.folder, tmp_path / "all")
    shutil.rmtree(tmp_path / "all/w/model")
    addresses = free_addresses(2)
    words = [sys.executable, "-m", "wakebeam.cli", "train", "w", *trained.settings()]
    words += ["--set", "training.strategy=multiworker", "--set", "training.epochs=1"]
    workers = [
        subprocess.Popen(
            words,
            cwd=tmp_path / "all",
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "TF_CONFIG": json.dumps(
                    {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": i}}
                ),
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
