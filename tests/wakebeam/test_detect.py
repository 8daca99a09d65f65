"""`wakebeam detect` on files, folders and pipes, and all that it does at a detection."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from pipeline.audio_file import read_audio
from schemas.errors import RequestError
from tests.audio_factory import write
from wakebeam.detect_outputs import Command

ROOT = Path(__file__).parents[2]
LOW = ("--threshold", "0.02")
STARTS_S = (1.0, 3.5)


@pytest.fixture(scope="module")
def place(trained, tmp_path_factory):
    """Two keywords in stereo at 48 kHz, in a folder of their own with a hostile name."""
    takes = sorted((trained.folder / "kw").glob("*.wav"))[:2]
    x = 0.003 * np.random.default_rng(0).standard_normal(6 * 16000)
    for take, start_s in zip(takes, STARTS_S, strict=True):
        sound = read_audio(take)[0][:, 0]
        start = round(start_s * 16000)
        x[start : start + len(sound)] += sound
    stereo = np.repeat(np.repeat(x[:, None], 3, axis=0), 2, axis=1)
    folder = tmp_path_factory.mktemp("detect")
    write(folder / "in" / "a; <b> $(x).wav", stereo, 48000)
    write(folder / "in" / "sub" / "quiet.wav", 0.003 * stereo, 48000)
    return type(trained)(folder), str(trained.folder / "w/export")


def _recording(folder: Path) -> Path:
    return folder / "in" / "a; <b> $(x).wav"


def test_lines_for_people_and_json_for_programs(place) -> None:
    run, export = place
    said = run("detect", "--model", export, *LOW, "in")
    lines = said.stdout.splitlines()
    assert len(lines) == 2
    assert all("kw  score" in line and line.endswith("$(x).wav") for line in lines)
    assert "2 detections in 2 of 2 files" in said.stderr
    found = [
        json.loads(line)
        for line in run("detect", "--model", export, *LOW, "--json", "in").stdout.splitlines()
    ]
    for line, start_s in zip(found, STARTS_S, strict=True):
        assert set(line) == {"file", "time_s", "onset_s", "label", "score"}
        assert start_s < line["time_s"] < start_s + 1.5


def test_R33_a_chime_in_a_copy_at_each_event(place, tmp_path) -> None:
    run, export = place
    path = _recording(run.folder)
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    out = tmp_path / "with chimes.wav"
    done = run("detect", "--model", export, *LOW, "--json", "--chime", out, path)
    times_s = [json.loads(line)["time_s"] for line in done.stdout.splitlines()]
    assert len(times_s) == 2
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before
    x, rate = soundfile.read(path, always_2d=True)
    y, there = soundfile.read(out, always_2d=True)
    assert (there, y.shape) == (rate, x.shape)
    added = np.abs(y - x).max(axis=1)
    where_s = np.flatnonzero(added > 0.02) / rate
    for time_s in times_s:
        near = where_s[(where_s >= time_s - 0.001) & (where_s < time_s + 0.5)]
        assert len(near)
        assert near[0] < time_s + 0.02
    chimed = np.zeros(len(x), bool)
    for time_s in times_s:
        chimed[round(time_s * rate) - 1 : round((time_s + 0.5) * rate)] = True
    assert added[~chimed].max() <= 2 / 32768
    refused = run("detect", "--model", export, "--chime", path, path, code=2)
    assert "is the recording itself" in refused.stderr


def test_own_chime_clips_and_pictures_of_a_folder(place, tmp_path) -> None:
    run, export = place
    chime = write(tmp_path / "ding.wav", 0.5 * np.ones(1000), 8000)
    run(
        "detect", "--model", export, *LOW, "--chime", tmp_path / "chimed", "--chime-sound", chime,
        "--plot", tmp_path / "plots", "--write-clips", tmp_path / "clips", "in",
    )  # fmt: skip
    assert sorted(p.name for p in (tmp_path / "chimed").iterdir()) == ["a_b_x.wav", "quiet.wav"]
    assert {p.suffix for p in (tmp_path / "plots").iterdir()} == {".png"}
    clips = sorted((tmp_path / "clips").iterdir())
    assert len(clips) == 2
    for clip, start_s in zip(clips, STARTS_S, strict=True):
        assert clip.name.startswith("a_b_x__t00000")
        assert clip.name.endswith("__kw.wav")
        x, rate = soundfile.read(clip)
        assert rate == 16000
        assert 0.8 < len(x) / rate < 3.0
        assert np.abs(x).max() > 0.1, f"the keyword at {start_s} s is in it"
    one = run("detect", "--model", export, "--plot", tmp_path / "x.png", "in", code=2)
    assert "for several recordings" in one.stderr


def test_a_command_gets_its_words_as_they_are(place, tmp_path) -> None:
    run, export = place
    script = tmp_path / "note.py"
    script.write_text(
        "import sys, pathlib\n"
        "p = pathlib.Path(sys.argv[1])\n"
        "p.open('a').write(repr(sys.argv[2:]) + chr(10))\n"
        "print('noise')\n"
    )
    command = f"{sys.executable} {script} {tmp_path / 'log'} {{label}} '{{file}} {{nobody}}'"
    done = run("detect", "--model", export, *LOW, "--json", "--on-detect", command, "in")
    assert all(json.loads(line) for line in done.stdout.splitlines()), "its output isn't ours"
    rows = [ast.literal_eval(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert rows == [["kw", "in/a; <b> $(x).wav {nobody}"]] * 2
    refused = run("detect", "--model", export, "--on-detect", "no-such-program", "in", code=2)
    assert "there is no such program" in refused.stderr
    with pytest.raises(RequestError, match="on-detect"):
        Command("'unclosed")


def test_a_pipe_of_any_rate_and_channels(place) -> None:
    run, export = place
    x, rate = soundfile.read(_recording(run.folder), dtype="int16")
    done = subprocess.run(
        [sys.executable, "-m", "wakebeam.cli", "detect", "--model", export, *LOW, "--json",
         "--stdin", "--rate", str(rate), "--channels", "2"],
        input=x.tobytes() + b"x", capture_output=True, check=True, cwd=run.folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == 2
    assert all("file" not in line for line in found)


def test_requests_that_make_no_sense_are_refused(place, tmp_path) -> None:
    run, export = place
    (tmp_path / "empty").mkdir()
    for words, said in (
        ([], "one of the three"),
        (["--stdin", "in"], "one of the three"),
        (["--stdin", "--chime", "x.wav"], "are for files"),
        ([str(tmp_path / "empty")], "holds no sound file"),
    ):
        done = run("detect", "--model", export, *words, code=2)
        assert said in done.stderr
        assert "Traceback" not in done.stderr
    done = run("detect", "--model", export, "nowhere.wav", code=1)
    assert "nowhere.wav: can't be opened" in done.stderr


def test_without_a_microphone_the_message_says_what_to_do(place) -> None:
    run, export = place
    done = run("detect", "--model", export, "--microphone", "--device", "no such one", code=2)
    assert "microphone" in done.stderr
    assert "--stdin" in done.stderr
    assert "Traceback" not in done.stderr
