"""Which clips may be heard in training, validation and test: decided before any mixing.

A group (speaker or source) goes where a stable hash sends it: the first 53 bits of the SHA-256
of its name, as a number in [0, 1), against the cumulated shares of train, validation and test.
The seed, the order of files and other material play no part, so a group stays where it is when
material is added, and no group is ever in two splits.

Groups that share a recording (files of the same bytes) are one group, by whatever names: they go
where the first of their names goes. So no recording is heard in two splits either.

A recipe may say of some groups where they belong (`splits.keep`): those stay there.

Little material. Thirty takes of a class (a keyword label, all negatives, all backgrounds) may hash
to 28, 1 and 1, and nothing can be chosen or measured on one. So a class that has at least as many
groups as there are splits with a share gives each of them at least one, and its share, rounded
down, up to five; the split with the largest share keeps three quarters of its own. Where one lacks,
a group moves there that no class needs where it was: of those that fill the most lacks, the one
whose hash lies nearest to that split's interval. Such moves are deterministic, but may change when
material is added; where each class has some hundred groups hardly any is needed.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Sequence

from schemas.clips import Clip
from schemas.recipe import SPLITS, Fractions

_ENOUGH = 5
"""Groups that a split needs of a class, if that has many."""


def assign_splits(clips: Sequence[Clip], fractions: Fractions) -> dict[str, str]:
    """Return {group: split} for all groups of `clips` that aren't shared."""
    intervals = _intervals(fractions)
    clips = [clip for clip in clips if not clip.shared]
    names = _merged(clips)
    kept = {names[g]: split for g, split in sorted(fractions.keep.items()) if g in names}
    splits = {name: _home(name, intervals) for name in names.values()} | kept
    _fill(splits, _classes(clips, names), intervals, frozenset(kept))
    return {group: splits[name] for group, name in names.items()}


def split_of(group: str, fractions: Fractions) -> str:
    """Return the split of a group that stands for itself, such as a day."""
    return fractions.keep.get(group) or _home(group, _intervals(fractions))


def split_clips(clips: Sequence[Clip], fractions: Fractions) -> dict[str, tuple[Clip, ...]]:
    """Return {split: its clips}, in the order of `clips`, for all three splits.

    A clip that the recipe shares is in each of them.
    """
    home = assign_splits(clips, fractions)
    return {
        split: tuple(clip for clip in clips if clip.shared or home[clip.group] == split)
        for split in SPLITS
    }


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


def _merged(clips: Iterable[Clip]) -> dict[str, str]:
    """Return {group: the first name among the groups that it shares recordings with}."""
    parent: dict[str, str] = {}

    def root(group: str) -> str:
        while parent[group] != group:
            parent[group] = parent[parent[group]]
            group = parent[group]
        return group

    first_with: dict[str, str] = {}
    for clip in clips:
        parent.setdefault(clip.group, clip.group)
        if clip.content_sha256:
            one, other = (
                root(clip.group),
                root(first_with.setdefault(clip.content_sha256, clip.group)),
            )
            parent[max(one, other)] = min(one, other)
    return {group: root(group) for group in parent}


def _classes(clips: Iterable[Clip], names: dict[str, str]) -> list[list[str]]:
    classes: dict[str, set[str]] = {}
    for clip in clips:
        name = f"keyword {clip.label}" if clip.role == "keyword" else clip.role
        classes.setdefault(name, set()).add(names[clip.group])
    return [sorted(classes[name], key=lambda g: (group_position(g), g)) for name in sorted(classes)]


def _need(split: str, num_groups: int, intervals: dict[str, tuple[float, float]]) -> int:
    """How many of a class' groups a split needs."""
    shares = {name: stop - start for name, (start, stop) in intervals.items()}
    its_share = math.floor(shares[split] * num_groups + 1e-9)
    if split == max(shares, key=shares.__getitem__):
        return max(1, its_share * 3 // 4)
    return max(1, min(its_share, _ENOUGH))


def _fill(
    splits: dict[str, str],
    classes: Sequence[Sequence[str]],
    intervals: dict[str, tuple[float, float]],
    kept: frozenset[str],
) -> None:
    """Move groups until nothing can be bettered; each move fills a place and makes none lack."""
    spare: list[dict[str, int]] = []  # groups of each class that a split has over its need
    classes_of: dict[str, list[int]] = {}
    for number, members in enumerate(classes):
        there = Counter(splits[group] for group in members)
        spare.append({s: there[s] - _need(s, len(members), intervals) for s in intervals})
        for group in members:
            classes_of.setdefault(group, []).append(number)
    moved = True
    while moved:
        moved = False
        for number, members in enumerate(classes):
            for wanted, (start, stop) in intervals.items():
                if spare[number][wanted] >= 0 or len(members) < len(intervals):
                    continue
                may_go = [
                    (
                        -sum(spare[c][wanted] < 0 for c in classes_of[g]),  # the most lacks filled
                        max(start - group_position(g), group_position(g) - stop, 0.0),
                        g,
                    )
                    for g in members
                    if g not in kept and all(spare[c][splits[g]] > 0 for c in classes_of[g])
                ]
                if may_go:
                    group = min(may_go)[-1]
                    for c in classes_of[group]:
                        spare[c][splits[group]] -= 1
                        spare[c][wanted] += 1
                    splits[group] = wanted
                    moved = True
