"""Labelled clips for tests: each class a melody of its own, each speaker at a pitch of his own."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.audio_factory import write

MELODIES = {"down": (2.0, 1.0), "go": (1.0, 1.0), "up": (1.0, 2.0)}
SPEAKERS = tuple("alma bert cleo dora emil fred".split())


def melody(label: str, speaker: str, take: int, *, rate: int = 16000) -> np.ndarray:
    """Return 0.5 s of float in ±1."""
    rng = np.random.default_rng([sorted(MELODIES).index(label), SPEAKERS.index(speaker), take])
    hz = 400.0 + 60.0 * SPEAKERS.index(speaker) + rng.uniform(-15, 15)
    n = rate // 4
    steps = np.repeat(np.array(MELODIES[label]) * hz, n)
    x = 0.3 * np.sin(2 * np.pi * np.cumsum(steps) / rate)
    return x + 0.001 * rng.standard_normal(len(x))


def speech_commands(folder: Path, *, takes: int = 2) -> Path:
    """Write `{class}/{speaker}_nohash_{take}.wav`, and what else lies in such a folder."""
    for label in MELODIES:
        for speaker in SPEAKERS:
            for take in range(takes):
                path = folder / label / f"{speaker}_nohash_{take}.wav"
                write(path, melody(label, speaker, take))
    (folder / "README.md").write_text("takes of three words")
    (folder / ".DS_Store").write_bytes(b"\0" * 8)
    (folder / "down" / ".hidden.wav").write_bytes(b"")
    return folder
