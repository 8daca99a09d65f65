"""Any text-to-speech program as an engine: a command line that writes a sound file.

It is run once a take, as a list of arguments and never through a shell. A program without a rate or
a pitch to set has one way to speak for each voice, so it can make as many takes as it has voices.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.audio_file import read_audio
from pipeline.espeak_voices import EspeakVoices, Speak
from schemas.errors import AudioError, WakebeamError
from schemas.units import FULL_SCALE

Pcm = npt.NDArray[np.int16]
_RATE_WPM, _PITCH = 175, 50
_LONGEST_S = 600


class SpeechCommand:
    """An engine from a recipe's `speech.command`.

    Args:
        command: arguments with `{text}`, `{voice}`, `{rate_wpm}`, `{pitch}`, `{wav}` in them.
        voices: what `{voice}` stands for.
        folder: where it is run, so that relative paths in it start there.

    Attributes:
        name: tells one command from another, in the names of takes.
        voices, rates_wpm, pitches: what takes are drawn from.
    """

    def __init__(self, command: Sequence[str], voices: Sequence[str], folder: Path) -> None:
        self._command, self._folder = list(command), folder
        self.name = hashlib.sha256("\0".join(command).encode()).hexdigest()[:6]
        used = set(re.findall(r"\{(\w+)\}", " ".join(command)))
        self.voices: Sequence[str] = list(voices)
        self.rates_wpm: Sequence[int] = (_RATE_WPM,)
        self.pitches: Sequence[int] = (_PITCH,)
        if "rate_wpm" in used:
            self.rates_wpm = EspeakVoices.rates_wpm
        if "pitch" in used:
            self.pitches = EspeakVoices.pitches

    @contextmanager
    def open(self) -> Iterator[Speak]:
        """Make a folder for what the program writes."""
        with tempfile.TemporaryDirectory(prefix="wakebeam-speech-") as folder:
            wav = Path(folder) / "take.wav"

            def speak(phrase: str, voice: str, rate_wpm: int, pitch: int) -> tuple[Pcm, int]:
                wav.unlink(missing_ok=True)
                values = {
                    "text": phrase,
                    "voice": voice,
                    "rate_wpm": str(rate_wpm),
                    "pitch": str(pitch),
                    "wav": str(wav),
                }
                self._run(values)
                x, rate = self._read(wav, phrase)
                mono = x.mean(axis=1) * FULL_SCALE
                return np.rint(np.clip(mono, -32768, 32767)).astype(np.int16), rate

            yield speak

    def _run(self, values: dict[str, str]) -> None:
        arguments = [
            re.sub(r"\{(\w+)\}", lambda match: values[match[1]], argument)
            for argument in self._command
        ]
        by_pipe = not any("{text}" in argument for argument in self._command)
        with tempfile.TemporaryFile() as text, tempfile.TemporaryFile() as log:
            text.write(values["text"].encode() if by_pipe else b"")
            text.seek(0)
            try:
                # Files, not pipes: what the program leaves running behind would hold a pipe open.
                done = subprocess.run(
                    arguments,
                    stdin=text,
                    stdout=log,
                    stderr=log,
                    cwd=self._folder,
                    timeout=_LONGEST_S,
                )
            except (OSError, ValueError, subprocess.TimeoutExpired) as error:
                raise WakebeamError(
                    f"the speech engine {arguments[0]!r} can't be run: {error}",
                    fix="correct speech.command in the recipe",
                ) from error
            log.seek(0)
            said = log.read().decode(errors="replace").strip().splitlines()[-3:]
        if done.returncode:
            raise WakebeamError(
                f"{' '.join(arguments)} ended with {done.returncode}: {' / '.join(said)}",
                fix="correct speech.command or speech.voices in the recipe",
            )

    def _read(self, wav: Path, phrase: str) -> tuple[npt.NDArray[np.float32], int]:
        try:
            x, rate = read_audio(wav)
        except (OSError, AudioError) as error:
            raise WakebeamError(
                f"{self._command[0]} wrote no sound for {phrase!r}: {error}",
                expected="a sound file at {wav}",
                fix="correct speech.command in the recipe",
            ) from error
        return x, rate
