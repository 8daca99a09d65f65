"""Which labelled clips train, validate and test.

By speaker, with the project's splits: nobody is heard in two of them. With a test folder the
speakers in it, and any recording that is also in it, train and validate nothing. Or as the
reference deals them, to compare with it; then a speaker may be in all three.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pipeline.splits import assign_splits
from schemas.clips import Clip
from schemas.errors import MaterialError
from schemas.recipe import Fractions

Rows = npt.NDArray[np.int64]
_BATCH = 64
_HELD_OUT = 0.2


def split_by_speaker(
    clips: Sequence[Clip], for_test: Sequence[bool], fractions: Fractions
) -> dict[str, Rows]:
    """Return {split: rows}, ascending.

    Args:
        clips: their groups are speakers.
        for_test: of each, whether it lies in a test folder; no True: there is no such folder.
        fractions: shares of the speakers; of train and validation alone with a test folder.

    Raises:
        MaterialError: `fractions.keep` names somebody of whom there is no clip.
    """
    unknown = sorted(set(fractions.keep) - {clip.group for clip in clips})
    if unknown:
        raise MaterialError(
            f"splits.keep names {', '.join(unknown)}, of whom there is no clip",
            expected="speakers as clips.speaker_pattern finds them",
        )
    tested = [clip for clip, apart in zip(clips, for_test, strict=True) if apart]
    groups = {clip.group for clip in tested}
    contents = {clip.content_sha256 for clip in tested}
    others = [c for c in clips if c.group not in groups and c.content_sha256 not in contents]
    homes = assign_splits(others, _without_test(fractions) if tested else fractions)
    places = [
        "test" if apart else ("" if clip.content_sha256 in contents else homes.get(clip.group, ""))
        for clip, apart in zip(clips, for_test, strict=True)
    ]
    return {split: _rows(places, split) for split in ("train", "validation", "test")}


def deal_as_reference(num_clips: int, *, seed: int = 0) -> dict[str, Rows]:
    """Return {split: rows} as the eight-commands tutorial divides clips, speakers or not.

    All are shuffled; the last fifth is held out and cut into batches of 64, which go to test and
    validation in turn: of 8,000 clips 6,400 train, 768 validate and 832 test.

    Args:
        num_clips: in the order of their names.
        seed: of the shuffle.
    """
    order = np.random.RandomState(seed).permutation(num_clips).astype(np.int64)
    num_held_out = int(_HELD_OUT * num_clips)
    held_out = order[num_clips - num_held_out :]
    is_odd = np.arange(num_held_out) // _BATCH % 2 == 1
    return {
        "train": order[: num_clips - num_held_out],
        "validation": held_out[is_odd],
        "test": held_out[~is_odd],
    }


def _without_test(fractions: Fractions) -> Fractions:
    """Train and validation in the same ratio, as all that there is."""
    total = fractions.train + fractions.validation
    train = fractions.train / total if total else 1.0
    keep = {group: split for group, split in fractions.keep.items() if split != "test"}
    return Fractions(train=train, validation=1.0 - train, test=0.0, keep=keep)


def _rows(places: Sequence[str], split: str) -> Rows:
    return np.array([i for i, place in enumerate(places) if place == split], np.int64)
