"""The command line as people mistype it: one paragraph, the right exit code, nothing lost."""

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

from pipeline.audio_file import read_audio
from tests.audio_factory import write
from tests.wakebeam.conftest import make_workplace


def test_a_data_set_may_not_lie_over_the_model(trained) -> None:
    for out in ("model", "export", "bank/x", "."):
        settings = [*trained.settings(), "--set", f"dataset.out={out}"]
        assert "folder of its own" in trained("synth", "w", *settings, code=2).stderr


def test_what_can_not_be_judged_is_refused_before_work(trained) -> None:
    for setting in ("dataset.num_examples.test=0", "scene.num_keywords=[0, 0]"):
        done = trained("run", "w", *trained.settings(), "--set", setting, code=2)
        assert "in all three splits" in done.stderr


def test_evaluate_a_stream_with_labels(trained) -> None:
    take = read_audio(sorted((trained.folder / "kw").glob("*.wav"))[0])[0]
    gap = np.zeros((32_000, 1), np.float32)
    write(trained.folder / "s.wav", np.concatenate([gap, take, gap]), 16000)
    end_s = 2 + len(take) / 16000
    (trained.folder / "s.txt").write_text(f"0.5\t0.9\tdoor\n2.0\t{end_s}\tkw\n")
    words = ("evaluate", "w/export", "--stream", "s.wav", "--labels", "s.txt")

    def no_nan(text: str) -> None:
        raise AssertionError(text)

    values = json.loads(trained(*words, "--json").stdout, parse_constant=no_nan)
    assert values["num_keywords"] == 1, "a door is no keyword"
    assert values["counting"]["hit_window_s"] == 0.9, "as the recipe says"
    for text, says in (
        ("2.0\t3.0\tdoor\n", "no keyword"),
        ("0\tinf\tkw\n", "line 1"),
        ("9000\t9001\tkw\n", "9000 s"),
    ):
        (trained.folder / "s.txt").write_text(text)
        assert says in trained(*words, code=2).stderr
    (trained.folder / "s.txt").write_text("2.0 3.0 kw\n")
    assert "line 1" in trained(*words, code=2).stderr


def test_detect_goes_on_after_a_bad_file_and_says_which(trained) -> None:
    take = sorted((trained.folder / "kw").glob("*.wav"))[0]
    (trained.folder / "bad.m4a").write_bytes(b"nothing")
    words = ("detect", "--json", "--model", "w/export", "--threshold", "0.0")
    words += ("bad.m4a", "gone.wav", take)
    done = trained(*words, code=1)
    assert "bad.m4a: not readable" in done.stderr
    assert "gone.wav: can't be opened: No such file" in done.stderr
    assert "1 detection; 1 of 3 files could be read" in done.stderr
    assert json.loads(done.stdout.splitlines()[0])["file"] == str(take)


def test_stopping_says_that_one_can_go_on(tmp_path) -> None:
    place = make_workplace(tmp_path)
    settings = [*place.settings(), "--set", "dataset.num_examples.train=100000"]
    process = subprocess.Popen(
        [sys.executable, "-m", "wakebeam.cli", "synth", "w", *settings],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.rglob("*.tfrecord")) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert "another run is at work" in place("synth", "w", *settings, code=1).stderr
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=150)
    assert process.returncode == 130
    assert "stopped; the same command goes on" in stderr


def test_init_refuses_what_can_not_be_meant(tmp_path) -> None:
    place = make_workplace(tmp_path)
    shutil.copytree(tmp_path / "kw", tmp_path / "more" / "kw")
    take = sorted((tmp_path / "kw").glob("*.wav"))[0]
    for keyword, negative, says in (
        ([take], "other", "is a file"),
        (["kw"], "kw", "something else"),
        (["kw", "more/kw"], "other", "two keyword folders"),
    ):
        words = ("init", "v", "--keyword", *keyword, "--negative", negative)
        assert says in place(*words, "--background", "noise", code=2).stderr
    done = place("init", "v", "--keyword", "kw", "--background", tmp_path / "noise")
    assert "no negatives" in done.stderr
    assert str(tmp_path / "noise") in (tmp_path / "v/recipe.yaml").read_text()
    assert "no negatives" in place("check", "v").stdout
    words = ("init", "n", "--keyword", "kw", "--near-miss", "other", "--background", "noise")
    place(*words)
    assert "only near misses" in place("check", "n").stdout
    assert "wakebeam detect --help" in place("detect", "--modle", "x", code=2).stderr
    assert place("--version").stdout.startswith("wakebeam ")


def test_errors_are_one_paragraph_with_the_right_exit_code(tmp_path) -> None:
    from tests.wakebeam.conftest import Workplace

    place = Workplace(tmp_path)
    (tmp_path / "recipe.yaml").write_text("schema: 1\nname: x\nscene: {duratoin_s: 3}\n")
    for words, code, says in (
        (("run", "nowhere.yaml"), 2, "wakebeam init"),
        (("check", "recipe.yaml"), 2, "duration_s"),
        (("verify", "nowhere"), 1, "manifest.json"),
        (("detect", "--model", "nowhere", "x.wav"), 2, "wakebeam export"),
        (("detect", "--model", "nowhere"), 2, "--stdin"),
        (("frobnicate",), 2, "frobnicate"),
        (("init", "w", "--keyword", "nowhere", "--background", "nowhere"), 2, "does not exist"),
    ):
        done = place(*words, code=code)
        assert says in done.stderr
        assert "Traceback" not in done.stderr
        assert done.stdout == ""


def test_verbs_that_make_material_say_what_to_do_with_it(tmp_path) -> None:
    from tests.wakebeam.conftest import Workplace

    place = Workplace(tmp_path)
    assert "material.room" in place("rooms", "--out", "r", "--count", "2").stdout
    done = place("noises", "--out", "n o", "--count", "1", "--seconds", "1")
    assert "--background 'n o'" in done.stdout
    assert len(list((tmp_path / "n o").glob("*.wav"))) == 6
    listed = json.loads(place("effects", "--json").stdout)
    assert listed["speed"]["changes_length"] is True
    assert "low_pass_hz" in place("effects").stdout


def test_mining_cuts_false_accepts_once_each(trained) -> None:
    """Any sound will do: what a detector fires at in a recording that is said to be without."""
    takes = sorted((trained.folder / "kw").glob("*.wav"))[:3]
    gap = np.zeros((16000, 1), np.float32)
    x = np.concatenate([part for take in takes for part in (gap, read_audio(take)[0])] + [gap])
    write(trained.folder / "no kw.wav", x, 16000)
    words = ("mine", "--model", "w/export", "--threshold", "0.05", "--out", "hard", "no kw.wav")
    found = trained("detect", "--json", *words[1:5], "no kw.wav").stdout.splitlines()
    assert found, "nothing was detected in three takes"
    done = trained(*words)
    assert f"{len(found)} false accepts cut out at threshold 0.05, 0 were there" in done.stdout
    assert "kind: hard, speaker_pattern: '__([0-9a-f]{12})__'" in done.stdout
    lines = [json.loads(row) for row in (trained.folder / "hard/mined.jsonl").open()]
    assert [line["time_s"] for line in lines] == [json.loads(row)["time_s"] for row in found]
    for line in lines:
        clip, rate = read_audio(trained.folder / "hard" / line["clip"])
        stop = round((line["time_s"] + 0.2) * rate)
        part = x[max(0, stop - len(clip)) : stop]
        np.testing.assert_allclose(clip[: len(part)], part, atol=1e-4)
        assert len(clip) > 0.5 * rate
    again = trained(*words).stdout
    assert f"0 false accepts cut out at threshold 0.05, {len(found)} were there" in again
    assert "gone.wav" in trained(*words, "gone.wav", code=1).stderr


def test_a_recipes_folder_is_not_taken_for_what_is_in_it(trained) -> None:
    place = trained.folder / "w"
    (inspected,) = trained("inspect", place, code=1).stderr.splitlines()[-1:]
    assert inspected.endswith(f"To do: name {place / 'data'}.")
    (detected,) = trained("detect", "--model", place, "kw/1.wav", code=2).stderr.splitlines()[-1:]
    assert detected.endswith(f"To do: name {place / 'export'}.")


def test_mining_leaves_out_what_the_model_knows_and_what_judges_it(trained) -> None:
    """Clips of a recording could come into another split than the recording is in."""
    trained("stream-set", "w", *trained.settings(), "--hours", "0.02", "--out", "judging")
    names = ["kw/1.wav", "judging/stream-000.wav"]
    words = ("mine", "--model", "w/export", "--out", "none", *names)
    done = trained(*words)
    assert "; 2 recordings left out" in done.stdout
    assert (
        "kw/1.wav is left out: keyword/kw/1.wav is this very file, of the model's " in done.stderr
    )
    assert "judging/stream-000.wav is left out: it is of a stream set" in done.stderr
    assert not (trained.folder / "none").exists()
    done = trained(*words, "--dataset", "nowhere")
    assert "not checked whether these are the model's own recordings" in done.stderr
    assert "; 1 recordings left out" in done.stdout


def test_a_recipe_that_speaks_its_own_material(tmp_path) -> None:
    pytest.importorskip("espeakng_loader", reason="the extra `tts` is not installed")
    from tests.wakebeam.conftest import make_workplace

    place = make_workplace(tmp_path)
    recipe = tmp_path / "w/recipe.yaml"
    entry = "speech: [{phrases: [hello beacon], out: spoken, takes: 4}, "
    entry += "{phrases: [hello beacon], out: near, takes: 2, near_misses: 3}]\n"
    text = recipe.read_text().replace("../kw", "spoken/hello_beacon")
    recipe.write_text(entry + text)
    assert "spoken" in place("check", "w", code=2).stderr, "names what isn't there yet"
    assert "10 takes spoken, 0 were there" in place("speak", "--recipe", "w").stdout
    assert "0 takes spoken, 10 were there" in place("speak", "--recipe", "w").stdout
    assert len(list((tmp_path / "w/near").iterdir())) == 3
    checked = json.loads(place("check", "w", "--json").stdout)
    spoken = list((tmp_path / "w/spoken/hello_beacon").iterdir())
    assert len({path.name.split("__")[1] for path in spoken}) == 4
    assert checked["without_speaker"] == 30, (
        "the voices are the speakers; the other folder has none"
    )
    assert sum("hello_beacon__" in row["take"] for row in checked["takes"]) == 4
    place("speak", "go", "--recipe", "w", code=2)
    place("speak", "go", code=2)
    said = place("speak", "go", "--out", "x", "--language", "de", "--near-misses", "2", code=2)
    assert "leave out languages" in said.stderr


def test_plan_only_sums_up_and_leaves_no_data_set(tmp_path) -> None:
    place = make_workplace(tmp_path)
    words = ("synth", "w", *place.settings(), "--plan-only", "--num-workers", 1)
    assert "144 scenes planned" in place(*words).stdout
    values = json.loads(place(*words, "--json").stdout)
    assert {split: of["scenes"] for split, of in values["splits"].items()} == {
        "train": 96,
        "validation": 24,
        "test": 24,
    }
    assert not (tmp_path / "w" / "data").exists()
    assert "--plan-only alone" in place(*words, "--append", 5, code=2).stderr
