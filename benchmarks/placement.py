"""How long it takes to place four clips of 2.4 s in a scene of 10 s, 100,000 times.

Prints the median of five runs with their spread, and how many of 1,000 scenes the usual way (draw
again until nothing overlaps) has not finished after 10,000 draws for one clip.
"""

from __future__ import annotations

import statistics
import time

import numpy as np

from pipeline.placement import place
from pipeline.randomness import Purpose, Streams

RATE = 44100
LENGTHS = [int(2.4 * RATE)] * 4
NUM_SAMPLES = 10 * RATE
NUM_SCENES = 100_000


def main() -> None:
    """Measure and print."""
    seconds = []
    for run in range(5):
        streams = Streams(run, Purpose.SCENE, "train")
        began_s = time.perf_counter()
        for index in range(NUM_SCENES):
            place(LENGTHS, num_samples=NUM_SAMPLES, draws=streams.at(index))
        seconds.append(time.perf_counter() - began_s)
    print(
        f"{NUM_SCENES} scenes placed in {statistics.median(seconds):.2f} s "
        f"({min(seconds):.2f} … {max(seconds):.2f}), median of five, one core"
    )
    stuck = sum(not _by_rejection(np.random.default_rng(i)) for i in range(1000))
    print(f"by rejection, {stuck} of 1000 scenes had not ended after 10,000 draws for one clip")


def _by_rejection(rng: np.random.Generator) -> bool:
    placed: list[int] = []
    for length in (2400,) * 4:
        starts = rng.integers(0, 10_000 - length, 10_000)
        if placed:
            free = (np.abs(starts[:, None] - np.array(placed)) >= length).all(axis=1)
            if not free.any():
                return False
            starts = starts[free]
        placed.append(int(starts[0]))
    return True


if __name__ == "__main__":
    main()
