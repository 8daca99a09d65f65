"""The main path as a user goes it: real processes, real files."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from models.streaming import StreamingDetector
from pipeline.audio_file import read_audio
from tests.audio_factory import write
from tests.wakebeam.conftest import make_workplace


def test_run_learns_chirps_and_reports_with_intervals(trained) -> None:
    report = json.loads((trained.folder / "w/model/evaluation.json").read_text())
    assert report["miss_rate"] <= 0.4
    assert report["num_keywords"] > 5
    assert report["miss_interval"][0] <= report["miss_rate"] <= report["miss_interval"][1]
    assert report["judged_on"] == "test"
    for name in ("evaluation.txt", "evaluation.png", "evaluation.html"):
        assert (trained.folder / "w/model" / name).stat().st_size > 100


def test_a_second_run_does_nothing_and_says_so(trained) -> None:
    done = trained("run", "w/recipe.yaml", *trained.settings())
    stages = [line.split()[:2] for line in done.stderr.splitlines()]
    for name in ("bank", "synth", "train", "evaluate", "export"):
        assert [name, "current"] in stages


def test_a_changed_recipe_is_refused_without_overwrite(trained) -> None:
    done = trained("run", "w", *trained.settings(), "--set", "seed=99", code=2)
    assert "--overwrite" in done.stderr
    assert "seed: 7 → 99" in done.stderr
    assert "Traceback" not in done.stderr
    done = trained("train", "w", *trained.settings(), "--set", "seed=99", code=1)
    assert "seed: 7 → 99" in done.stderr


def test_check_verify_and_synth_agree(trained) -> None:
    found = json.loads(trained("check", "w", *trained.settings(), "--json").stdout)
    assert found["splits"]["train"]["examples"] == 96
    assert len(found["takes"]) == 30
    assert not any(take["faults"] for take in found["takes"])
    assert found["near_doubles"], "chirps of neighbouring pitch sound the same"
    strict = trained("check", "w", *trained.settings(), "--strict", code=1)
    assert "takes: 30, 0 of them clipped" in strict.stdout
    assert "pairs of clips sound the same" in strict.stdout
    verified = json.loads(trained("verify", "w/data", "--json").stdout)
    assert verified == {"problems": [], "records": 96 + 24 + 24, "decoded": 0, "rendered": 0}
    deep = json.loads(trained("verify", "w/data", "--deep", "--render", "5", "--json").stdout)
    assert deep == {"problems": [], "records": 144, "decoded": 144, "rendered": 5}
    done = json.loads(trained("synth", "w", *trained.settings(), "--json").stdout)
    assert done["shards_made"] == 0


def test_detect_prints_json_lines_for_any_rate_and_channels(trained) -> None:
    takes = sorted((trained.folder / "kw").glob("*.wav"))[:4]
    gap = np.zeros((16000, 1), np.float32)
    parts = [part for take in takes for part in (gap, read_audio(take)[0])]
    x = np.concatenate([*parts, gap])
    rng = np.random.default_rng(0)
    x = x + 0.001 * rng.standard_normal(x.shape)
    stereo = np.repeat(np.repeat(x, 3, axis=0), 2, axis=1)  # 48 kHz by sample and hold
    write(trained.folder / "long.wav", stereo, 48000)
    done = trained("detect", "--model", "w/export", "--threshold", "0.05", "--json", "long.wav")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines, "nothing was detected in four takes"
    for line in lines:
        assert set(line) == {"file", "time_s", "onset_s", "label", "score"}
        assert line["label"] == "kw"
        assert 0 <= line["onset_s"] <= line["time_s"] <= len(x) / 16000 + 0.1
        assert 0.05 <= line["score"] <= 1
    pcm = np.clip(x[:, 0] * 32768, -32768, 32767).astype("<i2").tobytes()
    command = [sys.executable, "-m", "wakebeam.cli", "detect", "--model", "w/export"]
    piped = subprocess.run(
        [*command, "--threshold", "0.05", "--stdin"], input=pcm, capture_output=True, check=True,
        cwd=trained.folder,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert len(piped.stdout.splitlines()) == len(lines)


def test_stream_is_the_same_for_any_packets_and_needs_no_tensorflow(trained) -> None:
    rng = np.random.default_rng(0)
    x = (0.1 * rng.standard_normal(40_001)).astype(np.float32)
    detector = StreamingDetector(trained.folder / "w/export")

    def scores(cuts) -> np.ndarray:
        detector.reset()
        parts = [detector.process(part).scores for part in np.split(x, cuts)]
        return np.concatenate([*parts, detector.finish().scores])

    whole = scores([])
    assert len(whole) == 40_001 // 320
    for cuts in ([1, 2, 3], range(441, 40_001, 441), sorted(rng.integers(0, 40_001, 50))):
        np.testing.assert_allclose(scores(cuts), whole, atol=1e-6)
    code = (
        "import sys; from models.streaming import StreamingDetector; "
        "print([m for m in ('tensorflow', 'tf_keras', 'apache_beam') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_stage_is_current_only_with_all_its_files(trained, tmp_path) -> None:
    shutil.copytree(trained.folder, tmp_path / "all")
    place = type(trained)(tmp_path / "all")
    report = tmp_path / "all/w/model/evaluation.json"
    report.unlink()
    report.with_suffix(".txt").write_text("another model's table")
    (tmp_path / "all/w/export/stream_float32.tflite").unlink()
    done = place("run", "w", *place.settings())
    assert "evaluate  made" in done.stderr
    assert "export    made" in done.stderr
    assert report.exists()
    assert report.with_suffix(".txt").read_text().strip() in done.stdout


def test_killed_in_training_goes_on_and_ends(tmp_path) -> None:
    place = make_workplace(tmp_path)
    place("synth", "w", *place.settings())
    command = [sys.executable, "-m", "wakebeam.cli", "train", "w", *place.settings()]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    checkpoint = tmp_path / "w/model/checkpoints/checkpoint"
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = place("train", "w", *place.settings())
    assert "went on after epoch" in done.stdout
    history = json.loads((tmp_path / "w/model/history.json").read_text())
    epochs = [entry["epoch"] for entry in history["epochs"]]
    assert epochs == list(range(1, len(epochs) + 1))
    assert len(epochs) > 4
    assert history["finished"]
    assert "already trained" in place("train", "w", *place.settings()).stdout


@pytest.mark.parametrize("family", ["stream_tcn", "trigger_gru"])
def test_mirrored_on_two_logical_cpus_equals_one(trained, tmp_path, family) -> None:
    code = """
import sys, json, tensorflow as tf
from pathlib import Path
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from pipeline.recipe_file import load_recipe
from models.detection_task import DetectionTask
from models.fitting import fit
recipe, data, out, strategy, *settings = sys.argv[1:]
made = load_recipe(Path(recipe), [*settings, f"training.strategy={strategy}"])
fit(DetectionTask(made, data), Path(out))
history = json.loads((Path(out) / "history.json").read_text())
print(json.dumps([e["loss"] for e in history["epochs"]]))
"""
    model = {
        "stream_tcn": ["model={family: stream_tcn, channels: 16, num_blocks: 2, dropout: 0.0}"],
        "trigger_gru": [
            "features={family: specgram}",
            "model={family: trigger_gru, filters: 8, units: 8, dropout: 0.0}",
        ],
    }[family]
    settings = [s for s in trained.settings()[1::2] if not s.startswith("model")]
    losses = {}
    for strategy in ("one", "mirrored"):
        words = [str(trained.folder / "w/recipe.yaml"), str(trained.folder / "w/data")]
        words += [str(tmp_path / strategy), strategy, *settings, *model, "training.epochs=1"]
        words += ["training.learning_rate=0.0001"]
        done = subprocess.run(
            [sys.executable, "-c", code, *words], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
        losses[strategy] = json.loads(done.stdout.splitlines()[-1])
    # batch statistics are taken per replica, so the two agree closely but not to the last digit
    assert losses["mirrored"] == pytest.approx(losses["one"], rel=0.1)


def test_regenerate_makes_the_stored_bytes_and_a_wav(trained) -> None:
    words = ("regenerate", "w/data", "train/000000095", "--wav", "one.wav")
    found = json.loads(trained(*words).stdout)
    assert found["identical"] is True
    assert found["plan"]["index"] == 95
    x, rate = read_audio(trained.folder / "one.wav")
    assert (len(x), rate) == (64_000, 16000)
    beyond = json.loads(trained("regenerate", "w/data", "test/000099999").stdout)
    assert beyond["identical"] is None
    assert "example id" in trained("regenerate", "w/data", "train/x", code=2).stderr
    (trained.folder / "nobank").mkdir()
    done = trained(*words, "--bank", "nobank", code=1)
    assert "is not at nobank" in done.stderr
    assert "--bank" in done.stderr
