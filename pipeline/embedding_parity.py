"""How the reference exercise cut and split its clips, exactly: for comparisons, not as an example.

Its padding puts zeros in front, where a recurrent network meets them first; it drops the beginning
of what is too long and casts to integers, so that 1.7 becomes 1. Its split looks at no video.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def padded_in_front(clips: Sequence[npt.ArrayLike], num_frames: int = 10) -> npt.NDArray[np.int32]:
    """Return (clips, num_frames, …) int32: zeros in front, starts dropped, fractions cut off."""
    arrays = [np.asarray(clip) for clip in clips]
    out = np.zeros((len(arrays), num_frames, *arrays[0].shape[1:]), np.int32)
    for row, clip in zip(out, arrays, strict=True):
        kept = clip[-num_frames:]
        row[num_frames - len(kept) :] = kept
    return out


def shuffled_split(
    num_clips: int, held_out: float = 0.25, random_state: int = 42
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return indices of (train, held out): what scikit-learn's `train_test_split` returns.

    The held-out share is rounded up; it is the beginning of numpy's old permutation, training is
    what follows it.
    """
    order = np.random.RandomState(random_state).permutation(num_clips)
    num_held_out = math.ceil(held_out * num_clips)
    return order[num_held_out:], order[:num_held_out]
