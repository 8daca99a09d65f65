"""`wakebeam detect`: sound of any rate and length in, detections out, in bounded memory.

a source's pieces ─► StreamingDetector ─► outputs: lines, clips, commands, chimes, pictures
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import FileIO, RawIOBase
from pathlib import Path
from typing import Any

import numpy as np

from models.live_buffer import LiveBuffer, Piece
from models.streaming import StreamingDetector, StreamOutput
from pipeline.audio_stream import stream_audio
from schemas.detection import Detection
from schemas.errors import AudioError, RequestError
from wakebeam.console import say

_PACKET_S = 0.1


@dataclass(frozen=True)
class Source:
    """Where sound comes from.

    Attributes:
        name: a path, or what else people call it.
        rate_hz: of the pieces.
        pieces: the sound, each with what was lost before it.
        path: of a file.
    """

    name: str
    rate_hz: int
    pieces: Iterable[Piece]
    path: Path | None = None


class Output:
    """What is done with a source as it is heard; here nothing, for others to change."""

    def heard(self, samples: np.ndarray, scored: StreamOutput) -> None:
        """Take a piece of the sound and what the detector made of it."""

    def found(self, line: dict[str, Any]) -> None:
        """Take a detection: `time_s`, `onset_s`, `label`, `score`, and the `file` it is in.

        A sound event has `offset_s` and no `time_s`.
        """

    def lost(self, num_samples: int) -> None:
        """So many samples of the source are missing here."""

    def ends(self) -> None:
        """The source has ended, without an error."""


class Collected(Output):
    """Keeps the detections of a source in `lines`."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def found(self, line: dict[str, Any]) -> None:
        """Keep it."""
        self.lines.append(line)


class Stopped(Exception):
    """Ctrl-C while a live source was heard: it ends here, and what was found is told."""


@contextlib.contextmanager
def stopped_by_ctrl_c() -> Iterator[None]:
    """Let the first Ctrl-C raise `Stopped`; a second one does what it did before."""
    before = signal.getsignal(signal.SIGINT)

    def stop(*_: object) -> None:
        signal.signal(signal.SIGINT, before)
        raise Stopped

    signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def listen(detector: StreamingDetector, source: Source, outputs: Sequence[Output]) -> int:
    """Hear a source from its beginning to its end; return the number of detections.

    Args:
        detector: made for the source's rate.
        source: what to hear.
        outputs: told of what is heard and found, one after another.

    Raises:
        AudioError: the sound can't be read to its end.
    """
    detector.reset()
    lag_s = _onset_lag_s(detector)
    num_found = 0

    def take(samples: np.ndarray, scored: StreamOutput) -> None:
        nonlocal num_found
        for output in outputs:
            output.heard(samples, scored)
        for line in _lines(scored, lag_s):
            num_found += 1
            told = line | ({"file": source.name} if source.path else {})
            for output in outputs:
                output.found(told)

    try:
        for piece in source.pieces:
            if piece.num_lost:
                say(f"{piece.num_lost / source.rate_hz:.2f} s of sound were lost")
                take(np.zeros(0, np.float32), detector.skip(piece.num_lost))
                for output in outputs:
                    output.lost(piece.num_lost)
            take(piece.samples, detector.process(piece.samples))
    except AudioError as error:
        raise AudioError(f"{source.name}: {error.received}") from error
    except Stopped:
        pass
    take(np.zeros(0, np.float32), detector.finish())
    for output in outputs:
        output.ends()
    return num_found


def file_source(path: Path, rate_hz: int) -> Source:
    """Return a file, downmixed and at `rate_hz`."""
    return Source(str(path), rate_hz, (Piece(x, 0) for x in stream_audio(path, rate_hz)), path)


def pcm_source(rate_hz: int, num_channels: int = 1, stream: RawIOBase | None = None) -> Source:
    """Return raw int16 little-endian samples, channels interleaved, as they come.

    Standard input is read without its buffer, whose lock a thread would hold when the program ends.
    """
    frame = 2 * num_channels
    most = frame * max(1, round(_PACKET_S * rate_hz))

    def pieces() -> Iterator[Piece]:
        rest = b""
        raw = stream or _standard_input()
        while data := raw.read(most):
            data = rest + data
            whole = len(data) // frame * frame
            rest = data[whole:]
            samples = np.frombuffer(data[:whole], "<i2").astype(np.int16)
            yield Piece(samples.reshape(-1, num_channels), 0)

    return Source("standard input", rate_hz, pieces())


def _standard_input() -> RawIOBase:
    """The pipe that came with the program, made to wait for sound where it doesn't.

    Raises:
        RequestError: there is none.
    """
    try:
        number = sys.stdin.fileno()
        os.set_blocking(number, True)
    except (AttributeError, OSError, ValueError) as error:
        raise RequestError("standard input is closed", fix="pipe sound into it") from error
    return FileIO(number, closefd=False)


def live_source(source: Source, buffer: LiveBuffer) -> Source:
    """Return a source that doesn't wait for us, such as a recorder behind a pipe.

    It is read as it comes; when the detector is late the oldest sound is lost.
    """
    failed: list[Exception] = []

    def pump() -> None:
        try:
            for piece in source.pieces:
                buffer.put(piece.samples)
        except Exception as error:  # the reader's to raise, after what was heard until then
            failed.append(error)
        finally:
            buffer.end()

    def pieces() -> Iterator[Piece]:
        threading.Thread(target=pump, daemon=True).start()
        yield from live_pieces(buffer)
        if failed:
            raise failed[0]

    return Source(source.name, source.rate_hz, pieces())


def microphone_source(buffer: LiveBuffer, rate_hz: int, device: str | None) -> Source:
    """Return a microphone, by PortAudio; a reader that is late misses the oldest sound.

    Raises:
        RequestError: sounddevice, PortAudio or such a microphone is missing.
    """
    try:
        import sounddevice
    except (ImportError, OSError) as error:
        raise RequestError(
            f"no microphone can be opened ({error})",
            expected="the package sounddevice and the library PortAudio",
            fix="pip install 'wakebeam[mic]' (on Linux also the system's libportaudio2), or pipe "
            "sound into --stdin",
        ) from error
    wanted = int(device) if device and device.isdigit() else device
    try:
        sounddevice.check_input_settings(device=wanted, channels=1, samplerate=rate_hz)
    except (ValueError, sounddevice.PortAudioError) as error:
        names = [d["name"] for d in sounddevice.query_devices() if d["max_input_channels"]]
        raise RequestError(
            f"the microphone can't be used at {rate_hz} Hz ({error})",
            expected=f"one of: {', '.join(names) or '(there is none)'}",
            fix="name one with --device, or pipe sound into --stdin",
        ) from error

    def pieces() -> Iterator[Piece]:
        clock = _CardClock(rate_hz)

        def come(samples: np.ndarray, frames: int, time: Any, status: Any) -> None:
            if missing := clock.missing(frames, time.inputBufferAdcTime, status.input_overflow):
                buffer.lose(missing)
            buffer.put(samples.copy())

        how = {"samplerate": rate_hz, "channels": 1, "dtype": "int16", "device": wanted}
        with sounddevice.InputStream(callback=come, **how):
            yield from live_pieces(buffer)

    return Source("microphone", rate_hz, pieces())


class _CardClock:
    """Tells how much sound a card has dropped, by the times that it gives its packets."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._begin_s: float | None = None
        self._heard = 0

    def missing(self, num_samples: int, time_s: float, overflow: bool) -> int:
        """Return the samples lost before a packet of so many, which began at `time_s`."""
        if self._begin_s is None:
            self._begin_s = time_s
        lost = round((time_s - self._begin_s) * self._rate_hz) - self._heard if overflow else 0
        lost = max(0, lost)
        self._heard += lost + num_samples
        return lost


def live_pieces(buffer: LiveBuffer) -> Iterator[Piece]:
    """Yield what a buffer holds, as it comes, until it ends."""
    while (piece := buffer.get()) is not None:
        yield piece


def _lines(output: StreamOutput, lag_s: float) -> Iterator[dict[str, Any]]:
    yield from (_line(detection, lag_s) for detection in output.detections)
    for event in output.events:
        yield {
            "onset_s": round(event.onset_s, 4),
            "offset_s": round(event.offset_s, 4),
            "label": event.label,
            "score": round(event.score, 5),
        }


def _line(detection: Detection, lag_s: float) -> dict[str, Any]:
    """`onset_s` is an estimate: the median time from onset to detection on the test split."""
    return {
        "time_s": round(detection.time_s, 4),
        "onset_s": round(max(0.0, detection.time_s - lag_s), 4),
        "label": detection.label,
        "score": round(detection.score, 5),
    }


def _onset_lag_s(detector: StreamingDetector) -> float:
    measured = detector.metadata["measured_on_test"].get("time_since_onset_s") or {}
    return float(measured.get("median", 0.0))
