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
        ("libsndfile", _libsndfile),
        ("ffmpeg", _ffmpeg),
        ("speech", _speech),
        ("microphone", _microphone),
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
    """For what libsndfile can't read: M4A, AAC, WMA and video."""
    fix = "pip install imageio-ffmpeg"
    try:
        import imageio_ffmpeg

        program = imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError) as error:
        return Finding("ffmpeg", "missing", f"M4A and video can't be read ({error})", fix)
    done = subprocess.run([program, "-version"], capture_output=True, text=True, check=False)
    first = done.stdout.partition("\n")[0]
    return Finding("ffmpeg", "works" if not done.returncode else "broken", first or "it fails")


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


def _microphone() -> Finding:
    try:
        import sounddevice
    except (ImportError, OSError) as error:
        return Finding(
            "microphone", "missing", f"{error}", "pip install 'wakebeam[mic]', and on Linux the "
            "system's libportaudio2",
        )  # fmt: skip
    names = [d["name"] for d in sounddevice.query_devices() if d["max_input_channels"]]
    if not names:
        return Finding("microphone", "missing", "there is none", "plug one in")
    return Finding("microphone", "works", ", ".join(names)[:200])


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
