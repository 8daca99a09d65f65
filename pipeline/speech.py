r"""Spoken takes without a speaker: libespeak-ng in many voices, rates and pitches.

The library comes in the espeakng-loader wheel (GPL-3, the optional extra `tts`) and is called
in-process. Which voice, rate and pitch a take has is a pure function of (seed, phrase, number); the
file's name says them, so a take that exists needn't be spoken again. A voice is a speaker: the
pattern `__(.+?)__r\d+__p\d+` extracts it, so no voice is heard in two splits.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from schemas.errors import RequestError, WakebeamError

ACCENTS = ("en-us", "en", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-029")
VARIANTS: tuple[str, ...] = ("", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "f1", "f4")
# f2, f3 and f5 never say the same thing twice: they have noise in them that has no seed.
VARIANTS += ("klatt", "klatt2", "klatt3", "klatt4", "Andy", "Alex", "linda", "steph", "grandpa")
RATES_WPM = (130, 145, 160, 175, 190, 205, 220)
PITCHES = (25, 35, 45, 55, 65, 75)

_SYNCHRONOUS = 2
_RATE, _PITCH = 1, 3
_UTF8 = 1
_MUTE_PEAK = 300
_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


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
        RequestError: an empty phrase.
        WakebeamError: the extra `tts` isn't installed, or a take came out mute.
    """
    slugs = [_slug(phrase) for phrase in phrases]
    engine: _Engine | None = None
    made = kept = 0
    for phrase, slug in zip(phrases, slugs, strict=True):
        folder = out / slug
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(num_takes):
            voice, rate, pitch = _manner(seed, phrase, number)
            path = folder / f"{slug}__{voice}__r{rate}__p{pitch}.wav"
            if path.exists():
                kept += 1
            else:
                engine = engine or _Engine()
                _write(path, engine.speak(phrase, voice, rate, pitch), engine.sample_rate_hz)
                made += 1
            if progress is not None:
                progress(made + kept, len(phrases) * num_takes)
    return made, kept


class _Engine:
    """The library, initialised once and never spoken with in this process."""

    def __init__(self) -> None:
        try:
            import espeakng_loader
        except ImportError as error:
            raise WakebeamError(
                "speaking needs libespeak-ng",
                fix="install it with: pip install 'wakebeam[tts]'",
            ) from error
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        self._data = os.fsencode(espeakng_loader.get_data_path())
        self._chunks: list[npt.NDArray[np.int16]] = []
        self._callback = _Callback(self._receive)
        self.sample_rate_hz = self._begin()
        if self.sample_rate_hz <= 0:
            raise WakebeamError(
                "libespeak-ng found no voice data",
                fix="install the environment under a shorter path (the library allows 160 letters)",
            )

    def speak(self, phrase: str, voice: str, rate_wpm: int, pitch: int) -> npt.NDArray[np.int16]:
        """Return (num_samples,) int16 at `sample_rate_hz`, whatever was spoken before.

        The library carries state from one take to the next and can't be set back, so a child
        process speaks, from the state in which the library was before it said anything.
        """
        read_end, write_end = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.close(read_end)
                with os.fdopen(write_end, "wb") as pipe:
                    pipe.write(self._spoken(phrase, voice, rate_wpm, pitch))
            finally:
                os._exit(0)
        os.close(write_end)
        with os.fdopen(read_end, "rb") as pipe:
            samples = np.frombuffer(pipe.read(), dtype=np.int16)
        os.waitpid(child, 0)
        if np.abs(samples.astype(np.int32)).max(initial=0) < _MUTE_PEAK:
            raise WakebeamError(
                f"voice {voice!r} says nothing for {phrase!r}", fix="spell the phrase in words"
            )
        return samples

    def _spoken(self, phrase: str, voice: str, rate_wpm: int, pitch: int) -> bytes:
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            return b""
        self._library.espeak_SetParameter(_RATE, rate_wpm, 0)
        self._library.espeak_SetParameter(_PITCH, pitch, 0)
        self._chunks = []
        text = phrase.encode("utf-8") + b"\0"
        size = ctypes.c_size_t(len(text))
        self._library.espeak_Synth(text, size, 0, 1, 0, _UTF8, None, None)
        self._library.espeak_Synchronize()
        return b"".join(chunk.tobytes() for chunk in self._chunks)

    def _begin(self) -> int:
        rate = int(self._library.espeak_Initialize(_SYNCHRONOUS, 0, self._data, 0))
        self._library.espeak_SetSynthCallback(self._callback)
        return rate

    def _receive(self, samples: ctypes._Pointer[ctypes.c_short], count: int, _: object) -> int:
        if samples and count > 0:
            self._chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0


def _manner(seed: int, phrase: str, number: int) -> tuple[str, int, int]:
    """Voice, rate and pitch of a take: voices in an order of their own for each phrase."""
    every = voices()
    order = sorted(every, key=lambda v: _hash(f"{seed}/{phrase}/{number // len(every)}/{v}"))
    draw = _hash(f"{seed}/{phrase}/{number}")
    rate = RATES_WPM[draw % len(RATES_WPM)]
    return order[number % len(every)], rate, PITCHES[draw // len(RATES_WPM) % len(PITCHES)]


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def _slug(phrase: str) -> str:
    slug = re.sub(r"\W+", "_", phrase.casefold()).strip("_")[:60]
    if not slug:
        raise RequestError(f"the phrase {phrase!r} has no letter", expected="words to speak")
    return slug


def _write(path: Path, samples: npt.NDArray[np.int16], sample_rate_hz: int) -> None:
    temporary = path.with_suffix(".writing")
    soundfile.write(temporary, samples, sample_rate_hz, subtype="PCM_16", format="WAV")
    os.replace(temporary, path)
