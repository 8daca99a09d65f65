r"""Spoken takes without a speaker: libespeak-ng in many voices, rates and pitches.

The library comes in the espeakng-loader wheel (GPL-3, the optional extra `tts`). Which voice, rate
and pitch a take has is a pure function of (seed, phrase, number); the file's name says them, so a
take that exists needn't be spoken again. A voice is a speaker: the pattern `__(.+?)__r\d+__p\d+`
extracts it, so no voice is heard in two splits.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from pipeline.espeak import Espeak
from pipeline.near_misses import near_misses
from schemas.errors import RequestError, WakebeamError

ACCENTS = ("en-us", "en", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-029")
VARIANTS: tuple[str, ...] = ("", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "f1", "f4")
# f2, f3 and f5 never say the same thing twice: they have noise in them that has no seed.
VARIANTS += ("klatt", "klatt2", "klatt3", "klatt4", "Andy", "Alex", "linda", "steph", "grandpa")
RATES_WPM = (130, 145, 160, 175, 190, 205, 220)
PITCHES = (25, 35, 45, 55, 65, 75)

_MUTE_PEAK = 300


def voices() -> list[str]:
    """Return the voices that takes are drawn from, e.g. `en-us+f3`."""
    return [f"{accent}+{v}" if v else accent for accent in ACCENTS for v in VARIANTS]


def speak_takes(
    phrases: Sequence[str],
    out: Path,
    *,
    num_takes: int,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[int, int]:
    """Speak each phrase `num_takes` times into `out/<phrase>/`.

    Args:
        phrases: text in English.
        out: folder; each phrase gets one in it.
        num_takes: of each phrase.
        seed: decides voices, rates and pitches.
        progress: called with (takes done, takes in all).

    Returns:
        How many takes were spoken, and how many were there already.

    Raises:
        RequestError: an empty phrase, or more takes than there are ways to speak.
        WakebeamError: the extra `tts` isn't installed, or a take came out mute.
    """
    most = len(voices()) * len(RATES_WPM) * len(PITCHES)
    if num_takes > most:
        raise RequestError(f"{num_takes} takes of a phrase", expected=f"at most {most}")
    takes = {
        _path(out / slug, *manner): (phrase, manner)
        for phrase, slug in [(phrase, _slug(phrase)) for phrase in phrases]
        for manner in (_manner(seed, phrase, number) for number in range(num_takes))
    }
    missing = [path for path in takes if not path.exists()]
    kept = len(takes) - len(missing)
    if not missing:
        return 0, kept
    with Espeak() as engine:
        for done, path in enumerate(missing):
            if progress is not None:
                progress(kept + done, len(takes))
            phrase, (voice, rate, pitch) = takes[path]
            samples = engine.speak(phrase, voice, rate, pitch)
            if np.abs(samples.astype(np.int32)).max(initial=0) < _MUTE_PEAK:
                raise WakebeamError(
                    f"voice {voice!r} says nothing for {phrase!r}", fix="spell the phrase in words"
                )
            _write(path, samples, engine.sample_rate_hz)
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
    """
    with Espeak() as engine:
        missed = near_misses(engine.phonemes(phrase), count=count, seed=seed)
    spelt = ["[[" + " ".join("".join(word) for word in words) + "]]" for words in missed]
    return speak_takes(spelt, out, num_takes=num_takes, seed=seed, progress=progress)


def _path(folder: Path, voice: str, rate_wpm: int, pitch: int) -> Path:
    return folder / f"{folder.name}__{voice}__r{rate_wpm}__p{pitch}.wav"


def _manner(seed: int, phrase: str, number: int) -> tuple[str, int, int]:
    """Voice, rate and pitch of a take; no two takes of a phrase have all three alike.

    Each round goes through all voices, in an order of its own; each voice goes through all rates
    and pitches, in an order of its own.
    """
    every = voices()
    turn, place = divmod(number, len(every))
    voice = sorted(every, key=lambda v: _hash(f"{seed}/{phrase}/{turn}/{v}"))[place]
    manners = [(rate, pitch) for rate in RATES_WPM for pitch in PITCHES]
    rate, pitch = sorted(manners, key=lambda m: _hash(f"{seed}/{phrase}/{voice}/{m}"))[turn]
    return voice, rate, pitch


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def _slug(phrase: str) -> str:
    spelt = phrase.startswith("[[")  # in phonemes, where case and marks make the difference
    slug = re.sub(r"\W+", "_", phrase if spelt else phrase.casefold()).strip("_")[:60]
    if spelt:
        slug += "_" + hashlib.sha256(phrase.encode()).hexdigest()[:6]
    if not slug:
        raise RequestError(f"the phrase {phrase!r} has no letter", expected="words to speak")
    return slug


def _write(path: Path, samples: npt.NDArray[np.int16], sample_rate_hz: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".writing")
    soundfile.write(temporary, samples, sample_rate_hz, subtype="PCM_16", format="WAV")
    os.replace(temporary, path)
