"""The main path as a user goes it: real processes, real files."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

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
    assert "takes: 30, of which 0" in strict.stdout
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


def test_export_agrees_with_the_model_and_saved_model_is_self_contained(trained) -> None:
    import tensorflow as tf

    export = trained.folder / "w/export"
    parity = json.loads((export / "metadata.json").read_text())["parity"]
    forms = ("serving_default", "file", "stream")
    assert set(parity) == {*(f"saved_model {form}" for form in forms), "stream_float32"}
    assert max(parity.values()) <= 1e-4
    run = tf.saved_model.load(str(export / "saved_model")).signatures
    assert run["serving_default"](waveform=tf.zeros([2, 20_000]))["scores"].shape == (2, 62, 1)
    assert "measured" in (export / "MODEL.md").read_text()


def test_the_saved_model_hears_files_of_any_rate_and_length(trained, tmp_path) -> None:
    import tensorflow as tf

    file = tf.saved_model.load(str(trained.folder / "w/export/saved_model")).signatures["file"]
    n = np.arange(2 * 48_000) / 48_000
    for rate, channels in ((48_000, 2), (8_000, 1), (16_000, 1)):
        x = 8000 * np.sin(2 * np.pi * 440 * n[:: 48_000 // rate])
        pcm = np.repeat(x.astype(np.int16)[:, None], channels, axis=1)
        soundfile.write(tmp_path / "x.wav", pcm, rate)
        found = file(path=tf.constant(str(tmp_path / "x.wav")))
        assert found["scores"].shape == (100, 1)
        assert float(found["times_s"][-1]) == pytest.approx(2.0)


def test_the_integer_network_is_all_integers_and_hears(trained) -> None:
    from ai_edge_litert.interpreter import Interpreter

    export = trained.folder / "w/export"
    metadata = json.loads((export / "metadata.json").read_text())
    assert metadata["refused"] == {}
    path = export / "network_int8.tflite"
    types = {d["dtype"] for d in Interpreter(model_path=str(path)).get_tensor_details()}
    assert types <= {np.int8, np.int32}
    scales = metadata["int8"]["quantization"]
    assert set(scales["outputs"]) - set(scales["inputs"]) == {"logits"}
    for name in set(scales["outputs"]) & set(scales["inputs"]):
        assert scales["outputs"][name] == scales["inputs"][name], "a state can go back as it came"
    low = ("--threshold", "0.05", "--json")
    takes = sorted(str(p) for p in (trained.folder / "kw").glob("*.wav"))
    heard = [
        trained("detect", "--model", "w/export", *low, *form, *takes).stdout.count("\n")
        for form in ((), ("--int8",))
    ]
    assert heard[0] > 0
    assert heard[1] == pytest.approx(heard[0], abs=2)


def test_an_onnx_file_hears_the_same(trained, tmp_path) -> None:
    pytest.importorskip("tf2onnx", reason="the extra onnx is not installed")
    out = tmp_path / "export"
    done = trained("export", "w/model", "--out", out, "--dataset", "w/data", "--onnx")
    assert "WARNING" not in done.stderr
    assert json.loads((out / "metadata.json").read_text())["parity"]["stream_onnx"] <= 1e-4
    import onnx

    graph = onnx.load(str(out / "stream.onnx")).graph
    assert graph.input[0].name == "samples"
    assert {o.name for o in graph.output} == {
        "scores", *(f"next_{i.name}" for i in graph.input[1:])
    }  # fmt: skip


def test_an_integer_network_that_misses_more_is_left_out_by_name(
    trained, tmp_path, monkeypatch
) -> None:
    from models import export as exporting
    from models import export_checks

    real = export_checks.stream_scores
    monkeypatch.setattr(
        export_checks, "stream_scores",
        lambda folder, form, audio: real(folder, "float32", audio) * (form == "float32"),
    )  # fmt: skip
    shutil.copytree(trained.folder / "w", tmp_path / "w")
    report = tmp_path / "w/model/evaluation.json"
    values = json.loads(report.read_text()) | {"threshold": 0.01}
    report.write_text(json.dumps(values))
    out = tmp_path / "w/export"
    metadata = exporting.export(tmp_path / "w/model", out, data=str(tmp_path / "w/data"))
    assert "misses 100.0 %" in metadata["refused"]["network_int8.tflite"]
    assert not (out / "network_int8.tflite").exists()
    assert exporting.is_whole(out)
    done = trained("detect", "--model", out, "--int8", "kw", code=2)
    assert "misses 100.0 %" in done.stderr
    (out / "front_end.tflite").unlink()
    assert not exporting.is_whole(out)


@pytest.mark.parametrize("operation", ["sin", "erf"])
def test_an_operation_without_integers_is_named(trained, operation: str) -> None:
    import tensorflow as tf

    from models.detector import Detector
    from models.step_conversion import IntegerError, int8_form

    detector = Detector.load(trained.folder / "w/model")
    real = detector.network_step
    act = getattr(tf.math, operation)
    detector.network_step = lambda features, state: real(act(features), state)
    with pytest.raises(IntegerError, match=f"(?i){operation}"):
        int8_form(detector, np.zeros((1, 32_000), np.float32))


def test_a_damaged_export_is_refused_by_parity(trained, monkeypatch) -> None:
    from models import export as exporting
    from models import export_checks
    from schemas.errors import ParityError

    real = export_checks.stream_scores
    monkeypatch.setattr(export_checks, "stream_scores", lambda *a: real(*a) + 0.001)
    before = _digests(trained.folder / "w/export")
    with pytest.raises(ParityError, match="stream_float32"):
        exporting.export(
            trained.folder / "w/model",
            trained.folder / "w/export",
            data=str(trained.folder / "w/data"),
        )
    assert _digests(trained.folder / "w/export") == before


def test_the_programs_of_docs_export_run(trained, tmp_path) -> None:
    """Every Python block of docs/export.md, one after the other, in a folder with an export."""
    pytest.importorskip("tf2onnx", reason="the extra onnx is not installed")
    (tmp_path / "w").mkdir()
    trained("export", "w/model", "--out", tmp_path / "w/export", "--dataset", "w/data", "--onnx")
    metadata = tmp_path / "w/export/metadata.json"
    metadata.write_text(json.dumps(json.loads(metadata.read_text()) | {"threshold": 0.05}))
    shutil.copy(next((trained.folder / "kw").glob("*.wav")), tmp_path / "sound.wav")
    text = (Path(__file__).parents[2] / "docs/export.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 4
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    said = [
        subprocess.run(
            [sys.executable, "-c", block], cwd=tmp_path, env=environment, check=True,
            stdout=subprocess.PIPE, text=True,
        ).stdout
        for block in blocks
    ]  # fmt: skip
    assert "highest score" in said[0]
    assert re.match(r"\w+ at \d+\.\d\d s", said[1])


@pytest.mark.parametrize("name", ["thesis", "w/recipe.yaml", "w", "link"])
def test_export_replaces_nothing_but_an_export(trained, tmp_path, name: str) -> None:
    place = type(trained)(tmp_path)
    shutil.copytree(trained.folder / "w", tmp_path / "w")
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.txt").write_text("important")
    (tmp_path / "link").symlink_to(tmp_path / "thesis")
    before = _digests(tmp_path)
    done = place("export", "w/model", "--out", name, "--dataset", "w/data", code=2)
    assert "something else than an export" in done.stderr
    assert _digests(tmp_path) == before
    place("export", "w/model", "--out", "w/export", "--dataset", "w/data")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link", "thesis", "w"]


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


def _digests(folder: Path) -> dict[str, str]:
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
