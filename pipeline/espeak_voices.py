"""espeak-ng's voices: an accent or a language, spoken by one of the library's variants."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt

from pipeline.espeak import Espeak
from pipeline.ipa import mnemonics
from schemas.errors import RequestError

Speak = Callable[[str, str, int, int], tuple[npt.NDArray[np.int16], int]]
"""(phrase, voice, rate_wpm, pitch) to samples and their rate in Hz."""

ACCENTS = ("en-us", "en", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-029")
VARIANTS: tuple[str, ...] = ("", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "f1", "f4")
# f2, f3 and f5 never say the same thing twice: they have noise in them that has no seed.
VARIANTS += ("klatt", "klatt2", "klatt3", "klatt4", "Andy", "Alex", "linda", "steph", "grandpa")


class EspeakVoices:
    """The engine that comes with the extra `tts`.

    Args:
        languages: `en` stands for six accents; others are the library's codes, such as `de`.

    Attributes:
        name: none, as it is the engine that is meant where none is named.
        voices: e.g. `en-us+f4`.
        rates_wpm, pitches: what takes are drawn from.
    """

    name = ""
    rates_wpm: Sequence[int] = (130, 145, 160, 175, 190, 205, 220)
    pitches: Sequence[int] = (25, 35, 45, 55, 65, 75)

    def __init__(self, languages: Sequence[str] = ("en",)) -> None:
        accents: list[str] = []
        for language in languages:
            accents += ACCENTS if language == "en" else [language]
        self._accents = list(dict.fromkeys(accents))
        self.voices: Sequence[str] = [
            f"{accent}+{v}" if v else accent for accent in self._accents for v in VARIANTS
        ]

    @contextmanager
    def open(self) -> Iterator[Speak]:
        """Start the library.

        Raises:
            RequestError: it doesn't know a language.
            WakebeamError: the extra `tts` isn't installed.
        """
        with Espeak() as engine:
            for accent in self._accents:
                if not engine.knows(accent):
                    raise RequestError(
                        f"espeak-ng has no language {accent!r}",
                        expected="one of its codes, such as en, de, fr-fr, es, zh",
                    )
            yield lambda phrase, voice, rate_wpm, pitch: (
                engine.speak(mnemonics(phrase), voice, rate_wpm, pitch),
                engine.sample_rate_hz,
            )
