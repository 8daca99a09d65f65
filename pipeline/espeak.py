"""libespeak-ng in a process of its own.

The library carries state from one take to the next and can't be set back. So a small server process
initialises it and speaks each take in a fork of itself: every take starts from the state in which
the library has said nothing. The server has one thread, so forking is safe there, which it would
not be in a process that runs TensorFlow or Beam.

    Espeak ── a JSON line per take ──► python -m pipeline.espeak ── fork ──► int16 samples
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
from types import TracebackType
from typing import IO, Self

import numpy as np
import numpy.typing as npt

from schemas.errors import WakebeamError

_SYNCHRONOUS = 2
_RATE, _PITCH = 1, 3
_UTF8, _PHONEMES = 1, 0x100
_LENGTH_BYTES = 8


class Espeak:
    """The library, spoken with over a pipe; a context manager.

    Attributes:
        sample_rate_hz: of everything that it says.

    Raises:
        WakebeamError: the extra `tts` isn't installed, or the library finds no voices.
    """

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-P", "-m", "pipeline.espeak"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        first = self._from_server.readline()
        hello: dict[str, str] = (
            json.loads(first) if first else {"error": "libespeak-ng could not be started"}
        )
        if "error" in hello:
            self.close()
            raise WakebeamError(hello["error"], fix=hello.get("fix", ""))
        self.sample_rate_hz = int(hello["sample_rate_hz"])

    def speak(self, phrase: str, voice: str, rate_wpm: int, pitch: int) -> npt.NDArray[np.int16]:
        """Return (num_samples,) int16, whatever was spoken before; empty for an unknown voice.

        A phrase in double brackets is spelt in the library's phonemes: `[[h@l'oU]]`.
        """
        request = {"phrase": phrase, "voice": voice, "rate_wpm": rate_wpm, "pitch": pitch}
        return np.frombuffer(self._ask("samples", request), dtype="<i2")

    def phonemes(self, phrase: str, voice: str = "en-us") -> list[tuple[str, ...]]:
        """Return the phonemes of each word, in the library's mnemonics."""
        text = self._ask("phonemes", {"phrase": phrase, "voice": voice}).decode()
        return [tuple(word.split("_")) for word in text.split()]

    def knows(self, voice: str) -> bool:
        """Return whether the library has a voice of this name."""
        return self._ask("knows", {"voice": voice}) == b"yes"

    def _ask(self, what: str, request: dict[str, object]) -> bytes:
        self._to_server.write(json.dumps([what, request]).encode() + b"\n")
        self._to_server.flush()
        size = int.from_bytes(self._from_server.read(_LENGTH_BYTES), "little")
        return self._from_server.read(size)

    def close(self) -> None:
        """End the server."""
        self._to_server.close()
        self._from_server.close()
        self._server.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def _to_server(self) -> IO[bytes]:
        assert self._server.stdin is not None  # noqa: S101 - it was opened as a pipe
        return self._server.stdin

    @property
    def _from_server(self) -> IO[bytes]:
        assert self._server.stdout is not None  # noqa: S101 - it was opened as a pipe
        return self._server.stdout


class _Library:
    """The library itself, in the server and its forks."""

    _CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)

    def __init__(self) -> None:
        import espeakng_loader

        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = os.fsencode(espeakng_loader.get_data_path())
        self._chunks: list[bytes] = []
        self._callback = self._CALLBACK(self._receive)
        self.sample_rate_hz = int(self._library.espeak_Initialize(_SYNCHRONOUS, 0, data, 0))
        self._library.espeak_SetSynthCallback(self._callback)

    def samples(self, phrase: str, voice: str, rate_wpm: int, pitch: int) -> bytes:
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            return b""
        self._library.espeak_SetParameter(_RATE, rate_wpm, 0)
        self._library.espeak_SetParameter(_PITCH, pitch, 0)
        text = phrase.encode("utf-8") + b"\0"
        size = ctypes.c_size_t(len(text))
        self._library.espeak_Synth(text, size, 0, 1, 0, _UTF8 | _PHONEMES, None, None)
        self._library.espeak_Synchronize()
        return b"".join(self._chunks)

    def knows(self, voice: str) -> bytes:
        return b"yes" if self._library.espeak_SetVoiceByName(voice.encode()) == 0 else b"no"

    def phonemes(self, phrase: str, voice: str) -> bytes:
        self._library.espeak_SetVoiceByName(voice.encode())
        self._library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        rest = ctypes.c_char_p(phrase.encode("utf-8"))
        clauses = []
        while rest.value:
            clauses.append(
                self._library.espeak_TextToPhonemes(ctypes.byref(rest), _UTF8, ord("_") << 8)
            )
        return b" ".join(clauses)

    def _receive(self, samples: int | None, count: int, _: object) -> int:
        if samples and count > 0:
            self._chunks.append(ctypes.string_at(samples, 2 * count))
        return 0


def _serve(requests: IO[bytes], replies: IO[bytes]) -> None:
    hello: dict[str, object]
    try:
        library = _Library()
        hello = {"sample_rate_hz": library.sample_rate_hz}
        if library.sample_rate_hz <= 0:
            hello = {
                "error": "libespeak-ng found no voice data",
                "fix": "install the environment under a shorter path (160 letters at most)",
            }
    except ImportError:
        hello = {
            "error": "speaking needs libespeak-ng",
            "fix": "install it with: pip install 'wakebeam[tts]'",
        }
    replies.write(json.dumps(hello).encode() + b"\n")
    replies.flush()
    if "error" in hello:
        return
    for line in requests:
        what, request = json.loads(line)
        child = os.fork()
        if child == 0:
            try:
                reply = getattr(library, what)(**request)
                replies.write(len(reply).to_bytes(_LENGTH_BYTES, "little") + reply)
                replies.flush()
            finally:
                os._exit(0)
        os.waitpid(child, 0)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the pipe ends, and we with it
    # The library's own messages go to stderr: stdout carries the replies alone.
    _replies = os.dup(1)
    os.dup2(2, 1)
    with os.fdopen(_replies, "wb") as _pipe:
        _serve(sys.stdin.buffer, _pipe)
