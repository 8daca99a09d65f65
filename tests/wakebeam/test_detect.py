"""`wakebeam detect` on files, folders and pipes, and all that it does at a detection."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

import numpy as np
import pytest
import soundfile

from models.live_buffer import LiveBuffer, Piece
from models.plots import SUFFIXES
from models.streaming import StreamOutput
from pipeline.audio_file import read_audio
from schemas.errors import RequestError
from tests.audio_factory import write
from wakebeam.detect_outputs import Clips, Command, places_of, stems_of
from wakebeam.detecting import Source, _CardClock, live_source, pcm_source

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
    write(folder / "in" / "sub" / "quiet.wav", 0.0001 * stereo, 48000)
    return type(trained)(folder), str(trained.folder / "w/export")


def _recording(folder: Path) -> Path:
    return folder / "in" / "a; <b> $(x).wav"


def _pipe(folder: Path, export: str, rate: int) -> subprocess.Popen[bytes]:
    """`detect --stdin` on two channels."""
    return subprocess.Popen(
        [sys.executable, "-m", "wakebeam.cli", "detect", "--model", export, *LOW, "--json",
         "--stdin", "--rate", str(rate), "--channels", "2"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def test_lines_for_people_and_json_for_programs(place) -> None:
    run, export = place
    said = run("detect", "--model", export, *LOW, "in")
    lines = said.stdout.splitlines()
    assert len(lines) == 2
    assert all("kw  score" in line and line.endswith("$(x).wav") for line in lines)
    assert "2 detections; 2 of 2 files could be read" in said.stderr
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
    assert "is one of the recordings" in refused.stderr


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
    run("detect", "--model", export, "--plot", tmp_path / "x.svg", "in/sub/quiet.wav")
    assert (tmp_path / "x.svg").read_bytes().startswith(b"<?xml")


def test_a_command_gets_its_words_as_they_are(place, tmp_path) -> None:
    run, export = place
    script = tmp_path / "note.py"
    script.write_text(
        "import sys, pathlib\n"
        "p = pathlib.Path(sys.argv[1])\n"
        "p.open('a').write(repr(sys.argv[2:]) + chr(10))\n"
        "print('noise')\n"
    )
    words = [sys.executable, str(script), str(tmp_path / "log"), "{label}", "{file} {nobody}"]
    command = shlex.join(words)
    done = run("detect", "--model", export, *LOW, "--json", "--on-detect", command, "in")
    assert all(json.loads(line) for line in done.stdout.splitlines()), "its output isn't ours"
    log, until_s = tmp_path / "log", time.monotonic() + 60
    while time.monotonic() < until_s and log.exists() < 1 or log.read_text().count("\n") < 2:
        time.sleep(0.05)  # nobody waits for the programs
    rows = [ast.literal_eval(line) for line in log.read_text().splitlines()]
    assert rows == [["kw", "in/a; <b> $(x).wav {nobody}"]] * 2
    refused = run("detect", "--model", export, "--on-detect", "no-such-program", "in", code=2)
    assert "there is no such program" in refused.stderr
    with pytest.raises(RequestError, match="on-detect"):
        Command("'unclosed")


def test_a_pipe_of_any_rate_and_channels(place) -> None:
    run, export = place
    x, rate = soundfile.read(_recording(run.folder), dtype="int16")
    process = _pipe(run.folder, export, rate)
    said, errors = process.communicate(x.tobytes() + b"x")
    assert process.returncode == 0, errors
    found = [json.loads(line) for line in said.splitlines()]
    assert len(found) == 2
    assert all("file" not in line for line in found)


def test_requests_that_make_no_sense_are_refused(place, tmp_path) -> None:
    run, export = place
    (tmp_path / "empty").mkdir()
    for words, said in (
        ([], "one of the three"),
        (["--stdin", "in"], "one of the three"),
        (["--stdin", "--chime", "x.wav"], "are for files"),
        (["--live", "in"], "is for --stdin"),
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


def test_no_recording_is_replaced_and_no_two_share_a_name(tmp_path) -> None:
    paths = [tmp_path / "a/rec.wav", tmp_path / "b/rec.flac", tmp_path / "b/rec-2.wav"]
    stems = stems_of(paths)
    assert list(stems.values()) == ["rec", "rec-2", "rec-2-2"]
    places = places_of(tmp_path / "out", stems, (".wav",))
    assert len(set(places.values())) == 3
    with pytest.raises(RequestError, match="is one of the recordings"):
        places_of(tmp_path / "a", stems, (".wav",))
    with pytest.raises(RequestError, match="for several recordings"):
        places_of(tmp_path / "one.png", stems, SUFFIXES)
    with pytest.raises(RequestError, match=r"\.png or \.svg, or a folder"):
        places_of(tmp_path / "one.jpg", stems, SUFFIXES)
    (tmp_path / "run.v2").mkdir()
    placed = places_of(tmp_path / "run.v2", stems, SUFFIXES).values()
    assert {place.parent.name for place in placed} == {"run.v2"}
    one = {paths[0]: "rec"}
    assert places_of(tmp_path / "one.svg", one, SUFFIXES) == {paths[0]: tmp_path / "one.svg"}


def test_clips_after_lost_sound_hold_what_was_heard_then(tmp_path) -> None:
    source = Source("card", 1000, ())
    clips = Clips(tmp_path, "card", source)
    scored = StreamOutput(np.zeros(0), np.zeros((0, 1), np.float32), [])
    clips.heard(np.full(2000, 0.1), scored)
    clips.found({"time_s": 1.95, "onset_s": 1.0, "label": "before", "score": 1.0})
    clips.lost(5000)
    clips.heard(np.linspace(0.2, 0.4, 2000), scored)
    clips.found({"time_s": 8.0, "onset_s": 7.8, "label": "after", "score": 1.0})
    clips.ends()
    before, rate = soundfile.read(tmp_path / "card__t000001950__before.wav")
    assert (len(before), rate) == (1500, 1000), "from 0.5 s to where the sound was lost"
    after, _ = soundfile.read(tmp_path / "card__t000008000__after.wav")
    np.testing.assert_allclose(after, np.linspace(0.2, 0.4, 2000)[300:1300], atol=1e-4)


def test_a_recorder_behind_a_pipe_never_waits_and_the_newest_is_heard(tmp_path) -> None:
    """All is read while the detector is busy with the first piece; a second of it is kept."""
    x = np.arange(5000, dtype="<i2")
    (tmp_path / "pipe").write_bytes(x.tobytes())
    buffer, busy = LiveBuffer(1000, most_s=1.0), threading.Event()

    def read() -> Iterator[Piece]:
        with FileIO(tmp_path / "pipe") as stream:
            yield from pcm_source(1000, 1, stream).pieces
        busy.set()

    pieces = iter(live_source(Source("pipe", 1000, read()), buffer).pieces)
    heard = [next(pieces)]
    assert busy.wait(10)
    heard += pieces
    assert sum(len(p.samples) + p.num_lost for p in heard) == 5000
    assert buffer.lost_s >= 3.0
    newest = np.concatenate([p.samples for p in heard])[-900:, 0]
    np.testing.assert_array_equal(newest, x[-900:])


def test_a_pipe_that_fails_is_no_end_of_the_sound() -> None:
    def read() -> Iterator[Piece]:
        yield Piece(np.zeros(100, np.int16), 0)
        raise OSError(5, "gone")

    pieces = live_source(Source("pipe", 1000, read()), LiveBuffer(1000)).pieces
    with pytest.raises(OSError, match="gone"):
        list(pieces)


@pytest.mark.parametrize("live", [(), ("--live",)])
def test_a_pipe_that_does_not_wait_is_heard_to_its_end(place, live) -> None:
    """Its writer has made it non-blocking, and pauses; closed from the start, it is an error."""
    run, export = place
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    x, rate = soundfile.read(_recording(run.folder), dtype="int16")
    x = x[: 3 * rate, 0].tobytes()
    command = [sys.executable, "-m", "wakebeam.cli", "detect", "--model", export, *LOW, "--json"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [*command, "--stdin", "--rate", str(rate), *live], stdin=reading, stdout=subprocess.PIPE,
        cwd=run.folder, env=environment,
    ) as process:  # fmt: skip
        os.close(reading)
        for first in range(0, len(x), rate // 5):
            os.write(writing, x[first : first + rate // 5])
            time.sleep(0.1 if process.stdout else 0)
        os.close(writing)
        assert process.stdout
        said = process.stdout.read()
    assert process.returncode == 0
    assert b"kw" in said
    closed = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", *command, "--stdin", *live],
        cwd=run.folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert closed.returncode == 2
    assert "standard input is closed" in closed.stderr


def test_a_card_says_what_it_dropped() -> None:
    clock = _CardClock(1000)
    assert clock.missing(100, 5.0, False) == 0
    assert clock.missing(100, 5.11, False) == 0, "jitter is no loss"
    assert clock.missing(100, 5.35, True) == 150
    assert clock.missing(100, 5.45, True) == 0


def test_ctrl_c_ends_a_pipe_and_keeps_what_was_found(place) -> None:
    run, export = place
    x, rate = soundfile.read(_recording(run.folder), dtype="int16")
    process = _pipe(run.folder, export, rate)
    assert process.stdin
    assert process.stdout
    process.stdin.write(x[: round(4.6 * rate)].tobytes())  # the second event isn't over
    process.stdin.flush()
    assert json.loads(process.stdout.readline())["label"] == "kw"
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert b"Traceback" not in errors
    assert b"goes on where it was" not in errors
    assert all(json.loads(line)["time_s"] > STARTS_S[1] for line in rest.splitlines())


def test_hostile_names_and_empty_recordings(place, tmp_path) -> None:
    run, export = place
    x, rate = soundfile.read(_recording(run.folder))
    for name in ("x$\\bad$.wav", "esc\x1b[31mred\nline.wav"):
        write(tmp_path / "odd" / name, x, rate)
    done = run("detect", "--model", export, *LOW, "--plot", tmp_path / "png", tmp_path / "odd")
    assert len(done.stdout.splitlines()) == 4, "a name forges no line"
    assert "\x1b" not in done.stdout
    assert len(list((tmp_path / "png").iterdir())) == 2
    write(tmp_path / "empty.wav", np.zeros((0, 1)), 16000)
    write(tmp_path / "short.wav", np.zeros((100, 1)), 16000)
    for option in ("--chime", "--plot"):
        words = ["detect", "--model", export, option, tmp_path / "o", tmp_path / "empty.wav"]
        assert "no samples in it" in run(*words, code=1).stderr
    run("detect", "--model", export, "--plot", tmp_path / "o", tmp_path / "short.wav")
    labels = tmp_path / "none.txt"
    labels.write_text("")
    judged = ["evaluate", export, "--stream", tmp_path / "empty.wav", "--labels", labels]
    assert "no samples in it" in run(*judged, code=1).stderr
