"""A round trip through a lossy codec, by ffmpeg: an option for its own sake, slow.

Everything else here gives the same bytes on every CPU. A codec's encoder chooses by its own
arithmetic, so its bytes are the same for the same ffmpeg on the same kind of CPU.
"""

from __future__ import annotations

import subprocess

import numpy as np
import numpy.typing as npt

from pipeline.audio_file import require_not_killed
from schemas.errors import AudioError

FloatArray = npt.NDArray[np.float32]
_TIMEOUT_S = 60.0
_CONTAINER = ["-f", "matroska"]  # carries the encoder's delay even through a pipe
_OPUS_RATES = (8000, 12000, 16000, 24000, 48000)
_MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)


def through_mp3(x: FloatArray, rate_hz: int, kbps: float) -> FloatArray:
    """Encode to MP3 at `kbps` and decode; same length."""
    return _through(x, rate_hz, "libmp3lame", kbps, _MP3_RATES)


def through_opus(x: FloatArray, rate_hz: int, kbps: float) -> FloatArray:
    """Encode to Opus at `kbps` and decode; same length."""
    return _through(x, rate_hz, "libopus", kbps, _OPUS_RATES)


def _through(
    x: FloatArray, rate_hz: int, codec: str, kbps: float, rates: tuple[int, ...]
) -> FloatArray:
    import imageio_ffmpeg

    coded_rate = next((rate for rate in rates if rate >= rate_hz), rates[-1])
    pcm = np.clip(np.rint(x), -32768, 32767).astype("<i2").tobytes()
    raw = ["-f", "s16le", "-ac", "1", "-ar", str(rate_hz)]
    quiet = ["-nostdin", "-v", "error", "-threads", "1", "-bitexact"]
    program = imageio_ffmpeg.get_ffmpeg_exe()
    coding = ["-c:a", codec, "-b:a", f"{round(kbps)}k", "-ar", str(coded_rate)]
    encode = [program, *quiet, *raw, "-i", "-", *coding, *_CONTAINER, "-"]
    decode = [program, *quiet, *_CONTAINER, "-i", "-", *raw, "-"]
    data = pcm
    for command in (encode, decode):
        try:
            done = subprocess.run(command, input=data, capture_output=True, timeout=_TIMEOUT_S)
        except subprocess.TimeoutExpired as error:  # a busy machine's fault, never the clip's
            raise OSError(f"ffmpeg took more than {_TIMEOUT_S:.0f} s on codec {codec}") from error
        require_not_killed(done, f"it used codec {codec}")
        if done.returncode != 0:
            raise AudioError(
                f"ffmpeg failed on codec {codec}: {done.stderr.decode(errors='replace')[-300:]}"
            )
        data = done.stdout
    y = np.frombuffer(data[: len(data) // 2 * 2], dtype="<i2").astype(np.float32)[: len(x)]
    return np.pad(y, (0, len(x) - len(y)))
