"""A sound card for tests: `sounddevice` as far as wakebeam uses it, where PYTHONPATH begins here.

It hears the file FAKE_CARD_HEARS again and again, four times as fast as the clock.
"""

from __future__ import annotations

import os
import threading
from types import SimpleNamespace
from typing import Any

import numpy as np
import soundfile

_PACKET_S, _HASTE = 0.1, 4.0


class PortAudioError(Exception):
    """What PortAudio raises."""


def query_devices() -> list[dict[str, Any]]:
    return [
        {"name": "fake microphone", "max_input_channels": 1, "max_output_channels": 0},
        {"name": "fake loudspeaker", "max_input_channels": 0, "max_output_channels": 2},
    ]


def check_input_settings(*, device: int | str | None, channels: int, samplerate: int) -> None:
    if device not in (None, 0, "fake microphone"):
        raise ValueError(f"No input device matching {device!r}")


class InputStream:
    def __init__(self, *, callback: Any, samplerate: int, **how: Any) -> None:
        self._callback, self._rate = callback, samplerate
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> InputStream:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._closed.set()
        self._thread.join()

    def _run(self) -> None:
        x, rate = soundfile.read(os.environ["FAKE_CARD_HEARS"], dtype="int16")
        assert rate == self._rate
        size, heard = round(_PACKET_S * rate), 0
        while not self._closed.wait(_PACKET_S / _HASTE):
            packet = x[np.arange(heard, heard + size) % len(x), None]
            when = SimpleNamespace(inputBufferAdcTime=heard / rate)
            self._callback(packet, size, when, SimpleNamespace(input_overflow=False))
            heard += size
