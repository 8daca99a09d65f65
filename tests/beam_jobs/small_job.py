"""A recipe whose data set takes a second to make, and the digests of what was made."""

from __future__ import annotations

import hashlib
from pathlib import Path

from schemas.recipe import Recipe
from tests.fakes import recipe

MATERIAL = {
    "keyword": [{"path": "kw", "label": "kw"}],
    "negative": [{"path": "other"}],
    "background": [{"path": "noise"}],
}
SCENE = {"duration_s": 6.0, "effects": {"speed": [0.9, 1.1]}}


def job_recipe(train: int = 24, **more) -> Recipe:
    counts = {"train": train, "validation": 5, "test": 5}
    dataset = {"num_examples": counts, "shard_bytes": 1_200_000} | more.pop("dataset", {})
    return recipe(material=MATERIAL, scene=SCENE | more.pop("scene", {}), dataset=dataset, **more)


def shard_digests(out: Path) -> dict[str, str]:
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*.tfrecord"))
    }
