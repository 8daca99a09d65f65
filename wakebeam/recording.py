"""`wakebeam record`: takes of a keyword, one after the other, each with a verdict at once.

microphone ─► TakeWatcher ─► verdict ─► takes/KEYWORD/SPEAKER__0001.wav

A take that is clipped, too quiet, noisy, cut off or has a hole in it isn't kept. The folder's files
are the state: a recording that was stopped goes on where it was, and `undo` takes the last file
away. Licence and consent lie beside the takes (`LICENCE.txt`, which `wakebeam` reads into every
data set).
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import queue
import re
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import soundfile

from models.live_buffer import Piece
from models.streaming import as_mono
from pipeline.activity import find_active
from pipeline.quality import faults, measure
from pipeline.text_file import replace_text
from pipeline.wav_file import replaced_wav
from schemas.errors import AudioError, RequestError
from wakebeam.cutting import plain
from wakebeam.detecting import Stopped
from wakebeam.take_watcher import FloatArray, TakeWatcher

_AROUND_S = 0.2
LICENCE_NAME = "LICENCE.txt"
STOP, UNDO, QUIT = "", "u", "q"
"""What is typed: Enter ends a take, `u` takes the last one back, `q` goes."""


@dataclass(frozen=True)
class Told:
    """What happens, for whoever shows it.

    Attributes:
        status: called with a line.
        verdict: called with a line and, where a take was kept, its file.
        level: called with the level in dB re full scale, and whether a take has begun.
    """

    status: Callable[[str], None]
    verdict: Callable[[str, Path | None], None]
    level: Callable[[float, bool], None] = lambda level_db, speaks: None


class AmbientLength(NamedTuple):
    """How much of a room was recorded, and how much the machine was too late for."""

    kept_s: float
    lost_s: float


class TakeFolder:
    """The takes of one speaker in a folder.

    Args:
        folder: of the keyword.
        speaker: in the names of files, so that no speaker reaches two splits.
    """

    def __init__(self, folder: Path, speaker: str) -> None:
        self._folder, self._speaker = folder, plain(speaker) or "speaker"
        self._made: list[Path] = []

    def __len__(self) -> int:
        return len(self._numbers())

    @property
    def num_made(self) -> int:
        """Takes of this session, which can be taken back."""
        return len(self._made)

    def add(self, samples: FloatArray, sample_rate_hz: int) -> Path:
        """Write the next take; of several who add at once each gets a number of its own."""
        self._folder.mkdir(parents=True, exist_ok=True)
        temporary = self._folder / f".{secrets.token_hex(8)}.writing"
        try:
            soundfile.write(temporary, samples, sample_rate_hz, subtype="PCM_16", format="WAV")
            for number in itertools.count(max(self._numbers(), default=0) + 1):
                path = self._folder / f"{self._speaker}__{number:04d}.wav"
                with contextlib.suppress(FileExistsError):
                    path.open("xb").close()
                    break
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        self._made.append(path)
        return path

    def undo(self) -> Path | None:
        """Remove the last take of this session; None if there is none."""
        if not self._made:
            return None
        path = self._made.pop()
        path.unlink(missing_ok=True)
        return path

    def _numbers(self) -> list[int]:
        pattern = re.compile(rf"{re.escape(self._speaker)}__(\d+)\.wav")
        found = (pattern.fullmatch(path.name) for path in self._folder.glob("*.wav"))
        return [int(match[1]) for match in found if match]


def record_takes(
    pieces: Iterable[Piece],
    sample_rate_hz: int,
    folder: TakeFolder,
    wanted: int,
    keys: queue.Queue[str],
    told: Told,
    *,
    waits: bool = False,
) -> None:
    """Record until there are so many takes, or `q`.

    Args:
        pieces: the microphone.
        sample_rate_hz: its rate.
        folder: gets the takes.
        wanted: how many it shall hold.
        keys: what is typed, a line each.
        told: hears of each take.
        waits: after the last take, for Enter or `q`, so that it can be taken back.
    """
    watcher = TakeWatcher(sample_rate_hz)
    unbroken: float = math.inf  # samples since some were lost
    _ask_for_next(folder, wanted, told)
    for piece in pieces:
        full = len(folder) >= wanted
        if full and not (waits and folder.num_made):
            break
        x = as_mono(piece.samples)
        unbroken = (0 if piece.num_lost else unbroken) + len(x)
        key = _next(keys)
        if key == QUIT or (full and key == STOP):
            break
        take = None
        if not full:
            take = watcher.hear(x)
            told.level(watcher.level_db, watcher.speaks)
        if key == UNDO:
            gone = folder.undo()
            told.verdict(f"taken back: {gone.name}" if gone else "nothing to take back", None)
            _ask_for_next(folder, wanted, told)
        elif key == STOP:
            take = watcher.finish()
        if take is None:
            continue
        if unbroken - len(x) < len(take):
            told.verdict("not kept: sound was lost", None)
        else:
            _judge(take, sample_rate_hz, folder, told)
        if len(folder) < wanted or waits:
            _ask_for_next(folder, wanted, told)


def record_ambient(
    pieces: Iterable[Piece],
    sample_rate_hz: int,
    path: Path,
    seconds: float,
    progress: Callable[[int, int], None],
) -> AmbientLength:
    """Write so much of the room's sound to one file, or what there was of it before `Stopped`.

    Args:
        pieces: the microphone.
        sample_rate_hz: its rate.
        path: ends in `.wav`; there whole or, where nothing was heard, not at all.
        seconds: how much.
        progress: called with (seconds done, seconds in all).
    """
    most = round(seconds * sample_rate_hz)
    kept = lost = 0
    with contextlib.suppress(Stopped), replaced_wav(path) as temporary:
        how = {"samplerate": sample_rate_hz, "channels": 1, "subtype": "PCM_16", "format": "WAV"}
        with soundfile.SoundFile(temporary, "w", **how) as file, contextlib.suppress(Stopped):
            for piece in pieces:
                lost += piece.num_lost
                file.write(as_mono(piece.samples)[: most - kept])
                kept = file.tell()
                progress(kept // sample_rate_hz, round(seconds))
                if kept >= most:
                    break
        if not kept:
            raise Stopped  # so that no empty file is made
    return AmbientLength(kept / sample_rate_hz, lost / sample_rate_hz)


def cut_take(x: FloatArray, sample_rate_hz: int) -> tuple[FloatArray, list[str]]:
    """Cut a take to 0.2 s around its sound, and say what is wrong with it.

    Raises:
        AudioError: silent, or too short.
    """
    region = find_active(x, sample_rate_hz)
    around = round(_AROUND_S * sample_rate_hz)
    cut = x[max(0, region.start - around) : region.stop + around]
    return cut, faults([measure(x, sample_rate_hz)])[0]


def check_licence(folder: Path, licence: str) -> list[str]:
    """Return the lines of a folder's licence; none where it has none.

    Raises:
        RequestError: the takes that are there have another licence.
    """
    path = folder / LICENCE_NAME
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    if lines and lines[0] != licence:
        raise RequestError(
            f"the takes in {folder} are under {lines[0]!r}", expected=f"the same, not {licence!r}",
            fix="name another folder with --out",
        )  # fmt: skip
    return lines


def write_licence(folder: Path, licence: str, speaker: str) -> None:
    """Put the licence, and who agreed to it when, beside the takes.

    Raises:
        RequestError: the takes that are there have another licence.
    """
    lines = check_licence(folder, licence)
    consent = f"{speaker} agreed on {time.strftime('%Y-%m-%d')} to these recordings being used so"
    if consent not in lines:
        folder.mkdir(parents=True, exist_ok=True)
        text = "\n".join([licence, *lines[1:], consent]) + "\n"
        replace_text(folder / LICENCE_NAME, text)


def _ask_for_next(folder: TakeFolder, wanted: int, told: Told) -> None:
    if len(folder) < wanted:
        told.status(f"take {len(folder) + 1} of {wanted}: say it")
    elif folder.num_made:
        told.status(f"all {wanted} are there: u takes the last one back, Enter ends")


def _judge(take: FloatArray, rate: int, folder: TakeFolder, told: Told) -> None:
    try:
        cut, wrong = cut_take(take, rate)
    except AudioError as error:
        told.verdict(f"not kept: {error.received}", None)
        return
    if wrong:
        told.verdict(f"not kept: {'; '.join(wrong)}", None)
        return
    path = folder.add(cut, rate)
    told.verdict(f"kept: {path.name}, {len(cut) / rate:.2f} s", path)


def _next(keys: queue.Queue[str]) -> str | None:
    try:
        return keys.get_nowait().strip().lower()[:1]
    except queue.Empty:
        return None
