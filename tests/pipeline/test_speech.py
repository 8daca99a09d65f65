"""Spoken takes and noises: same bytes whatever came before, resumable, named by their making."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from pipeline.audio_file import read_audio
from pipeline.noise import KINDS, generate_backgrounds
from pipeline.recipe_file import guess_speaker_pattern
from pipeline.speech import speak_takes, voices
from schemas.errors import RequestError, WakebeamError

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


def test_names_tell_the_voice(tmp_path) -> None:
    speak_takes(["Größe, bitte!"], tmp_path, num_takes=5, seed=1)
    names = [path.name for path in tmp_path.rglob("*.wav")]
    pattern = guess_speaker_pattern(names)
    assert {re.search(pattern, name)[1] for name in names} <= set(voices())
    assert {path.parent.name for path in tmp_path.rglob("*.wav")} == {"grösse_bitte"}


def test_as_many_takes_as_asked_for_and_no_two_alike(tmp_path) -> None:
    asked = len(voices()) + 30
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
