"""Costly scenes made by a plain process, without Beam: job.py's measure of what this machine has.

python -m benchmarks.plain_peer BANK FIRST COUNT     prints the seconds that a scene took
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from benchmarks.clips import EFFECTS, recipe
from benchmarks.measuring import seconds_each
from pipeline.clip_bank import ClipBank
from pipeline.scene_source import SceneSource
from pipeline.tfrecord import RecordWriter


def main(folder: str, first: int, count: int) -> None:
    """Measure and print."""
    bank = ClipBank.open(Path(folder))
    source = SceneSource(recipe(count, EFFECTS, bank.sample_rate_hz), bank, "train")

    def scene(index: int) -> None:
        RecordWriter(io.BytesIO()).write(*source[index].pieces)

    scene(first)
    print(seconds_each(scene, count, first))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
