"""Addressed randomness: a generator is a place, not a queue.

Every random decision is drawn from a generator that is named by (root seed, purpose, split,
index). Philox is counter-based: its stream is a pure function of a 128-bit key and a 256-bit
counter. The key comes from the root seed, the three upper words of the counter are the address,
and the lowest word counts blocks inside one stream; two addresses can't meet before 2^64 blocks.

So example i is the same whatever runner, worker or order made it. Nothing here is shared or
global, and no address is made by adding an index to a seed.

Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

from __future__ import annotations

import enum

import numpy as np

from schemas.recipe import SPLITS


class Purpose(enum.IntEnum):
    """What a stream is for. Numbers are part of the stored bytes: never reuse one."""

    SCENE = 1


def generator(seed: int, purpose: Purpose, split: str, index: int) -> np.random.Generator:
    """Return a new generator at the address (seed, purpose, split, index).

    Args:
        seed: root seed, 0 … 2^63 − 1. A missing seed is not 0: decide before calling.
        purpose: which decision the draws are for.
        split: `train`, `validation` or `test`.
        index: of the example in its split, ≥ 0.

    Raises:
        ValueError: a part of the address is out of range.
    """
    if not 0 <= seed < 2**63 or not 0 <= index < 2**63:
        raise ValueError(f"seed and index must lie in [0, 2^63), got {seed} and {index}")
    counter = (0, index, SPLITS.index(split), int(purpose))
    return np.random.Generator(np.random.Philox(key=(seed, _KEY_TAG), counter=counter))


_KEY_TAG = 0x77616B656265616D  # "wakebeam": keeps our streams apart from other users of Philox
