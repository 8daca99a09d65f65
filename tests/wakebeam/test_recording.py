"""Takes by voice and by key, judged at once, undone, gone on with; no microphone is needed."""

from __future__ import annotations

import queue
from pathlib import Path

import numpy as np
import pytest
import soundfile

from models.live_buffer import Piece
from schemas.errors import RequestError
from wakebeam.detecting import Stopped
from wakebeam.recording import (
    LICENCE_NAME,
    TakeFolder,
    Told,
    record_ambient,
    record_takes,
    write_licence,
)
from wakebeam.take_watcher import TakeWatcher

RATE = 16_000


def _room(seconds: float, seed: int = 0) -> np.ndarray:
    """A quiet room with a hum louder than its hiss."""
    n = round(seconds * RATE)
    rng = np.random.default_rng(seed)
    hum = 0.01 * np.sin(2 * np.pi * 50 * np.arange(n) / RATE)
    return (hum + 0.0005 * rng.standard_normal(n)).astype(np.float32)


def _said(seconds: float, level: float = 0.2) -> np.ndarray:
    """A voice that swells, with a pause of 0.3 s in the middle of what is longer than a second."""
    n = np.arange(round(seconds * RATE))
    x = level * np.sin(2 * np.pi * 300 * n / RATE) * np.hanning(len(n)) ** 0.25
    if seconds > 1:
        x[len(n) // 2 : len(n) // 2 + round(0.3 * RATE)] = 0.0
    return x.astype(np.float32)


def _session(*parts: float | np.ndarray) -> np.ndarray:
    """Silences (seconds) and sounds, over the room's own noise."""
    sounds = [np.zeros(round(p * RATE)) if isinstance(p, float) else p for p in parts]
    x = np.concatenate(sounds).astype(np.float32)
    return x + _room(len(x) / RATE)[: len(x)]


def _record(
    folder: TakeFolder,
    x: np.ndarray,
    wanted: int,
    typed: dict[int, str] | None = None,
    *,
    lost_before: int | None = None,
    waits: bool = False,
) -> list[str]:
    """Hear `x` in packets of 0.1 s; `typed` is what is typed before a packet."""
    keys: queue.Queue[str] = queue.Queue()
    verdicts: list[str] = []

    def pieces():
        for number, packet in enumerate(np.split(x, range(1600, len(x), 1600))):
            if number in (typed or {}):
                keys.put(typed[number])
            lost = 800 if number == lost_before else 0
            yield Piece((packet * 32767).astype(np.int16)[:, None], lost)

    told = Told(status=lambda line: None, verdict=lambda text, take: verdicts.append(text))
    record_takes(pieces(), RATE, folder, wanted, keys, told, waits=waits)
    return verdicts


@pytest.mark.parametrize("seconds", [0.3, 0.8, 1.6, 4.0])
def test_R46_takes_of_any_length_end_by_voice_and_hold_the_active_part(tmp_path, seconds) -> None:
    """The file's samples are those of the session from 0.2 s before the word to 0.2 s after it."""
    x = _session(1.0, _said(seconds), 1.5)
    verdicts = _record(TakeFolder(tmp_path, "anna"), x, 1)
    assert verdicts == [f"kept: anna__0001.wav, {verdicts[0].split()[-2]} s"]
    take, rate = soundfile.read(tmp_path / "anna__0001.wav", dtype="int16")
    assert rate == RATE
    whole = (x * 32767).astype(np.int16)
    places = np.flatnonzero(whole[: len(whole) - len(take) + 1] == take[0])
    (begin,) = [at for at in places if np.array_equal(whole[at : at + len(take)], take)]
    assert begin / RATE == pytest.approx(1.0 - 0.2, abs=0.06)
    assert (begin + len(take)) / RATE == pytest.approx(1.0 + seconds + 0.2, abs=0.06)


def test_R46_a_key_ends_a_take_that_the_room_is_too_loud_to_end(tmp_path) -> None:
    x = _session(1.0, _said(0.8), 2.0)
    x[2 * RATE :] += 0.006 * np.random.default_rng(1).standard_normal(len(x) - 2 * RATE)
    assert TakeWatcher(RATE).hear(x) is None, "no end by voice"
    verdicts = _record(TakeFolder(tmp_path, "anna"), x, 1, typed={27: "\n"})
    assert len(verdicts) == 1
    assert verdicts[0].startswith("kept")


@pytest.mark.parametrize(
    ("x", "typed", "says"),
    [
        (_session(1.0, np.clip(8 * _said(0.8), -1, 1), 1.5), {}, "clipped"),
        (_session(1.0, _said(0.8, level=0.005), 1.5) - _room(3.3), {25: ""}, "quiet"),
        (_session(3.0), {25: ""}, "noisy"),
        (_session(1.0, _said(0.9)), {14: ""}, "cut off at its end"),
    ],
)
def test_a_bad_take_is_named_and_not_kept(tmp_path, x, typed, says) -> None:
    """The soft one isn't told from the room by voice; a key ends it."""
    verdicts = _record(TakeFolder(tmp_path, "anna"), np.clip(x, -1, 1), 1, typed)
    assert len(verdicts) == 1
    assert verdicts[0].startswith("not kept")
    assert says in verdicts[0]
    assert list(tmp_path.iterdir()) == []


def test_undo_and_going_on_another_day(tmp_path) -> None:
    three = _session(1.0, _said(0.6), 1.5, _said(0.7), 1.5, _said(0.8), 1.5)
    verdicts = _record(TakeFolder(tmp_path, "anna"), three, 3, typed={47: "u"})
    assert [line.split()[0] for line in verdicts] == ["kept:", "kept:", "taken", "kept:"]
    assert sorted(p.name for p in tmp_path.glob("*.wav")) == ["anna__0001.wav", "anna__0002.wav"]
    again = TakeFolder(tmp_path, "anna")
    assert len(again) == 2
    assert again.undo() is None, "what was recorded another day is not taken back"
    _record(again, three, 3)
    assert len(again) == 3
    assert len(TakeFolder(tmp_path, "bert")) == 0
    quit_at_once = _record(TakeFolder(tmp_path, "bert"), three, 3, typed={0: "q"})
    assert quit_at_once == []


def test_the_last_take_can_be_taken_back_where_somebody_is_asked(tmp_path) -> None:
    """Packets 0 to 21 hold the first word, 22 to 43 the second."""
    two = _session(1.0, _said(0.6), 1.5, _said(0.7), 1.5)
    in_a_pipe = _record(TakeFolder(tmp_path / "pipe", "anna"), two, 1, typed={24: "u"})
    assert [line.split()[0] for line in in_a_pipe] == ["kept:"], "nobody is waited for"
    asked = _record(TakeFolder(tmp_path / "asked", "anna"), two, 1, {24: "u"}, waits=True)
    assert [line.split()[0] for line in asked] == ["kept:", "taken", "kept:"]
    kept, _ = soundfile.read(tmp_path / "asked/anna__0001.wav")
    assert len(kept) / RATE == pytest.approx(0.7 + 0.4, abs=0.06), "the second word"
    for key in ("", "q"):
        folder = TakeFolder(tmp_path / f"ended by {key}", "anna")
        typed = {24: key, 26: "u"}
        ended = _record(folder, two, 1, typed, waits=True)
        assert [line.split()[0] for line in ended] == ["kept:"]
    full = _record(TakeFolder(tmp_path / "asked", "anna"), two, 1, {0: "u"}, waits=True)
    assert full == [], "there was nothing to do"


@pytest.mark.parametrize(("lost_before", "kept"), [(2, True), (13, False), (30, True)])
def test_a_take_with_a_hole_in_it_is_not_kept(tmp_path, lost_before, kept) -> None:
    """The word sounds from packet 10 to packet 19, and is over at 26."""
    x = _session(1.0, _said(1.0), 1.5)
    verdicts = _record(TakeFolder(tmp_path, "anna"), x, 1, lost_before=lost_before)
    assert len(verdicts) == 1
    assert verdicts[0].startswith("kept:") == kept
    assert ("sound was lost" in verdicts[0]) != kept
    assert len(list(tmp_path.iterdir())) == kept


def test_no_take_is_heard_in_a_room_alone() -> None:
    watcher = TakeWatcher(RATE)
    for packet in np.split(_room(20.0), 200):
        assert watcher.hear(packet) is None
    assert not watcher.speaks


def test_any_packets_give_the_same_takes() -> None:
    x = _session(1.0, _said(0.9), 1.5)
    found = []
    for size in (160, 441, 5000, len(x)):
        watcher = TakeWatcher(RATE)
        takes = [watcher.hear(part) for part in np.split(x, range(size, len(x), size))]
        found.append([take for take in takes if take is not None])
    for takes in found:
        assert len(takes) == 1
        np.testing.assert_array_equal(takes[0], found[0][0])


def test_licence_and_consent_lie_beside_the_takes(tmp_path: Path) -> None:
    write_licence(tmp_path / "kw", "CC0-1.0", "Anna")
    write_licence(tmp_path / "kw", "CC0-1.0", "Bert")
    lines = (tmp_path / "kw" / LICENCE_NAME).read_text(encoding="utf-8").splitlines()
    assert lines[0] == "CC0-1.0"
    assert [line.split()[0] for line in lines[1:]] == ["Anna", "Bert"]
    with pytest.raises(RequestError, match="under 'CC0-1.0'"):
        write_licence(tmp_path / "kw", "all mine", "Carl")


def test_the_room_is_recorded_to_the_sample(tmp_path) -> None:
    parts = np.split(_room(3.0), 30)
    pieces = (Piece((x * 32767).astype(np.int16), 160 * (i == 7)) for i, x in enumerate(parts))
    told: list[tuple[int, int]] = []
    path = tmp_path / "room.wav"
    made = record_ambient(pieces, RATE, path, 2.5, lambda *done: told.append(done))
    assert made == (2.5, 0.01)
    assert soundfile.info(path).frames == 2.5 * RATE
    assert told[-1] == (2, 2)


def test_a_room_that_is_broken_off_is_kept_whole(tmp_path) -> None:
    def pieces(num: int):
        for packet in np.split(_room(3.0), 30)[:num]:
            yield Piece((packet * 32767).astype(np.int16), 0)
        raise Stopped

    made = record_ambient(pieces(7), RATE, tmp_path / "room.wav", 2.5, lambda *done: None)
    assert made == (0.7, 0.0)
    heard, _ = soundfile.read(tmp_path / "room.wav", dtype="int16")
    np.testing.assert_array_equal(heard, (_room(3.0)[: len(heard)] * 32767).astype(np.int16))
    assert len(heard) == 0.7 * RATE
    none = record_ambient(pieces(0), RATE, tmp_path / "none.wav", 2.5, lambda *done: None)
    assert none.kept_s == 0.0
    assert [path.name for path in tmp_path.iterdir()] == ["room.wav"]
