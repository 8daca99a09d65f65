"""An export's forms hear what the model hears, or they aren't there."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile


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
        lambda model, audio: real(model, audio) * (model.form == "float32"),
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


def test_export_replaces_nothing_but_an_export(trained, tmp_path) -> None:
    place = type(trained)(tmp_path)
    shutil.copytree(trained.folder / "w", tmp_path / "w")
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.txt").write_text("important")
    (tmp_path / "link").symlink_to(tmp_path / "thesis")
    before = _digests(tmp_path)
    for name in ("thesis", "w/recipe.yaml", "w", "link"):
        done = place("export", "w/model", "--out", name, "--dataset", "w/data", code=2)
        assert "something else than an export" in done.stderr
        assert _digests(tmp_path) == before
    place("export", "w/model", "--out", "w/export", "--dataset", "w/data")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link", "thesis", "w"]


def _digests(folder: Path) -> dict[str, str]:
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
