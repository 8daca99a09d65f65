"""What a page shows and plays of a sound: a spectrogram, an envelope and a small copy of it."""

from __future__ import annotations

import base64
import io

import numpy as np
import numpy.typing as npt
import soundfile
from matplotlib import image

from pipeline.audio_file import resample
from pipeline.mel import mel_bands

Pcm = npt.NDArray[np.int16]
_COLUMNS, _MELS = 640, 72
_RANGE_DB = 70.0
_MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)


def spectrogram(x: Pcm, rate_hz: int) -> str:
    """Return a picture as a data URI: 640 columns over all of `x`, 72 mel bands, 70 dB.

    `cividis` rises evenly in lightness, so it reads in grey and for colour-blind people alike.
    """
    window = max(64, round(0.032 * rate_hz))
    fft_size = 1 << (window - 1).bit_length()
    starts = np.linspace(0, max(0, len(x) - window), _COLUMNS).astype(np.int64)
    padded = np.pad(x, (0, max(0, window - len(x)))).astype(np.float32)
    frames = padded[starts[:, None] + np.arange(window)] * np.hanning(window).astype(np.float32)
    power = np.abs(np.fft.rfft(frames, fft_size)) ** 2
    bands = mel_bands(
        num_mels=_MELS, fft_size=fft_size, sample_rate_hz=rate_hz, low_hz=0.0, high_hz=rate_hz / 2
    )
    db = 10.0 * np.log10(power @ bands + 1e-3).T[::-1]
    out = io.BytesIO()
    top = float(db.max())
    image.imsave(out, db, vmin=top - _RANGE_DB, vmax=top, cmap="cividis", format="jpeg")
    return _uri("image/jpeg", out.getvalue())


def envelope(x: Pcm) -> tuple[list[int], list[int]]:
    """Return the lowest and highest values in each of 640 parts; the loudest sample is ±100."""
    edges = np.linspace(0, len(x), _COLUMNS + 1).astype(np.int64)[:-1]
    peak = max(1, int(np.abs(x.astype(np.int32)).max(initial=0)))
    lows, highs = (
        np.rint(100.0 * fold.reduceat(x, edges) / peak).astype(np.int64)
        for fold in (np.minimum, np.maximum)
    )
    return lows.tolist(), highs.tolist()


def small_copy(x: Pcm, rate_hz: int) -> str:
    """Return the sound as an MP3 in a data URI: to listen to, not to measure."""
    to_hz = next((rate for rate in _MP3_RATES if rate >= rate_hz), _MP3_RATES[-1])
    wide = resample(x.astype(np.float32) / np.float32(32768.0), rate_hz, to_hz)
    out = io.BytesIO()
    soundfile.write(out, np.clip(wide, -1.0, 1.0), to_hz, format="MP3")
    return _uri("audio/mpeg", out.getvalue())


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
