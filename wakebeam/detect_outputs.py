"""What `wakebeam detect` may do with a detection: print, cut it out, run a program, chime, plot.

Each is an `Output` (detecting.py) of one source. Names of files made here come from names of
recordings and labels, which are strangers' text: all but letters and digits are replaced.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from models.streaming import StreamingDetector, StreamOutput, as_mono
from pipeline.audio_file import open_audio, read_audio, resample, to_mono
from pipeline.audio_stream import stream_audio
from pipeline.material import printable
from pipeline.wav_file import replaced_wav, write_wav
from schemas.detection import Detection
from schemas.errors import RequestError
from wakebeam.console import say, show, show_json
from wakebeam.detecting import Output, Source

_BEFORE_S, _AFTER_S = 0.5, 0.3
_REMEMBERED_S = 10.0
_PICTURED_S = 600.0
_PICTURED_SAMPLES = 512  # a spectrum's window
_STDERR = 2
_CHIME_HZ, _CHIME_S, _CHIME_PEAK = (880.0, 1320.0), 0.35, 0.25


class Highest(Output):
    """Remembers the highest score of all that was heard; None before there is one."""

    def __init__(self) -> None:
        self.score: float | None = None

    def heard(self, samples: np.ndarray, scored: StreamOutput) -> None:
        """Take a piece."""
        if scored.scores.size:
            self.score = max(self.score or 0.0, float(scored.scores.max()))


class Lines(Output):
    """Prints each detection, for people or as JSON."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json

    def found(self, line: dict[str, Any]) -> None:
        """Print."""
        if self._as_json:
            show_json(line)
            return
        when = _clock(_when_s(line))
        until = f" to {_clock(line['offset_s'])}" if "offset_s" in line else ""
        label, file = printable(line["label"]), printable(line.get("file", ""))
        show(f"{when:>8}{until}  {label}  score {line['score']:.5f}  {file}")


class Command(Output):
    """Starts a program at each detection and doesn't wait for it.

    `{label}`, `{score}`, `{time_s}`, `{onset_s}` and `{file}` in its words are replaced. No shell
    is asked: a word stays one argument, whatever is in it. What it prints goes to stderr.

    Raises:
        RequestError: there is no such program.
    """

    def __init__(self, command: str) -> None:
        try:
            self._words = shlex.split(command)
        except ValueError as error:
            raise RequestError(f"--on-detect {command!r} ({error})") from error
        if not self._words or shutil.which(self._words[0]) is None:
            raise RequestError(
                f"--on-detect {command!r}: there is no such program",
                expected="a program and its arguments, such as 'notify-send {label}'",
            )
        self._started: list[subprocess.Popen[bytes]] = []

    def found(self, line: dict[str, Any]) -> None:
        """Start the program."""
        values = {"file": ""} | line
        words = [re.sub(r"\{(\w+)\}", lambda m: _value(values, m), word) for word in self._words]
        self._started = [process for process in self._started if process.poll() is None]
        try:
            process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=_STDERR)
        except OSError as error:
            say(f"wakebeam: --on-detect: {error}")
            return
        self._started.append(process)


class Clips(Output):
    """Writes what was heard around each detection, from before its onset until shortly after it.

    Of a sound that is longer than ten seconds the end is written.

    Args:
        folder: for the clips, which are named by `stem`, time and label.
        stem: stands for the source in their names.
        source: what is heard.
    """

    def __init__(self, folder: Path, stem: str, source: Source) -> None:
        self._folder, self._stem, self._source = folder, stem, source
        self._kept: deque[np.ndarray] = deque()
        self._first = self._next = 0
        self._waiting: list[tuple[int, int, Path]] = []

    def heard(self, samples: np.ndarray, scored: StreamOutput) -> None:
        """Keep the last seconds; write what is complete."""
        mono = as_mono(samples)
        self._kept.append(mono)
        self._next += len(mono)
        rate = self._source.rate_hz
        while self._kept and self._next - self._first - len(self._kept[0]) > _REMEMBERED_S * rate:
            self._first += len(self._kept.popleft())
        self._write(self._next)

    def found(self, line: dict[str, Any]) -> None:
        """Plan a clip."""
        rate = self._source.rate_hz
        start = max(0, round((line["onset_s"] - _BEFORE_S) * rate))
        name = f"{self._stem}__t{round(1000 * _when_s(line)):09d}"
        path = self._folder / f"{name}__{_plain(line['label'])}.wav"
        stop_s = line.get("offset_s", _when_s(line)) + _AFTER_S
        self._waiting.append((start, round(stop_s * rate), path))
        self._write(self._next)

    def lost(self, num_samples: int) -> None:
        """Write what waits; what is kept ends here."""
        self._write(2**62)
        self._kept.clear()
        self._next += num_samples
        self._first = self._next

    def ends(self) -> None:
        """Write what waits, as far as there was sound."""
        self._write(2**62)

    def _write(self, until: int) -> None:
        ready = [clip for clip in self._waiting if clip[1] <= until]
        self._waiting = [clip for clip in self._waiting if clip[1] > until]
        if ready:
            sound = np.concatenate([*self._kept, np.zeros(0, np.float32)])
        for start, stop, path in ready:
            clip = sound[max(0, start - self._first) : max(0, stop - self._first)]
            write_wav(path, clip, self._source.rate_hz)


class Chimes(Output):
    """Writes a copy of a file with a chime at each detection; the file itself is only read.

    Args:
        out: the copy, a WAV file of the same rate and channels.
        path: the file.
        sound: a chime of one's own.
    """

    def __init__(self, out: Path, path: Path, sound: Path | None = None) -> None:
        self._out, self._path, self._sound = out, path, sound
        self._times_s: list[float] = []

    def found(self, line: dict[str, Any]) -> None:
        """Note when."""
        self._times_s.append(_when_s(line))

    def ends(self) -> None:
        """Write the copy."""
        with open_audio(self._path) as (rate, blocks), replaced_wav(self._out) as temporary:
            chime = _chime(rate) if self._sound is None else _mono_of(self._sound, rate)
            starts = [round(time_s * rate) for time_s in self._times_s]
            first, file = 0, None
            for block in blocks:
                file = file or soundfile.SoundFile(
                    temporary, "w", rate, block.shape[1], "PCM_16", format="WAV"
                )
                file.write(np.clip(_with_chimes(block, first, starts, chime), -1.0, 1.0))
                first += len(block)
            if file is not None:
                file.close()


class Picture(Output):
    """Draws a file's spectrogram and score over time, at most the first ten minutes.

    Args:
        out: a .png or .svg.
        path: the file.
        detector: which hears it.
    """

    def __init__(self, out: Path, path: Path, detector: StreamingDetector) -> None:
        self._out, self._path, self._detector = out, path, detector
        self._times_s: list[np.ndarray] = []
        self._scores: list[np.ndarray] = []
        self._found: list[Detection] = []

    def heard(self, samples: np.ndarray, scored: StreamOutput) -> None:
        """Keep the scores."""
        if not self._times_s or len(scored.times_s) == 0 or scored.times_s[0] < _PICTURED_S:
            self._times_s.append(scored.times_s)
            self._scores.append(scored.scores)

    def found(self, line: dict[str, Any]) -> None:
        """Keep the detection."""
        if _when_s(line) < _PICTURED_S:
            self._found.append(Detection(_when_s(line), line["label"], line["score"]))

    def ends(self) -> None:
        """Draw."""
        from models.plots import detector_output, picture_suffix, write_picture

        rate = self._detector.sample_rate_hz
        parts, length = [], 0
        for block in stream_audio(self._path, rate):
            parts.append(block)
            length += len(block)
            if length >= _PICTURED_S * rate:
                break
        parts.append(np.zeros(max(0, _PICTURED_SAMPLES - length), np.float32))
        picture = detector_output(
            np.concatenate(parts),
            rate,
            times_s=np.concatenate(self._times_s),
            scores=np.concatenate(self._scores).max(axis=1),
            threshold=self._detector.threshold,
            title=printable(self._path.name),
            detections=self._found,
            suffix=picture_suffix(self._out),
        )
        write_picture(self._out, picture)


def stems_of(paths: Sequence[Path]) -> dict[Path, str]:
    """Return a name for each recording, without folder and suffix; equal ones get a number."""
    stems: dict[Path, str] = {}
    for path in paths:
        wanted = stem = _plain(path.stem)
        number = 1
        while stem in stems.values():
            number += 1
            stem = f"{wanted}-{number}"
        stems[path] = stem
    return stems


def places_of(wanted: Path, stems: Mapping[Path, str], suffixes: Sequence[str]) -> dict[Path, Path]:
    """Return where the file made of each recording goes: `wanted` itself, or in that folder.

    Args:
        wanted: a file with one of the suffixes, a folder, or a name without a suffix.
        stems: names for the recordings.
        suffixes: that a file may have; in a folder all have the first.

    Raises:
        RequestError: `wanted` is of another kind, is one file and there are many recordings, or a
            recording would be replaced.
    """
    if wanted.is_dir() or not wanted.suffix:
        places = {path: wanted / f"{stem}{suffixes[0]}" for path, stem in stems.items()}
    elif wanted.suffix.lower() not in suffixes:
        raise RequestError(
            f"{wanted} can't be written",
            expected=f"a file's name with {' or '.join(suffixes)}, or a folder",
        )
    elif len(stems) > 1:
        raise RequestError(f"one file {wanted} for several recordings", fix="name a folder")
    else:
        places = dict.fromkeys(stems, wanted)
    inputs = {path.resolve() for path in stems}
    for place in places.values():
        if place.resolve() in inputs:
            raise RequestError(
                f"{place} is one of the recordings", fix="choose another folder or name"
            )
    return places


def _when_s(line: dict[str, Any]) -> float:
    """When it fired; of a sound event, its onset."""
    return float(line.get("time_s", line["onset_s"]))


def _clock(time_s: float) -> str:
    minutes, seconds = divmod(time_s, 60.0)
    return f"{int(minutes)}:{seconds:05.2f}"


def _with_chimes(block: np.ndarray, first: int, starts: list[int], chime: np.ndarray) -> np.ndarray:
    """A block that begins at sample `first`, with what falls into it of the chimes at `starts`."""
    mixed = block.copy()
    for start in starts:
        low, high = max(start, first), min(start + len(chime), first + len(block))
        if low < high:
            mixed[low - first : high - first] += chime[low - start : high - start, None]
    return mixed


def _chime(rate_hz: int) -> np.ndarray:
    """Two decaying tones, one after another, (num_samples,) float32."""
    t = np.arange(round(_CHIME_S * rate_hz)) / rate_hz
    tone = np.where(t < _CHIME_S / 3, _CHIME_HZ[0], _CHIME_HZ[1])
    fade = np.minimum(1.0, t / 0.005) * np.exp(-8.0 * t) * np.minimum(1.0, (_CHIME_S - t) / 0.05)
    return (_CHIME_PEAK * fade * np.sin(2 * np.pi * np.cumsum(tone) / rate_hz)).astype(np.float32)


def _mono_of(path: Path, rate_hz: int) -> np.ndarray:
    samples, rate = read_audio(path)
    return resample(to_mono(samples), rate, rate_hz)


def _value(values: dict[str, Any], match: re.Match[str]) -> str:
    return str(values.get(match[1], match[0]))


def _plain(name: str) -> str:
    return re.sub(r"[^\w-]+", "_", name).strip("_")[:60] or "sound"
