"""`wakebeam doctor`: what works on this machine, what doesn't, and what to install.

Each check tries the thing itself: a codec decodes, a disk is written to, a voice speaks.
"""

from __future__ import annotations

import importlib.metadata
import io
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

State = Literal["works", "missing", "broken"]
_NEEDED_PACKAGES = (
    "tensorflow tensorflow-io tf-keras apache-beam numpy ai-edge-litert soundfile soxr scipy numba"
).split()
_DISK_MB = 64
_FEWEST_GB = 5.0


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes:
        name: of what was looked at.
        state: `broken` is there and doesn't work.
        detail: versions, figures, or what went wrong.
        fix: what to do; empty where it works.
        needed: without it hardly anything works.
    """

    name: str
    state: State
    detail: str
    fix: str = ""
    needed: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return asdict(self)


def examine(place: Path) -> Iterator[Finding]:
    """Yield a finding of each check, as it is done.

    Args:
        place: the folder whose disk is tried.
    """
    checks: tuple[tuple[str, Callable[[], Finding]], ...] = (
        ("python", _python),
        ("packages", _packages),
        ("machine", _machine),
        ("place to work", lambda: _place(place)),
        ("temp files", _temporary_files),
        ("compiled code", _compiled_code),
        ("libsndfile", _libsndfile),
        ("ffmpeg", _ffmpeg),
        ("speech", _speech),
        ("microphone", lambda: _sound_card("microphone", "max_input_channels")),
        ("loudspeaker", lambda: _sound_card("loudspeaker", "max_output_channels")),
        ("browser", _browser),
        ("studio", _studio),
        ("gpu", _gpu),
    )
    for name, check in checks:
        try:
            yield check()
        except Exception as error:  # what a broken installation raises can't be foreseen
            yield Finding(name, "broken", f"{type(error).__name__}: {error}"[:300])


def doctor_text(finding: Finding) -> str:
    """Return a finding as lines for people."""
    sign = {"works": "ok", "missing": "--", "broken": "!!"}[finding.state]
    text = f"{sign}  {finding.name:14} {finding.detail}"
    return f"{text}\n    {'':14} to do: {finding.fix}" if finding.fix else text


def _python() -> Finding:
    version, good = platform.python_version(), (3, 11) <= sys.version_info[:2] <= (3, 12)
    fix = "" if good else "use Python 3.11 or 3.12: TensorFlow 2.17 has wheels for these"
    return Finding(
        "python", "works" if good else "broken", f"{version}, {sys.prefix}", fix, needed=True
    )


def _packages() -> Finding:
    found, missing = [], []
    for name in ("wakebeam", *_NEEDED_PACKAGES):
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        fix = f"pip install {' '.join(missing)}"
        return Finding("packages", "missing", ", ".join(missing), fix, needed=True)
    return Finding("packages", "works", ", ".join(found), needed=True)


def _machine() -> Finding:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return Finding(
        "machine", "works", f"{platform.system()} {platform.machine()}, {cores} cores, "
        f"{memory_gb:.0f} GB of memory",
    )  # fmt: skip


def _place(place: Path) -> Finding:
    """Write and flush 64 MB, and look at what is free."""
    data = np.random.default_rng(0).bytes(1 << 20)
    began_s = time.perf_counter()
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            for _ in range(_DISK_MB):
                file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        fix = "work in a folder that you may write to, on a disk with space"
        return Finding("place to work", "broken", f"{place}: {error.strerror}", fix, needed=True)
    rate = _DISK_MB * 1.048576 / (time.perf_counter() - began_s)
    free_gb = shutil.disk_usage(place).free / 1e9
    detail = f"{place}: written at {rate:.0f} MB/s, {free_gb:.0f} GB free"
    if free_gb < _FEWEST_GB:
        return Finding("place to work", "broken", detail, "a data set takes some GB: make room")
    return Finding("place to work", "works", detail, needed=True)


def _temporary_files() -> Finding:
    """Where Python puts them: the first folder of a list that can be written, TMPDIR before all."""
    place, wanted = Path(tempfile.gettempdir()), os.environ.get("TMPDIR")
    free_gb = shutil.disk_usage(place).free / 1e9
    detail = f"{place}: {free_gb:.0f} GB free"
    if wanted and os.path.abspath(wanted) != str(place):
        return Finding(
            "temp files", "broken", f"TMPDIR, {wanted}, can't be written; taken is {detail}",
            "let TMPDIR name a folder that you may write to", needed=True,
        )  # fmt: skip
    if free_gb < 1.0:
        return Finding("temp files", "broken", detail, "make room, or set TMPDIR to another disk")
    return Finding("temp files", "works", detail, needed=True)


def _compiled_code() -> Finding:
    """Write into the folder in which numba keeps the loops that it has compiled."""
    from pipeline.biquads import two_biquads

    kept = two_biquads.stats.cache_path  # type: ignore[attr-defined]  # numba's dispatcher
    fix = "set NUMBA_CACHE_DIR to a folder that you may write to"
    if kept is None:
        return Finding("compiled code", "missing", "compiled anew in each process, no cache", fix)
    try:
        Path(kept).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=kept) as file:
            file.write(b"x")
    except OSError as error:
        return Finding("compiled code", "broken", f"{kept}: {error.strerror}", fix)
    return Finding("compiled code", "works", f"kept in {kept}")


def _libsndfile() -> Finding:
    import soundfile

    x = 0.1 * np.sin(np.arange(16000) / 10.0)
    failed = []
    for name, subtype in (("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("MP3", None)):
        try:
            file = io.BytesIO()
            soundfile.write(file, x, 16000, format=name, subtype=subtype)
            file.seek(0)
            soundfile.read(file)
        except (soundfile.LibsndfileError, ValueError):
            failed.append(name)
    version = soundfile.__libsndfile_version__
    if failed:
        fix = "pip install --upgrade soundfile, whose wheel brings a newer libsndfile"
        return Finding("libsndfile", "broken", f"{version} without {', '.join(failed)}", fix)
    return Finding("libsndfile", "works", f"{version} with WAV, FLAC, Ogg, MP3", needed=True)


def _ffmpeg() -> Finding:
    """Make a small M4A, and read it as a recording: libsndfile can't."""
    from pipeline.audio_file import read_audio
    from pipeline.wav_file import write_wav
    from schemas.errors import AudioError

    fix = "pip install --force-reinstall imageio-ffmpeg"
    try:
        import imageio_ffmpeg

        program = imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError) as error:
        return Finding("ffmpeg", "missing", f"M4A and video can't be read ({error})", fix)
    with tempfile.TemporaryDirectory() as folder:
        wav, m4a = Path(folder, "tone.wav"), Path(folder, "tone.m4a")
        write_wav(wav, 0.3 * np.sin(np.arange(16000) / 10.0), 16000)
        command = [program, "-nostdin", "-loglevel", "error", "-i", str(wav), str(m4a)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        try:
            x, rate = read_audio(m4a)
        except (AudioError, OSError) as error:
            told = done.stderr.strip() or error
            return Finding("ffmpeg", "broken", f"{program}: {told}"[:300], fix)
    if rate != 16000 or abs(float(x.std()) - 0.3 / 2**0.5) > 0.05:
        return Finding("ffmpeg", "broken", f"{program}: a tone comes back as something else", fix)
    return Finding("ffmpeg", "works", f"{program} reads M4A")


def _speech() -> Finding:
    """Speak a word."""
    from pipeline.speech import speak_takes
    from schemas.errors import WakebeamError

    with tempfile.TemporaryDirectory() as folder:
        try:
            speak_takes(["hello"], Path(folder), num_takes=1, seed=0)
        except WakebeamError as error:
            return Finding("speech", "missing", error.received, error.fix)
    return Finding("speech", "works", "espeak-ng says hello")


def _sound_card(name: str, channels: str) -> Finding:
    """What PortAudio has that can record, or play."""
    try:
        import sounddevice
    except (ImportError, OSError) as error:
        return Finding(
            name, "missing", f"{error}", "pip install 'wakebeam[mic]', and on Linux the system's "
            "libportaudio2",
        )  # fmt: skip
    names = [d["name"] for d in sounddevice.query_devices() if d[channels]]
    if not names:
        return Finding(name, "missing", "there is none", "plug one in")
    return Finding(name, "works", ", ".join(names)[:200])


def _browser() -> Finding:
    names = ("chromium", "chromium-browser", "google-chrome", "firefox")
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        return Finding("browser", "missing", "none on the PATH", "pages open in any; copy them")
    return Finding("browser", "works", found)


def _studio() -> Finding:
    try:
        import aiohttp
    except ImportError as error:
        return Finding("studio", "missing", f"{error}", "pip install 'wakebeam[studio]'")
    return Finding("studio", "works", f"aiohttp {aiohttp.__version__}")


def _gpu() -> Finding:
    from models.strategies import gpu_names

    names = gpu_names()
    if not names:
        return Finding("gpu", "missing", "none that TensorFlow sees; the default trains in minutes")
    return Finding("gpu", "works", ", ".join(names))
