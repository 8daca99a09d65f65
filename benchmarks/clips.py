"""Clips of the lengths of the classic exercise's own recordings, in memory or as a bank on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile

from pipeline.clip_bank import ClipBank
from pipeline.scene_planner import ScenePlanner
from schemas.clips import Clip
from schemas.recipe import Recipe

MATERIAL = {
    "keyword": [{"path": "kw", "label": "activate"}],
    "negative": [{"path": "other"}],
    "background": [{"path": "noise"}],
    "room": [{"path": "rooms"}],
}
_FOLDERS = {"keyword": "kw", "negative": "other", "background": "noise", "room": "rooms"}
EXERCISE = {
    "num_keywords": [0, 4],
    "num_negatives": [0, 2],
    "min_gap_s": 0.0,
    "on_infeasible": "condition",
    "overlay": {},
}
EFFECTS = {
    "duration_s": 10.0,
    "on_infeasible": "condition",
    "effects": {
        "speed": [0.9, 1.1],
        "room": [1.0, 1.0],
        "low_pass_hz": [2000, 7000],
        "resonance_db": [-9, 9],
    },
    "channel": {"high_pass_hz": [60, 300], "soft_clip_db": [0, 12]},
}


class Bank:
    """Noise of the right lengths and levels, at `rate` Hz."""

    def __init__(self, rate: int) -> None:
        rng = np.random.default_rng(0)
        self._samples: dict[str, npt.NDArray[np.int16]] = {}
        self.clips: list[Clip] = []
        for role, kind, label, lengths_s in (
            ("keyword", "keyword", "activate", np.linspace(0.66, 2.39, 9)),
            ("negative", "speech", "speech", np.linspace(0.36, 1.34, 10)),
            ("background", "background", "background", [30.0, 30.0]),
            ("room", "room", "room", [0.4, 0.4]),
        ):
            for i, length_s in enumerate(lengths_s):
                n = round(float(length_s) * rate)
                x = np.rint(rng.standard_normal(n) * 3000)
                if role == "room":
                    x = np.rint(x * np.exp(-np.arange(n) / (0.1 * rate)))
                    x[0] = 30_000
                name = f"{role}/folder/{i}.wav"
                self._samples[name] = np.clip(x, -32768, 32767).astype(np.int16)
                level = float(20 * np.log10(3000 / 32768))
                peak = int(np.abs(self._samples[name].astype(int)).max())
                self.clips.append(
                    Clip(name, role, kind, label, name, None, "", 0, n, level, peak, name)
                )
        self._by_id = {clip.clip_id: clip for clip in self.clips}

    def clip(self, clip_id: str) -> Clip:
        """Return a clip."""
        return self._by_id[clip_id]

    def samples(self, clip: Clip) -> npt.NDArray[np.int16]:
        """Return its samples."""
        return self._samples[clip.clip_id]


def planner(bank: Bank, rate: int, scene: dict[str, Any]) -> ScenePlanner:
    """Return a planner over a bank."""
    recipe = Recipe.model_validate(
        {"name": "b", "seed": 1, "sample_rate_hz": rate, "material": MATERIAL, "scene": scene}
        | ({"features": {"family": "log_mel", "high_hz": min(7600, rate / 2)}})
    )
    return ScenePlanner(recipe, bank.clips, "train")


def recipe(num_examples: int, scene: dict[str, Any], rate: int, **dataset: Any) -> Recipe:
    """Return a recipe for so many training scenes; `dataset` adds to that section."""
    values: dict[str, Any] = {
        "name": "b",
        "sample_rate_hz": rate,
        "material": MATERIAL | {"trim": False},
        "splits": {"train": 1.0, "validation": 0.0, "test": 0.0},
        "scene": scene,
        "dataset": {
            "num_examples": {"train": num_examples, "validation": 0, "test": 0},
            "shard_bytes": "32MiB",
        }
        | dataset,
        "features": {"family": "specgram"},
        "model": {"family": "trigger_gru"},
    }
    return Recipe.model_validate(values)


def bank_on_disk(folder: Path, rate: int) -> ClipBank:
    """Write the clips to files in `folder` and build a bank of them in `folder/bank`."""
    from beam_jobs.bank_building import open_or_build_bank

    bank = Bank(rate)
    for clip in bank.clips:
        path = folder / _FOLDERS[clip.role] / Path(clip.clip_id).name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, bank.samples(clip), rate, subtype="PCM_16")
    built, _ = open_or_build_bank(
        recipe(1, EXERCISE, rate), base_dir=folder, bank_root=folder / "bank"
    )
    return built
