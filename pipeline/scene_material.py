"""The clips of one split by what a scene uses them for, and how likely each negative is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from pipeline.clip_choice import FloatArray, folder_weights
from schemas.clips import Clip
from schemas.errors import MaterialError
from schemas.recipe import Scene


@dataclass(frozen=True)
class SceneMaterial:
    """Clips of a split, by use.

    Attributes:
        split: its name.
        keywords: what shall be detected.
        negatives: what must not, but for `ambient` where the scene counts those apart.
        ambient: negatives that may lie over anything, where the scene counts them apart.
        backgrounds: what lies under a scene.
        talkers: speech for babble.
        rooms: impulse responses.
        odd_keywords: those that aren't drawn, because of their length.
    """

    split: str
    keywords: list[Clip]
    negatives: list[Clip]
    ambient: list[Clip]
    backgrounds: list[Clip]
    talkers: list[Clip]
    rooms: list[Clip]
    odd_keywords: list[Clip]

    @classmethod
    def of(cls, scene: Scene, clips: Sequence[Clip], split: str) -> Self:
        """Sort the clips of a split.

        Raises:
            MaterialError: a role that scenes need has no clip in this split.
        """
        by_role = {
            role: [clip for clip in clips if clip.role == role]
            for role in ("keyword", "negative", "background", "room")
        }
        every = by_role["negative"]
        apart = scene.num_ambient is not None
        odd = _odd_lengths(by_role["keyword"], scene.keyword_lengths) if split == "train" else []
        odd_ids = {clip.clip_id for clip in odd}
        material = cls(
            split=split,
            keywords=[clip for clip in by_role["keyword"] if clip.clip_id not in odd_ids],
            negatives=[clip for clip in every if not (apart and clip.kind == "ambient")],
            ambient=[clip for clip in every if apart and clip.kind == "ambient"],
            backgrounds=by_role["background"],
            talkers=[clip for clip in every if clip.kind == "speech"],
            rooms=by_role["room"],
            odd_keywords=odd,
        )
        material._require(scene)
        return material

    def negative_weights(self, scene: Scene) -> FloatArray:
        """Return the probability of each negative: by the recipe's shares, then by folder.

        Raises:
            MaterialError: the split has no negative of a kind with a share.
        """
        clips, shares = self.negatives, scene.negative_shares
        if shares is None or not clips:
            return folder_weights(clips)
        kinds = sorted({clip.kind for clip in clips})  # summed in an order of its own, always
        total = sum(shares.get(kind, 0.0) for kind in kinds)  # type: ignore[call-overload]
        if total <= 0.0:
            raise MaterialError(
                f"split {self.split!r} has negatives of kind {', '.join(kinds)} only",
                expected=f"some of {', '.join(shares)}, as scene.negative_shares says",
            )
        weights = np.zeros(len(clips))
        for kind in kinds:
            of = [i for i, clip in enumerate(clips) if clip.kind == kind]
            share = shares.get(kind, 0.0) / total  # type: ignore[call-overload]
            weights[of] = share * folder_weights([clips[i] for i in of])
        return weights

    def _require(self, scene: Scene) -> None:
        needs = [
            ("keyword", "keyword", self.keywords, scene.num_keywords.range[1]),
            ("negative", "negative", self.negatives, scene.num_negatives.range[1]),
            ("background", "background", self.backgrounds, 1),
            ("room", "effects.room", self.rooms, int("room" in {**scene.effects, **scene.channel})),
            ("speech negative", "babble", self.talkers, int(scene.babble is not None)),
        ]
        if scene.num_ambient is not None:
            needs.append(("ambient negative", "ambient", self.ambient, scene.num_ambient.range[1]))
        for name, key, clips, most in needs:
            if not most or clips:
                continue
            instead = f"or set scene.num_{key}{'' if key == 'ambient' else 's'} to [0, 0]"
            raise MaterialError(
                f"split {self.split!r} has no {name} clip",
                expected=f"at least one, because scenes draw up to {most}",
                fix=f"add {name} recordings by more speakers or sources, change the shares under "
                f"splits, {instead}"
                if key in ("keyword", "negative", "ambient")
                else f"add {name} recordings or change the shares under splits",
            )


def _odd_lengths(clips: Sequence[Clip], bounds: tuple[float, float] | None) -> list[Clip]:
    """Clips whose length, as a multiple of the median of their folder, is out of bounds.

    A take in babble, or with other words in it, ends where nobody can tell, and the steps after
    that end would be taught as right.
    """
    if bounds is None:
        return []
    folders: dict[str, list[Clip]] = {}
    for clip in clips:
        folders.setdefault(clip.folder, []).append(clip)
    odd = []
    for of in folders.values():
        median = float(np.median([clip.num_samples for clip in of]))
        least, greatest = bounds[0] * median, bounds[1] * median
        odd += [clip for clip in of if not least <= clip.num_samples <= greatest]
    return odd
