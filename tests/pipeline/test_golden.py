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
from pipeline.tfrecord import joined
from schemas import effects
from tests.fakes import MemoryBank, clip, recipe

GOLDEN = Path(__file__).parents[1] / "golden" / "examples.json"
CLIPS = [
    *(clip(f"k{i}.wav", 8000 + 901 * i) for i in range(6)),
    *(clip(f"n{i}.wav", 6000 + 803 * i, role="negative") for i in range(6)),
    clip("short.wav", 30_001, role="background"),
    clip("long.wav", 200_003, role="background"),
    clip("room.wav", 3000, role="room"),
]
EFFECTS = {
    name: {"range": [effect.low, effect.high], "probability": 0.4}
    for name, effect in effects.EFFECTS.items()
    if not name.endswith("_kbps") and not effect.changes_length
}
MATERIAL = {
    "keyword": [{"path": "kw", "label": "kw"}],
    "negative": [{"path": "other"}],
    "background": [{"path": "noise"}],
    "room": [{"path": "rooms"}],
}
CHANNEL = {name: EFFECTS[name] for name in ("tilt_db_per_octave", "room", "telephone_hz")}
SCENES = {
    "plain": {"effects": {"speed": [0.85, 1.2]}},
    "effects": {
        "effects": EFFECTS | {"speed": [0.85, 1.2], "tempo": [0.8, 1.25]},
        "channel": CHANNEL,
    },
    "loudness": {
        "level_lufs": [-50, -20],
        "event_level": {"unit": "lufs", "range": [-40, -20]},
        "num_backgrounds": [1, 3],
        "pinned": [{"label": "kw", "onset_s": 2.5}, {"label": "speech", "onset_s": 4.5}],
        "num_keywords": [0, 1],
        "num_negatives": [0, 2],
    },
    "lanes": {"polyphony": 3, "num_keywords": [4, 9], "babble": {"probability": 0.5}},
    "overlay": {"overlay": {}},
}


def digests() -> dict[str, str]:
    """Return the SHA-256 of each example's bytes, by scene and example."""
    bank = MemoryBank(CLIPS)
    made = {}
    for name, scene in SCENES.items():
        wanted = recipe(
            scene={"duration_s": 6.0, "on_infeasible": "condition"} | scene,
            material=MATERIAL,
        )
        planner = ScenePlanner(wanted, CLIPS, "train")
        for index in (0, 1, 2, 3, 123_456_789):
            plan = planner.plan(index)
            scene = render_scene(plan, bank)
            pieces = encode_example(plan, scene, encoding="pcm16", recipe_digest="0" * 64)
            data = joined(pieces)
            made[f"{name} {plan.example_id}"] = hashlib.sha256(data).hexdigest()
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
