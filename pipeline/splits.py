"""Which clips may be heard in training, validation and test: decided before any mixing.

A group (speaker or source) goes where a stable hash sends it: the first 53 bits of the SHA-256
of its name, as a number in [0, 1), against the cumulated shares of train, validation and test.
The seed, the order of files and other material play no part, so a group stays where it is when
material is added, and no group is ever in two splits.

Tiny material. A class (a keyword label, all negatives, all backgrounds) that has at least as many
groups as there are splits with a share should not leave one of them empty. Where it would, one
group moves there: the one whose hash lies nearest to that split's interval, from a split that
keeps at least one other group of the class. Such a move is deterministic, but may change when
material is added; with fifty groups or more it is not needed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from schemas.clips import Clip
from schemas.recipe import SPLITS, Fractions


def assign_splits(clips: Sequence[Clip], fractions: Fractions) -> dict[str, str]:
    """Return {group: split} for all groups of `clips`."""
    intervals = _intervals(fractions)
    splits = {clip.group: _home(clip.group, intervals) for clip in clips}
    for groups in _classes(clips):
        _fill_empty(splits, groups, intervals)
    return splits


def split_clips(clips: Sequence[Clip], fractions: Fractions) -> dict[str, tuple[Clip, ...]]:
    """Return {split: its clips}, in the order of `clips`, for all three splits."""
    home = assign_splits(clips, fractions)
    return {split: tuple(clip for clip in clips if home[clip.group] == split) for split in SPLITS}


def group_position(group: str) -> float:
    """Return the stable hash of a group's name as a number in [0, 1)."""
    head = hashlib.sha256(group.encode("utf-8", "surrogateescape")).digest()[:8]
    return float((int.from_bytes(head, "big") >> 11) / 2.0**53)


def _intervals(fractions: Fractions) -> dict[str, tuple[float, float]]:
    edge = 0.0
    intervals = {}
    for split in SPLITS:
        share = float(getattr(fractions, split))
        if share > 0:
            intervals[split] = (edge, edge + share)
        edge += share
    return intervals


def _home(group: str, intervals: dict[str, tuple[float, float]]) -> str:
    position = group_position(group)
    for split, (_, stop) in intervals.items():
        if position < stop:
            return split
    return next(reversed(intervals))  # rounding of the shares' sum


def _classes(clips: Iterable[Clip]) -> list[list[str]]:
    classes: dict[str, set[str]] = {}
    for clip in clips:
        name = f"keyword {clip.label}" if clip.role == "keyword" else clip.role
        classes.setdefault(name, set()).add(clip.group)
    return [sorted(classes[name], key=lambda g: (group_position(g), g)) for name in sorted(classes)]


def _fill_empty(
    splits: dict[str, str], groups: Sequence[str], intervals: dict[str, tuple[float, float]]
) -> None:
    if len(groups) < len(intervals):
        return
    for wanted, (start, stop) in intervals.items():
        by_split = {name: [g for g in groups if splits[g] == name] for name in intervals}
        if by_split[wanted]:
            continue
        spare = [g for members in by_split.values() if len(members) > 1 for g in members]

        def distance(group: str, start: float = start, stop: float = stop) -> float:
            position = group_position(group)
            return max(start - position, position - stop, 0.0)

        splits[min(spare, key=lambda g: (distance(g), g))] = wanted
