r"""Spoken takes without a speaker: phrases in many voices, rates and pitches.

Which voice, rate and pitch a take has is a pure function of (seed, phrase, number); the file's name
says them, so a take that exists needn't be spoken again. Silence is put before and behind it, as a
recorded take has: engines begin with the first sound. A voice is a speaker: the pattern
`__(.+?)__r\d+__p\d+` extracts it, so no voice is heard in two splits. The engine is espeak-ng
(espeak_voices.py) or any command (speech_command.py).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from pipeline.espeak import Espeak
from pipeline.espeak_voices import EspeakVoices, Speak
from pipeline.near_misses import near_misses
from pipeline.wav_file import write_wav
from schemas.errors import RequestError, WakebeamError

Pcm = npt.NDArray[np.int16]
_MUTE_PEAK = 300
_LONGEST_SLUG = 60
_SILENCE_S = 0.1


class Engine(Protocol):
    """What speaks.

    Attributes:
        name: tells it from other engines, in the names of takes.
        voices, rates_wpm, pitches: what takes are drawn from.
    """

    name: str
    voices: Sequence[str]
    rates_wpm: Sequence[int]
    pitches: Sequence[int]

    def open(self) -> AbstractContextManager[Speak]:
        """Start it."""
        ...


def speak_takes(
    phrases: Sequence[str],
    out: Path,
    *,
    num_takes: int,
    seed: int,
    engine: Engine | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[int, int]:
    """Speak each phrase `num_takes` times into `out/<phrase>/`.

    Args:
        phrases: text; for espeak-ng also its phonemes in double brackets, or IPA between slashes.
        out: folder; each phrase gets one in it.
        num_takes: of each phrase.
        seed: decides voices, rates and pitches.
        engine: espeak-ng in English, if not given.
        progress: called with (takes done, takes in all).

    Returns:
        How many takes were spoken, and how many were there already.

    Raises:
        RequestError: an empty phrase, or more takes than there are ways to speak.
        WakebeamError: the engine isn't there or fails, or a take came out mute.
    """
    engine = engine or EspeakVoices()
    most = len(engine.voices) * len(engine.rates_wpm) * len(engine.pitches)
    if num_takes > most:
        raise RequestError(
            f"{num_takes} takes of a phrase",
            expected=f"at most {most}: {len(engine.voices)} voices at {len(engine.rates_wpm)} "
            f"rates and {len(engine.pitches)} pitches",
        )
    takes = {
        _path(out / slug, engine.name, *manner): (phrase, manner)
        for phrase, slug in [(phrase, _slug(phrase)) for phrase in phrases]
        for manner in (_manner(engine, seed, phrase, number) for number in range(num_takes))
    }
    if len(takes) < num_takes * len(phrases):
        raise RequestError(
            "two phrases or two voices would get the same file names",
            expected="phrases that differ in letters, and voices in letters, digits, + . or -",
        )
    missing = [path for path in takes if not path.exists()]
    kept = len(takes) - len(missing)
    if not missing:
        return 0, kept
    with engine.open() as speak:
        for done, path in enumerate(missing):
            if progress is not None:
                progress(kept + done, len(takes))
            phrase, (voice, rate_wpm, pitch) = takes[path]
            samples, sample_rate_hz = speak(phrase, voice, rate_wpm, pitch)
            if np.abs(samples.astype(np.int32)).max(initial=0) < _MUTE_PEAK:
                raise WakebeamError(
                    f"voice {voice!r} says nothing for {phrase!r}", fix="spell the phrase in words"
                )
            write_wav(path, np.pad(samples, round(_SILENCE_S * sample_rate_hz)), sample_rate_hz)
    if progress is not None:
        progress(len(takes), len(takes))
    return len(missing), kept


def speak_near_misses(
    phrase: str,
    out: Path,
    *,
    count: int,
    num_takes: int,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[int, int]:
    """Speak what a phrase is mistaken for (near_misses.py) into a folder for each.

    Arguments and returns as `speak_takes`; `count` near misses of `num_takes` takes each.

    Raises:
        RequestError: as `speak_takes`; or the phrase isn't in letters.
    """
    if phrase.startswith(("[[", "/")):
        raise RequestError(
            f"near misses of {phrase}",
            expected="a phrase in letters, in English: its phonemes are looked up",
        )
    with Espeak() as engine:
        missed = near_misses(engine.phonemes(phrase), count=count, seed=seed)
    spelt = ["[[" + " ".join("".join(word) for word in words) + "]]" for words in missed]
    return speak_takes(spelt, out, num_takes=num_takes, seed=seed, progress=progress)


def _path(folder: Path, engine: str, voice: str, rate_wpm: int, pitch: int) -> Path:
    safe = re.sub(r"[^A-Za-z0-9+.-]+", "-", voice) + f"-{engine}" * bool(engine)
    return folder / f"{folder.name}__{safe}__r{rate_wpm}__p{pitch}.wav"


def _manner(engine: Engine, seed: int, phrase: str, number: int) -> tuple[str, int, int]:
    """Voice, rate and pitch of a take; no two takes of a phrase have all three alike.

    Each round goes through all voices, in an order of its own; each voice goes through all rates
    and pitches, in an order of its own.
    """
    turn, place = divmod(number, len(engine.voices))
    voice = sorted(engine.voices, key=lambda v: _hash(f"{seed}/{phrase}/{turn}/{v}"))[place]
    manners = [(rate, pitch) for rate in engine.rates_wpm for pitch in engine.pitches]
    rate, pitch = sorted(manners, key=lambda m: _hash(f"{seed}/{phrase}/{voice}/{m}"))[turn]
    return voice, rate, pitch


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def _slug(phrase: str) -> str:
    # In phonemes case and marks make the difference.
    spelt = phrase.startswith(("[[", "/"))
    slug = re.sub(r"[\W_]+", "_", phrase if spelt else phrase.casefold()).strip("_")
    if spelt or len(slug) > _LONGEST_SLUG:
        slug = slug[:_LONGEST_SLUG].strip("_")
        slug += "_" + hashlib.sha256(phrase.encode()).hexdigest()[:6]
    if not slug:
        raise RequestError(f"the phrase {phrase!r} has no letter", expected="words to speak")
    return slug
