"""`condition` where clips have several places to lie: lanes, or the windows between pinned events.

Whether clips fit into several places is a packing problem, so there is no table of probabilities as
for one lane (feasibility.py). A constructive law stands in for the conditional one. Place s has
room R_s, a clip costs its length at its slowest plus a gap, and m is the dearer of both pools'
cheapest clips.

1. *Counts* i, j are drawn with probability ∝ P(i) P(j) among those with Σ_s ⌊R_s / m⌋ ≥ i + j.
2. *Clips*, keywords first. With r still to come after this one, and F = Σ_s ⌊f_s / m⌋ over what is
   free, place s can spare s_s = f_s − m · max(0, r − F + ⌊f_s / m⌋) and still leave room for r of
   cost m. A clip is drawn with probability ∝ w_c among those that cost at most max_s s_s, and then
   its place among those with s_s ≥ cost, with probability ∝ s_s − cost + 1.

*It never ends without room.* Before a clip F ≥ r + 1, so some place has ⌊f_s / m⌋ ≥ 1 and can spare
m, and the cheapest clip of either pool fits; afterwards F ≥ r, by what "spare" means. Nothing is
drawn twice. Every clip that fits anywhere beside the cheapest others can be drawn.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pipeline.clip_choice import choose
from pipeline.feasibility import ClipPool, Drawn
from pipeline.randomness import Draws
from schemas.errors import MaterialError
from schemas.recipe import CountRange

_NUM_TRIED = 2000


class SlotLaw:
    """Draws counts, clips and places.

    Args:
        keywords, negatives: the pools.
        num_keywords, num_negatives: the recipe's counts.
        rooms: R_s of each place, in samples, a gap included.
        gap_samples: of a clip's cost.

    Raises:
        MaterialError: not even the smallest counts can fit.
    """

    def __init__(
        self,
        keywords: ClipPool,
        negatives: ClipPool,
        *,
        num_keywords: CountRange,
        num_negatives: CountRange,
        rooms: Sequence[int],
        gap_samples: int,
    ) -> None:
        self._rooms = list(rooms)
        self._counts = num_keywords.probabilities(), num_negatives.probabilities()
        self._pools = [_SortedPool(pool, gap_samples) for pool in (keywords, negatives)]
        asked = [p for p, of in zip(self._pools, self._counts, strict=True) if max(of) and p.costs]
        self._unit = max((pool.costs[0] for pool in asked), default=1)
        most = sum(room // self._unit for room in self._rooms)
        joint = {
            (i, j): p * q
            for i, p in self._counts[0].items()
            for j, q in self._counts[1].items()
            if i + j <= most
        }
        if not sum(joint.values()):
            raise MaterialError(
                f"scenes hold up to {most} clips of {self._unit} samples, gap included, in places "
                f"of {', '.join(map(str, self._rooms))}; that is fewer than the fewest asked for",
                fix="lower scene.num_keywords and scene.num_negatives, pin fewer events, or raise "
                "scene.duration_s",
            )
        self._pairs = list(joint)
        self._joint: list[float] = np.cumsum(list(joint.values())).tolist()

    def draw(self, draws: Draws) -> Drawn:
        """Draw counts, clips and places; takes 1 + 2 (i + j) numbers."""
        i, j = self._pairs[choose(self._joint, draws.uniform())]
        free, places = list(self._rooms), []
        chosen: tuple[list[int], list[int]] = ([], [])
        for k in range(i + j):
            role = 0 if k < i else 1
            spare = self._spare(free, i + j - k - 1)
            clip, cost = self._pools[role].draw(draws.uniform(), max(spare))
            weights = [max(0, most - cost + 1) for most in spare]
            place = choose(np.cumsum(weights).tolist(), draws.uniform())
            free[place] -= cost
            chosen[role].append(clip)
            places.append(place)
        return Drawn(tuple(chosen[0]), tuple(chosen[1]), tuple(places))

    def can_be_drawn(self, role: int) -> npt.NDArray[np.bool_]:
        """Return (num_clips,) bool: which clips of pool 0 or 1 fit beside the cheapest others."""
        fewest = min((i + j for i, j in self._pairs if (i, j)[role]), default=0)
        most = max(self._spare(self._rooms, fewest - 1)) if fewest else 0
        return self._pools[role].cheaper_than(most)

    @property
    def fit_probability(self) -> float:
        """Share of free draws that fit, the dearest clip first into the first place with room.

        An estimate from below: of 2,000 draws, and another packing may fit where this one doesn't.
        """
        rng = np.random.default_rng(0)
        fits = 0
        for _ in range(_NUM_TRIED):
            costs: list[int] = []
            for law, pool in zip(self._counts, self._pools, strict=True):
                count = int(rng.choice(list(law), p=list(law.values())))
                costs += [pool.draw(float(rng.random()), pool.costs[-1])[1] for _ in range(count)]
            free = list(self._rooms)
            for cost in sorted(costs, reverse=True):
                place = next((s for s, room in enumerate(free) if room >= cost), None)
                if place is None:
                    break
                free[place] -= cost
            else:
                fits += 1
        return fits / _NUM_TRIED

    def _spare(self, free: Sequence[int], to_come: int) -> list[int]:
        """The most that a clip may cost in each place."""
        unit = self._unit
        missing = to_come - sum(room // unit for room in free)
        return [room - unit * max(0, missing + room // unit) for room in free]


class _SortedPool:
    """A pool by cost, so that the clips up to a cost are a prefix."""

    def __init__(self, pool: ClipPool, gap: int) -> None:
        usable = np.flatnonzero(pool.weights > 0)
        order = usable[np.argsort(pool.lengths[usable], kind="stable")]
        self._clips: list[int] = order.tolist()
        self._size = len(pool.lengths)
        self.costs: list[int] = (pool.lengths[order] + gap).tolist()
        self._cumulative: list[float] = np.cumsum(pool.weights[order]).tolist()

    def draw(self, number: float, most: int) -> tuple[int, int]:
        """Return a clip's index and cost, by weight among those that cost at most `most`."""
        at = choose(self._cumulative[: bisect_right(self.costs, most)], number)
        return self._clips[at], self.costs[at]

    def cheaper_than(self, most: int) -> npt.NDArray[np.bool_]:
        able = np.zeros(self._size, dtype=bool)
        able[self._clips[: bisect_right(self.costs, most)]] = True
        return able
