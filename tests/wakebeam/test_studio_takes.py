"""Takes that several tabs or programs write at once: none replaces another's."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile

from pipeline.wav_file import write_wav
from wakebeam.recording import TakeFolder

_RATE_HZ = 16_000


def test_two_who_record_the_same_speaker_at_once_keep_all_takes(tmp_path: Path) -> None:
    def add(first: int) -> None:
        folder = TakeFolder(tmp_path / "kw", "anna")
        for i in range(first, first + 25):
            folder.add(np.full(800, i / 256, np.float32), _RATE_HZ)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, (0, 25, 50, 75)))
    takes = sorted((tmp_path / "kw").iterdir())
    assert [take.name for take in takes] == [f"anna__{i:04d}.wav" for i in range(1, 101)]
    heard = sorted(round(256 * soundfile.read(take)[0][0]) for take in takes)
    assert heard == list(range(100))


def test_a_sound_is_not_written_through_a_link(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("mine")
    made = tmp_path / "made"
    made.mkdir()
    for name in ("a.writing", ".a.wav.writing", "a.wav", "anna__0001.wav"):
        (made / name).symlink_to(secret)
    write_wav(made / "a.wav", np.zeros(800), _RATE_HZ)
    assert TakeFolder(made, "anna").add(np.zeros(800, np.float32), _RATE_HZ).stem == "anna__0002"
    assert secret.read_text() == "mine"
    assert not (made / "a.wav").is_symlink()
    with pytest.raises(RuntimeError):
        write_wav(made / "b.wav", np.zeros(800), 0)
    assert not list(made.glob(".b*")), "nothing half is left"
