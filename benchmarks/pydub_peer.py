"""pydub's side of job.py: one process that mixes scenes and writes each as a WAV file.

    python -m benchmarks.pydub_peer BANK OUT FIRST COUNT     prints the seconds that a scene took

It does what the classic exercise does (scenes.py); clips are loaded and positions are drawn before
its clock starts. A file is written over 32 scenes later, so that memory it lies in is used again.
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.clips import EXERCISE, recipe
from benchmarks.measuring import seconds_each
from benchmarks.scenes import RATE, pydub_mix, pydub_segments
from pipeline.clip_bank import ClipBank
from pipeline.scene_planner import ScenePlanner

_KEPT = 32


def main(folder: str, out: str, first: int, count: int) -> None:
    """Measure and print."""
    bank = ClipBank.open(Path(folder))
    planner = ScenePlanner(recipe(1, EXERCISE, RATE), bank.clips, "train")
    plans = [planner.plan(first + i) for i in range(count + 1)]
    segments = pydub_segments(bank)

    def scene(i: int) -> None:
        pydub_mix(plans[i], segments).export(f"{out}/{first}-{i % _KEPT}.wav", format="wav")

    scene(count)
    print(seconds_each(scene, count))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
