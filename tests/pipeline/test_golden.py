"""The bytes of examples, pinned: whoever changes what a recipe makes has to say so.

`python -m tests.pipeline.test_golden` writes tests/golden/examples.json anew. A line under
"Generated data changes" in CHANGELOG.md goes with it.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.example_codec import encode_example
from pipeline.scene_planner import ScenePlanner
from pipeline.scene_renderer import render_scene
from tests.fakes import MemoryBank, clip, recipe

GOLDEN = Path(__file__).parents[1] / "golden" / "examples.json"
CLIPS = [
    *(clip(f"k{i}.wav", 8000 + 901 * i) for i in range(6)),
    *(clip(f"n{i}.wav", 6000 + 803 * i, role="negative") for i in range(6)),
    clip("short.wav", 30_001, role="background"),
    clip("long.wav", 200_003, role="background"),
]


def digests() -> dict[str, str]:
    """Return the SHA-256 of each example's bytes, by example."""
    effects = {"speed": [0.85, 1.2], "low_pass_hz": {"range": [2000, 6000], "probability": 0.5}}
    scene = {"duration_s": 6.0, "effects": effects, "on_infeasible": "condition"}
    planner = ScenePlanner(recipe(scene=scene), CLIPS, "train")
    bank = MemoryBank(CLIPS)
    made = {}
    for index in (0, 1, 2, 3, 123_456_789):
        plan = planner.plan(index)
        data = encode_example(
            plan, render_scene(plan, bank), encoding="pcm16", recipe_digest="0" * 64
        )
        made[plan.example_id] = hashlib.sha256(data).hexdigest()
    return made


def test_examples_are_the_bytes_that_they_always_were() -> None:
    assert digests() == json.loads(GOLDEN.read_text())


@pytest.mark.skipif(sys.platform != "linux", reason="numpy's CPU features are named for x86 here")
def test_older_cpus_make_the_same_bytes(tmp_path: Path) -> None:
    """numpy without its newer instructions, and the compiled loops made for the oldest CPU."""
    from numpy.core._multiarray_umath import __cpu_dispatch__, __cpu_features__

    newer = [name for name in __cpu_dispatch__ if __cpu_features__.get(name)]
    if not newer:
        pytest.skip("this CPU has none of the features that numpy chooses by")
    code = (
        "import json; from tests.pipeline.test_golden import digests; print(json.dumps(digests()))"
    )
    made = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ
        | {"NPY_DISABLE_CPU_FEATURES": " ".join(newer)}
        | {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "", "NUMBA_CACHE_DIR": str(tmp_path)},
        cwd=GOLDEN.parents[2],
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    assert json.loads(made) == json.loads(GOLDEN.read_text())


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(digests(), indent=2) + "\n")
