"""Spoken takes and noises: same bytes whatever came before, resumable, named by their making."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from pipeline.audio_file import read_audio
from pipeline.espeak import Espeak
from pipeline.espeak_voices import EspeakVoices
from pipeline.ipa import mnemonics
from pipeline.noise import KINDS, generate_backgrounds
from pipeline.quality import measure
from pipeline.recipe_file import guess_speaker_pattern
from pipeline.speech import speak_near_misses, speak_takes
from pipeline.speech_command import SpeechCommand
from schemas.errors import RequestError, WakebeamError
from schemas.recipe_speech import Speech

pytest.importorskip("espeakng_loader", reason="the extra `tts` is not installed")


def _bytes(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*.wav"))}


def test_takes_do_not_depend_on_what_was_spoken_before(tmp_path) -> None:
    assert speak_takes(["hello there", "go on"], tmp_path / "a", num_takes=30, seed=1) == (60, 0)
    speak_takes(["go on"], tmp_path / "b", num_takes=10, seed=1)
    assert speak_takes(["go on", "hello there"], tmp_path / "b", num_takes=30, seed=1) == (50, 10)
    takes = _bytes(tmp_path / "a")
    assert _bytes(tmp_path / "b") == takes
    assert len(set(takes.values())) == 60
    for name in takes:
        x, rate = read_audio(tmp_path / "a" / name)
        assert 0.2 < len(x) / rate < 3
        assert np.abs(x).max() > 0.05
        taken = measure(x[:, 0], rate)
        assert not (taken.starts_cut or taken.ends_cut)


def test_names_tell_the_voice(tmp_path) -> None:
    speak_takes(["Größe, bitte!"], tmp_path, num_takes=5, seed=1)
    names = [path.name for path in tmp_path.rglob("*.wav")]
    pattern = guess_speaker_pattern(names)
    assert {re.search(pattern, name)[1] for name in names} <= set(EspeakVoices().voices)
    assert {path.parent.name for path in tmp_path.rglob("*.wav")} == {"grösse_bitte"}


def test_as_many_takes_as_asked_for_and_no_two_alike(tmp_path) -> None:
    asked = len(EspeakVoices().voices) + 30
    assert speak_takes(["go"], tmp_path, num_takes=asked, seed=2) == (asked, 0)
    assert speak_takes(["go"], tmp_path, num_takes=asked, seed=2) == (0, asked)
    with pytest.raises(RequestError, match="at most"):
        speak_takes(["go"], tmp_path, num_takes=100_000, seed=2)


def test_nothing_to_say_is_refused(tmp_path) -> None:
    with pytest.raises(RequestError, match="no letter"):
        speak_takes(["…"], tmp_path, num_takes=1, seed=0)


def test_without_the_extra_the_error_says_what_to_install(tmp_path, monkeypatch) -> None:
    (tmp_path / "espeakng_loader.py").write_text("raise ImportError")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(WakebeamError, match=r"wakebeam\[tts\]"):
        speak_takes(["hello"], tmp_path, num_takes=1, seed=0)


def test_backgrounds_are_repeatable_and_audible(tmp_path) -> None:
    where = {"seed": 3, "count_per_kind": 2, "duration_s": 2.0, "sample_rate_hz": 16000}
    assert generate_backgrounds(tmp_path / "a", **where) == 2 * len(KINDS)
    generate_backgrounds(tmp_path / "b", **where)
    sounds = _bytes(tmp_path / "a")
    assert _bytes(tmp_path / "b") == sounds
    assert len(set(sounds.values())) == 2 * len(KINDS)
    for name in sounds:
        x, _ = read_audio(tmp_path / "a" / name)
        assert 0.003 < np.sqrt(np.mean(x**2)) < 0.3


def test_another_language_and_one_that_there_is_not(tmp_path) -> None:
    made = speak_takes(
        ["guten Tag"], tmp_path / "de", num_takes=3, seed=1, engine=EspeakVoices(["de"])
    )
    assert made == (3, 0)
    assert all("__de" in name for name in _bytes(tmp_path / "de"))
    with pytest.raises(RequestError, match="no language 'xx'"):
        speak_takes(["go"], tmp_path / "xx", num_takes=1, seed=1, engine=EspeakVoices(["xx"]))


@pytest.mark.parametrize(
    ("words", "ipa"),
    [
        ("hello beacon", "/həˈloʊ ˈbiːkən/"),
        ("water", "/ˈwɔːɾɚ/"),
        ("judge", "/ˈdʒʌdʒ/"),
        ("thinking", "/ˈθɪŋkɪŋ/"),
        ("vision", "/ˈvɪʒən/"),
        ("how now", "/ˌhaʊ ˈnaʊ/"),
        ("good", "/ˈɡʊd/"),
    ],
)
def test_ipa_is_the_librarys_own_reading(words: str, ipa: str) -> None:
    with Espeak() as engine:
        spelt = " ".join("".join(word) for word in engine.phonemes(words))
    assert mnemonics(ipa) == f"[[{spelt}]]"


def test_ipa_that_is_not_english_is_refused_by_sign() -> None:
    with pytest.raises(RequestError, match="'ɮ'"):
        mnemonics("/ɮa/")
    assert mnemonics("hello") == "hello"


# An engine of its own: a tone whose pitch is the voice's number, as long as its text.
_ENGINE = """
import sys, wave, math, struct
out, voice, text = sys.argv[1], sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else sys.stdin.read()
if voice == "broken":
    sys.exit("no such voice")
loud = 0 if voice == "mute" else 9000
with wave.open(out, "wb") as file:
    file.setnchannels(2), file.setsampwidth(2), file.setframerate(22050)
    n = 2205 * len(text)
    for i in range(n):
        v = int(loud * math.sin(i * float(voice) / 3000)) if loud else 0
        file.writeframes(struct.pack("<hh", v, v))
"""


def _command(tmp_path: Path, *arguments: str) -> list[str]:
    script = tmp_path / "engine with space.py"
    script.write_text(_ENGINE)
    return [sys.executable, str(script), *arguments]


@pytest.mark.parametrize("extra", [[], ["{text}"]])
def test_any_command_line_is_an_engine(tmp_path, extra: list[str]) -> None:
    command = _command(tmp_path, "{wav}", "{voice}", *extra)
    engine = SpeechCommand(command, ["100", "200", "300"], tmp_path)
    out = tmp_path / "takes"
    assert speak_takes(["$(ls); go"], out, num_takes=2, seed=1, engine=engine) == (2, 0)
    assert speak_takes(["$(ls); go"], out, num_takes=3, seed=1, engine=engine) == (1, 2)
    takes = _bytes(out)
    assert len(set(takes.values())) == 3
    for name in takes:
        x, rate = read_audio(out / name)
        silence = 2205
        assert (rate, x.shape) == (22050, (2205 * len("$(ls); go") + 2 * silence, 1))
        assert not x[:silence].any()
        assert not x[-silence:].any()
        assert np.abs(x[silence : 2 * silence]).max() > 0.2
    with pytest.raises(RequestError, match="at most 3: 3 voices at 1 rates and 1 pitches"):
        speak_takes(["go"], out, num_takes=4, seed=1, engine=engine)
    paced = SpeechCommand([*command, "{rate_wpm}"], ["100"], tmp_path)
    assert len(paced.rates_wpm) > 1


@pytest.mark.parametrize(
    ("command", "voice", "said"),
    [
        (["{wav}", "{voice}", "{text}"], "broken", "ended with 1: no such voice"),
        (["{wav}", "{voice}", "{text}"], "mute", "'mute' says nothing"),
        (["{wav}.elsewhere", "{voice}", "{text}"], "100", "wrote no sound"),
    ],
)
def test_an_engine_that_fails_is_named(tmp_path, command: list, voice: str, said: str) -> None:
    engine = SpeechCommand(_command(tmp_path, *command), [voice], tmp_path)
    with pytest.raises(WakebeamError, match=said):
        speak_takes(["go"], tmp_path / "out", num_takes=1, seed=1, engine=engine)
    assert not list((tmp_path / "out").rglob("*.wav"))


def test_a_command_that_is_not_there_is_named(tmp_path) -> None:
    engine = SpeechCommand(["no-such-program", "{wav}"], ["a"], tmp_path)
    with pytest.raises(WakebeamError, match="'no-such-program' can't be run"):
        speak_takes(["go"], tmp_path, num_takes=1, seed=1, engine=engine)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"command": ["tts", "{file}"], "voices": ["a"]}, "{file} is not known"),
        ({"command": ["tts"], "voices": ["a"]}, "needs {wav}"),
        ({"command": ["tts", "{wav}"]}, "command needs voices"),
        ({"voices": ["a"]}, "voices goes with command"),
        ({"command": ["tts", "{wav}"], "voices": ["a"], "near_misses": 3}, "leave out command"),
    ],
)
def test_wrong_entries_are_refused(entry: dict, said: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(said)):
        Speech(**{"phrases": ("go",), "out": "x"} | entry)


def test_seeds_are_other_voices(tmp_path) -> None:
    for seed in (1, 2):
        speak_takes(["go"], tmp_path / str(seed), num_takes=12, seed=seed)
    assert set(_bytes(tmp_path / "1")) != set(_bytes(tmp_path / "2"))


def test_an_engine_that_is_too_loud_is_clipped_not_wrapped(tmp_path) -> None:
    script = tmp_path / "loud.py"
    script.write_text(
        "import sys, numpy, soundfile\n"
        "x = 3 * numpy.sin(numpy.arange(8000) / 20)\n"
        "soundfile.write(sys.argv[1], x, 16000, subtype='FLOAT')\n"
    )
    engine = SpeechCommand([sys.executable, str(script), "{wav}"], ["a"], tmp_path)
    speak_takes(["go"], tmp_path / "out", num_takes=1, seed=1, engine=engine)
    (path,) = (tmp_path / "out").rglob("*.wav")
    x = read_audio(path)[0][1600:-1600, 0]
    expected = np.clip(3 * np.sin(np.arange(8000) / 20), -1, 1)
    np.testing.assert_allclose(x, expected, atol=1e-3)


def test_an_engine_may_leave_something_running_and_have_relative_paths(tmp_path) -> None:
    script = tmp_path / "daemon.py"
    script.write_text(
        "import subprocess, sys\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(20)'])\n" + _ENGINE
    )
    engine = SpeechCommand(
        [sys.executable, "daemon.py", "{wav}", "{voice}", "{text}"], ["9"], tmp_path
    )
    began_s = time.monotonic()
    speak_takes(["go"], tmp_path / "out", num_takes=1, seed=1, engine=engine)
    assert time.monotonic() - began_s < 15


def test_names_tell_engines_apart_and_never_collide(tmp_path) -> None:
    one = SpeechCommand(_command(tmp_path, "{wav}", "{voice}", "{text}"), ["100"], tmp_path)
    other = SpeechCommand(["other", "{wav}", "{voice}", "{text}"], ["100"], tmp_path)
    speak_takes(["go"], tmp_path / "out", num_takes=1, seed=1, engine=one)
    with pytest.raises(WakebeamError, match="can't be run"):
        speak_takes(["go"], tmp_path / "out", num_takes=1, seed=1, engine=other)
    for voices, phrases in ((["a b", "a-b"], ["go"]), (["a"], ["Stop!", "stop?"])):
        engine = SpeechCommand(["x", "{wav}"], voices, tmp_path)
        with pytest.raises(RequestError, match="the same file names"):
            speak_takes(phrases, tmp_path, num_takes=len(voices), seed=1, engine=engine)


def test_near_misses_are_of_english_in_letters(tmp_path) -> None:
    with pytest.raises(RequestError, match="a phrase in letters"):
        speak_near_misses("/həˈloʊ/", tmp_path, count=2, num_takes=1, seed=1)
    with pytest.raises(ValidationError, match="leave out languages"):
        Speech(phrases=("hallo",), out="x", near_misses=2, languages=("de",))
    with pytest.raises(ValidationError):
        Speech(phrases=("a\0b",), out="x")
