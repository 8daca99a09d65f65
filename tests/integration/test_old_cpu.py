"""A CPU of 2008, emulated: sound is read, resampled and encoded to the same bytes as on this one.

libsndfile's codecs and soxr choose their loops by the CPU, and no setting makes them choose others;
what numpy and our own loops do on older ones is tested in tests/pipeline/test_golden.py.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.audio_file import read_audio, resample, to_int16, to_mono
from pipeline.example_codec import encode_audio

REAL = Path(__file__).parents[3] / "shared" / "data"
ROOT = Path(__file__).parents[2]
QEMU = shutil.which("qemu-x86_64-static") or shutil.which("qemu-x86_64")
_CODECS = {".mp3": "libmp3lame", ".ogg": "libvorbis", ".opus": "libopus", ".m4a": "aac"}


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def digests(folder: Path) -> dict[str, str]:
    """Return digests of what a bank would hold of each file, and of FLAC records of it."""
    found = {}
    for path in sorted(folder.iterdir()):
        x, rate = read_audio(path)
        pcm = to_int16(resample(to_mono(x), rate, 16_000))
        found[path.name] = _digest(pcm.tobytes())
        found[f"{path.name} as FLAC"] = _digest(bytes(encode_audio(pcm, 16_000, "flac")))
    return found


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the emulated CPU is an x86")
@pytest.mark.skipif(QEMU is None, reason="there is no qemu-user: apt install qemu-user-static")
def test_an_old_cpu_reads_resamples_and_encodes_to_the_same_bytes(tmp_path) -> None:
    import imageio_ffmpeg
    import soundfile

    sounds = tmp_path / "sounds"
    sounds.mkdir()
    rng = np.random.default_rng(3)
    t = np.arange(2 * 44_100) / 44_100
    for i in range(4):
        x = 0.2 * np.sin(2 * np.pi * (200 + 400 * i) * t) * np.exp(-2 * (t - 0.4 * i) ** 2)
        x += 0.02 * rng.standard_normal(len(t))
        soundfile.write(sounds / f"tone{i}.wav", x, (44_100, 48_000, 22_050, 16_000)[i])
    for path in sorted(REAL.rglob("*.wav"))[::300]:
        shutil.copy(path, sounds / f"real {path.name}")
    for suffix, codec in _CODECS.items():
        rate = "48000" if suffix == ".opus" else "44100"
        made = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(sounds / "tone1.wav")]
        made += ["-c:a", codec, "-ar", rate, str(sounds / f"coded{suffix}")]
        subprocess.run(made, check=True)
    here = digests(sounds)
    code = (
        "import json, sys; from pathlib import Path; from tests.integration.test_old_cpu import "
        "digests; print(json.dumps(digests(Path(sys.argv[1]))))"
    )
    emulated = [str(QEMU), "-cpu", "Nehalem", sys.executable, "-c", code, str(sounds)]
    there = subprocess.run(emulated, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
    assert json.loads(there) == here
    assert len(here) >= 16
