"""Stand-ins for what is costly: a clip bank in memory, with audio made from each clip's name."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.randomness import Draws, Purpose, Streams
from schemas.clips import Clip
from schemas.recipe import Recipe
from schemas.units import FULL_SCALE


def clip(name: str, num_samples: int, **fields: Any) -> Clip:
    """Return a keyword clip called `keyword/folder/name` unless `fields` say otherwise."""
    role = fields.get("role", "keyword")
    values: dict[str, Any] = {
        "clip_id": f"{role}/{fields.pop('folder', 'folder')}/{name}",
        "role": role,
        "kind": {"negative": "speech"}.get(role, role),
        "label": {"negative": "speech", "keyword": "kw"}.get(role, role),
        "group": name,
        "licence": None,
        "pack": "",
        "first_sample": 0,
        "num_samples": num_samples,
        "level_dbfs": -20.0,
        "peak": 10000,
        "content_sha256": "",
    }
    return Clip(**(values | fields))


def draws(seed: int) -> Draws:
    """Return random numbers to draw from."""
    return Streams(seed, Purpose.SCENE, "train").at(0)


class MemoryBank:
    """Noise clips of the wanted level and peak; the same name always sounds the same."""

    def __init__(self, clips: Sequence[Clip]) -> None:
        self.clips = {item.clip_id: item for item in clips}
        self.num_reads = 0

    def clip(self, clip_id: str) -> Clip:
        return self.clips[clip_id]

    def samples(self, item: Clip) -> npt.NDArray[np.int16]:
        self.num_reads += 1
        rng = np.random.default_rng(zlib.crc32(item.clip_id.encode()))
        noise = rng.standard_normal(item.num_samples)
        noise *= 10 ** (item.level_dbfs / 20) * FULL_SCALE
        if item.role == "room":  # a decay behind a direct sound
            noise *= np.exp(-np.arange(len(noise)) / 800)
            noise[0] = item.peak
        return np.clip(np.rint(noise), -item.peak, item.peak).astype(np.int16)


def recipe(**sections: Any) -> Recipe:
    """Return a valid recipe with the given sections replaced."""
    values: dict[str, Any] = {
        "schema": 1,
        "name": "test",
        "seed": 7,
        "material": {
            "keyword": [{"path": "kw", "label": "kw"}],
            "negative": [{"path": "other"}],
            "background": [{"path": "noise"}],
        },
    }
    return Recipe.model_validate(values | sections)
