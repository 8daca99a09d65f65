"""Sound files of any kind, rate and channel count to float32, with a plain reason where not.

wav, flac, ogg, mp3 and what else libsndfile knows are read with soundfile and need nothing more.
Everything else (m4a, aac, opus, amr, webm, …) goes through ffmpeg, whose binary comes in the
imageio-ffmpeg wheel; its output is opened with pydub. pydub's own probing needs ffprobe, which
the wheel doesn't carry, so ffmpeg is called here, with an argument list and local files only.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import signal
import struct
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from schemas.errors import AudioError

FloatArray = npt.NDArray[np.float32]

_SNDFILE_SUFFIXES = frozenset(
    ".wav .wave .flac .ogg .oga .opus .mp3 .aif .aiff .aifc .au .snd .caf .w64 .rf64".split()
)
_FFMPEG_SUFFIXES = frozenset(
    ".m4a .m4b .mp4 .aac .amr .awb .webm .weba .mka .mkv .mov .wma .3gp .3g2 .ac3 .ape .wv".split()
)
AUDIO_SUFFIXES = _SNDFILE_SUFFIXES | _FFMPEG_SUFFIXES
"""Names that a folder search takes for sound; other files in a folder are not material."""

_LIBSNDFILE_ALONE = frozenset({".wav", ".wave"})
_SECOND_OPINION = frozenset({".flac"})
"""libsndfile loses sync in some whole FLAC files; ffmpeg reads those to the last sample."""

_FORMATS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,dsf,dts,eac3,flac,flv,gsm,loas,matroska,mov,mp3,"
    "mpc,mpc8,mpeg,mpegts,nistsphere,ogg,oma,rm,shn,tak,truehd,tta,voc,w64,wav,webm,wv,xwma"
)
"""What ffmpeg may take a file for: sound that is in it, never a list of other files to read."""

MAX_DURATION_S = 6 * 3600.0
MAX_VALUES = 2**30
"""Samples of all channels that a file of the material may have: 6 h in stereo at 24 kHz."""
_FFMPEG_TIMEOUT_S = 600.0
_STREAMING_SIZES = (0, 0xFFFFFFFF)
_THE_FILES_FAULT = {
    *(errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR, errno.EISDIR),
    *(errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO, errno.EINVAL),
}
"""Errors that the file would give on any machine, at any time."""


def read_audio(path: Path) -> tuple[FloatArray, int]:
    """Read a whole file.

    Returns:
        Samples (num_samples, num_channels) float32, full scale ±1, and their rate in Hz.

    Raises:
        AudioError: empty, not audio, truncated, NaN or infinite samples, unreadable, too long.
        OSError: the machine's fault and not the file's.
    """
    size, expected = _size(path), 0
    if size == 0:
        raise AudioError("empty file")
    if path.suffix.lower() not in _FFMPEG_SUFFIXES:
        _require_whole_riff(path, size)
        try:
            with soundfile.SoundFile(os.fsencode(path)) as file:
                _require_duration(file.frames / file.samplerate)
                if file.frames * file.channels > MAX_VALUES:
                    raise AudioError(f"too large: {file.channels} channels of {file.frames}")
                expected, rate = file.frames, int(file.samplerate)
                x = file.read(dtype="float32", always_2d=True)
            if len(x) < expected < 2**62:
                _require_readable(path)
                raise AudioError(f"truncated: {len(x)} of {expected} samples can be read")
            return _checked(x), rate
        except soundfile.LibsndfileError as error:
            _require_readable(path)
            if path.suffix.lower() in _LIBSNDFILE_ALONE or (
                path.suffix.lower() in _SECOND_OPINION and not expected
            ):
                raise AudioError(f"not readable as audio: {error.error_string}") from error
    x, rate = _read_with_ffmpeg(path)
    if len(x) < expected < 2**62:
        raise AudioError(f"truncated: {len(x)} of {expected} samples can be read")
    return x, rate


def to_mono(x: FloatArray) -> FloatArray:
    """Return the mean of all channels: (num_samples, num_channels) → (num_samples,) float32."""
    return np.ascontiguousarray(x.mean(axis=1, dtype=np.float64).astype(np.float32))


def resample(x: FloatArray, from_hz: int, to_hz: int) -> FloatArray:
    """Resample (num_samples,) float32 with soxr's HQ setting; equal rates change nothing."""
    if from_hz == to_hz:
        return x
    return np.asarray(soxr.resample(x, from_hz, to_hz, quality="HQ"), dtype=np.float32)


def to_int16(x: FloatArray) -> npt.NDArray[np.int16]:
    """Round ±1 float to int16 (full scale 32768, ties to even), saturating."""
    scaled = np.rint(x * np.float32(32768.0))
    return np.asarray(np.clip(scaled, -32768, 32767), dtype=np.int16)


@contextlib.contextmanager
def open_audio(path: Path, *, block_s: float = 1.0) -> Iterator[tuple[int, Iterator[FloatArray]]]:
    """Open a file of any length: its rate, and its blocks as they are.

    Yields:
        Hz, and (num_samples, num_channels) float32 in ±1 of about `block_s` seconds each.

    Raises:
        AudioError: as `read_audio`; may come after some blocks.
    """
    size = _size(path)
    if size == 0:
        raise AudioError("empty file")
    if path.suffix.lower() not in _FFMPEG_SUFFIXES:
        _require_whole_riff(path, size)
        try:
            file = soundfile.SoundFile(os.fsencode(path))
        except soundfile.LibsndfileError as error:
            if path.suffix.lower() in _LIBSNDFILE_ALONE:
                raise AudioError(f"not readable as audio: {error.error_string}") from error
        else:
            with file:
                size = max(1, round(block_s * file.samplerate))
                yield int(file.samplerate), _some(_sndfile_blocks(path, file, size))
            return
    with _ffmpeg_blocks(path) as (rate, read):
        yield rate, _some(_until_short(read, max(1, round(block_s * rate))))


def _sndfile_blocks(path: Path, file: soundfile.SoundFile, size: int) -> Iterator[FloatArray]:
    expected, num_read = file.frames, 0
    with contextlib.ExitStack() as stack:

        def from_sndfile(count: int) -> FloatArray:
            return np.asarray(file.read(count, dtype="float32", always_2d=True))

        source: Callable[[int], FloatArray] = from_sndfile

        def read(count: int) -> FloatArray:
            nonlocal num_read, source
            try:
                x = source(count)
            except soundfile.LibsndfileError as error:
                if path.suffix.lower() not in _SECOND_OPINION:
                    raise AudioError(f"not readable as audio: {error.error_string}") from error
                _, source = stack.enter_context(_ffmpeg_blocks(path))
                skipped = source(num_read) if num_read else ()
                x = source(count) if len(skipped) == num_read else source(0)
            num_read += len(x)
            if len(x) < count and num_read < expected < 2**62:
                raise AudioError(f"truncated: {num_read} of {expected} samples can be read")
            return x

        yield from _until_short(read, size)


def _some(blocks: Iterator[FloatArray]) -> Iterator[FloatArray]:
    """The blocks; none at all is an error."""
    there = False
    for block in blocks:
        there = True
        yield block
    if not there:
        raise AudioError("no samples in it")


def _until_short(read: Callable[[int], FloatArray], size: int) -> Iterator[FloatArray]:
    """Blocks of `size`, checked, until a shorter one has come."""
    while len(x := read(size)) == size:
        yield _finite(x)
    if len(x):
        yield _finite(x)


@contextlib.contextmanager
def _ffmpeg_blocks(path: Path) -> Iterator[tuple[int, Callable[[int], FloatArray]]]:
    """Yield the rate and a function that reads so many frames, all channels, as they are.

    ffmpeg only decodes, so that channels are mixed and rates changed as everywhere else.
    """
    command = [*_ffmpeg(path), "-acodec", "pcm_f32le", "-f", "wav", "-"]
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors
        )
        assert process.stdout is not None  # noqa: S101 - it was opened as a pipe
        sound = process.stdout

        def require_success() -> None:
            if process.wait() != 0 or header is None:
                errors.seek(0)
                said = errors.read()
                ended = subprocess.CompletedProcess(command, process.wait(), stderr=said)
                require_not_killed(ended, f"it read {path}")
                raise AudioError(_ffmpeg_reason(said))

        def read(count: int) -> FloatArray:
            data = sound.read(frame * count)
            if len(data) < frame * count:
                require_success()
            x = np.frombuffer(data[: len(data) // frame * frame], "<f4")
            return x.reshape(-1, frame // 4)

        try:
            header = _wav_header(sound)
            if header is None:
                require_success()
            channels, rate = header or (1, 1)
            frame = 4 * channels
            yield rate, read
        finally:
            process.kill()
            process.wait()
            sound.close()


def _wav_header(sound: IO[bytes]) -> tuple[int, int] | None:
    """Read up to the samples; return channels and rate, or None if there is no header."""
    if len(sound.read(12)) < 12:
        return None
    found = None
    while len(chunk := sound.read(8)) == 8:
        name, length = struct.unpack("<4sI", chunk)
        if name == b"data":
            return found
        body = sound.read(length + length % 2)
        if name == b"fmt ":
            channels, rate = struct.unpack("<HI", body[2:8])
            found = (int(channels), int(rate))
    return None


def _read_with_ffmpeg(path: Path) -> tuple[FloatArray, int]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydub looks for an ffmpeg that we don't use
        import pydub

    limit = str(MAX_DURATION_S + 1.0)
    command = [*_ffmpeg(path), "-t", limit, "-acodec", "pcm_s16le", "-f", "wav", "-"]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_FFMPEG_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise OSError(f"ffmpeg took more than {_FFMPEG_TIMEOUT_S:.0f} s for {path}") from error
    require_not_killed(done, f"it read {path}")
    if done.returncode != 0 or len(done.stdout) <= 44:
        raise AudioError(_ffmpeg_reason(done.stderr))
    segment = pydub.AudioSegment.from_file(io.BytesIO(done.stdout), format="wav")
    _require_duration(segment.duration_seconds)
    samples = np.array(segment.get_array_of_samples(), dtype=np.float32) / np.float32(32768.0)
    return _checked(samples.reshape(-1, segment.channels)), int(segment.frame_rate)


def _ffmpeg(path: Path) -> list[str]:
    try:
        import imageio_ffmpeg

        binary = imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError) as error:
        raise AudioError(f"{path.suffix} files need ffmpeg: install imageio-ffmpeg") from error
    # `file:` and an absolute path: a name can't be taken for an option or another protocol.
    source = "file:" + os.path.abspath(path)
    # Without the CPU's special instructions: lossy decoders round differently with each set.
    how = ["-nostdin", "-v", "error", "-cpuflags", "0", "-protocol_whitelist", "file,pipe"]
    return [binary, *how, "-format_whitelist", _FORMATS, "-i", source, "-vn"]


def require_not_killed(ended: subprocess.CompletedProcess[bytes], what: str) -> None:
    """Raise OSError where ffmpeg was ended by the machine and not by what it was given.

    Args:
        ended: the process, with what it said.
        what: that it did, to end "ffmpeg was killed while …".
    """
    if -ended.returncode in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGBUS):
        raise OSError(f"ffmpeg was killed while {what}")
    if ended.returncode and b"Cannot allocate memory" in ended.stderr:
        raise OSError(f"there was no memory for ffmpeg while {what}")


def _ffmpeg_reason(stderr: bytes) -> str:
    lines = stderr.decode("utf-8", "replace").strip().splitlines()
    reason = lines[-1].rsplit(": ", 1)[-1] if lines else "no sound in it"
    return f"not readable as audio: {reason[:200]}"


def _size(path: Path) -> int:
    try:
        with path.open("rb"):
            return path.stat().st_size
    except OSError as error:
        if error.errno not in _THE_FILES_FAULT:
            raise
        raise AudioError(f"can't be opened: {error.strerror or error}") from error


def _require_readable(path: Path) -> None:
    """Read a file through, which raises OSError where a disk fails; libsndfile says no more."""
    with path.open("rb") as file:
        while file.read(1 << 22):
            pass


def _require_duration(seconds: float) -> None:
    if seconds > MAX_DURATION_S:
        raise AudioError(f"longer than {MAX_DURATION_S / 3600:.0f} hours")


def _require_whole_riff(path: Path, size: int) -> None:
    """Refuse a WAV whose data chunk promises more bytes than there are; libsndfile wouldn't."""
    with path.open("rb") as file:
        head = file.read(12)
        if len(head) < 12 or head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return
        position = 12
        while len(chunk := file.read(8)) == 8:
            name, length = struct.unpack("<4sI", chunk)
            position += 8
            if name == b"data":
                if length not in _STREAMING_SIZES and position + length > size:
                    raise AudioError(
                        f"truncated: the header promises {length} bytes of sound, "
                        f"{size - position} are there"
                    )
                return
            position += length + length % 2
            file.seek(position)
        raise AudioError("truncated: a WAV header without sound")


def _checked(x: FloatArray) -> FloatArray:
    if not len(x):
        raise AudioError("no samples in it")
    return _finite(x)


def _finite(x: FloatArray) -> FloatArray:
    if not np.isfinite(x).all():
        raise AudioError("NaN or infinite samples")
    return x
