"""Which counts and clips a scene may get: the law behind `scene.on_infeasible`.

A scene draws a number of keywords i and of negatives j, then that many clips, each independently
with probability w_c. It fits if the clips' costs add up to no more than the room R, where a
clip costs its length at the slowest speed plus one gap, and R = n − 2m + g (placement.py); and if
the keywords alone leave room for a tail, D = max(0, t − m): Σ cost(keywords) ≤ R − D.

`refuse` demands that the worst case fits: the largest counts, each with the longest clip.

`condition` draws from the law above *given that the scene fits*, exactly and without rejection.
Costs are rounded up, and the room down, to whole ticks of 1 ms, so the condition is very slightly
cautious. With C[i,j](r) = P(i keywords and j negatives fit into r ticks), which obeys

    C[0,j](r) = Σ_c w_c · C[0,j−1](r − cost_c),   C[0,0](r) = 1 for r ≥ 0,
    C[i,j](r) = Σ_c w_c · C'[i−1,j](r − cost_c),  C'[0,j](r) = C[0,j](r) · [r ≥ D], else C' = C,

counts are drawn with probability ∝ P(i) P(j) C[i,j](R), and then each clip in turn, keywords
first, with probability ∝ w_c · C'[remaining](r − cost_c), r being the room that is left. By the
product rule that is the conditional law. Every draw takes one number, whatever the lengths are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.clip_choice import choose
from pipeline.randomness import Draws
from schemas.errors import MaterialError
from schemas.recipe import CountRange

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
_MAX_TABLE_BYTES = 512 * 2**20


@dataclass(frozen=True)
class ClipPool:
    """Clips to draw from, with replacement.

    Attributes:
        lengths: (num_clips,) int64, samples at the slowest speed.
        weights: (num_clips,) float64, probabilities that sum to 1.
    """

    lengths: IntArray
    weights: FloatArray

    @property
    def longest(self) -> int:
        """Length of the longest clip; 0 without clips."""
        return int(self.lengths.max()) if self.lengths.size else 0


@dataclass(frozen=True)
class Drawn:
    """Indices into the two pools, in the order in which they were drawn.

    Attributes:
        keywords, negatives: the clips.
        places: of each, keywords first, where the law chose them too (slot_law.py).
    """

    keywords: tuple[int, ...]
    negatives: tuple[int, ...]
    places: tuple[int, ...] = ()


class CountLaw:
    """Draws counts and clips under one of the two policies.

    Args:
        keywords, negatives: the pools.
        num_keywords, num_negatives: the recipe's counts.
        room_samples: R = n − 2m + g.
        gap_samples: g.
        tail_samples: D.
        tick_samples: resolution of the condition, 1 ms.
        conditional: True for `condition`, False where the worst case is known to fit.

    Raises:
        MaterialError: under `condition`, not even the smallest counts can fit.
    """

    def __init__(
        self,
        keywords: ClipPool,
        negatives: ClipPool,
        *,
        num_keywords: CountRange,
        num_negatives: CountRange,
        room_samples: int,
        gap_samples: int,
        tail_samples: int = 0,
        tick_samples: int,
        conditional: bool,
    ) -> None:
        self._pools = (keywords, negatives)
        self._cumulative = tuple(np.cumsum(pool.weights).tolist() for pool in self._pools)
        self._costs = tuple(-(-(p.lengths + gap_samples) // tick_samples) for p in self._pools)
        self._longest = tuple(int(costs.max(initial=0)) for costs in self._costs)
        self._cost_lists = tuple(costs.tolist() for costs in self._costs)
        self._room = room_samples // tick_samples
        self._tail = -(-tail_samples // tick_samples)
        kw, neg = num_keywords.probabilities(), num_negatives.probabilities()
        pairs = [(i, j) for i in kw for j in neg]
        self._prior = {(i, j): kw[i] * neg[j] for i, j in pairs}
        prior = np.array([self._prior[pair] for pair in pairs])
        self._table = self._fill(max(kw), max(neg)) if conditional else None
        fit = np.array([self._probability(i, j, self._room) for i, j in pairs])
        joint = prior * fit
        self.fit_probability = float(joint.sum())
        """Probability that an unconditional draw fits; 1 where the worst case does."""
        if self.fit_probability <= 0.0:
            smallest = min(kw) * _shortest(keywords) + min(neg) * _shortest(negatives)
            raise MaterialError(
                f"no scene can fit: even the fewest and shortest clips need {smallest} samples "
                f"plus gaps, and {room_samples} are there",
                fix="lower scene.num_keywords and scene.num_negatives, or raise scene.duration_s",
            )
        self._pairs = pairs
        self._joint: list[float] = np.cumsum(joint / self.fit_probability).tolist()

    def draw(self, draws: Draws) -> Drawn:
        """Draw counts and clips; takes 1 + i + j uniform numbers."""
        i, j = self._pairs[choose(self._joint, draws.uniform())]
        room = self._room
        chosen: tuple[list[int], list[int]] = ([], [])
        while i or j:
            role = 0 if i else 1
            i, j = (i - 1, j) if i else (0, j - 1)
            clip = self._pick(role, draws.uniform(), i, j, room)
            room -= self._cost_lists[role][clip]
            chosen[role].append(clip)
        return Drawn(tuple(chosen[0]), tuple(chosen[1]))

    def can_be_drawn(self, role: int) -> npt.NDArray[np.bool_]:
        """Return (num_clips,) bool: which clips of pool 0 or 1 have a probability above 0.

        A clip can if it fits into some scene that may be drawn, beside the shortest others.
        """
        if self._table is None:
            return np.asarray(self._pools[role].weights > 0)
        shortest = [
            min(costs[pool.weights > 0].tolist(), default=0)
            for pool, costs in zip(self._pools, self._costs, strict=True)
        ]
        able = np.zeros(len(self._costs[role]), dtype=bool)
        for (i, j), prior in self._prior.items():
            if prior == 0.0 or not (i, j)[role]:
                continue
            keywords, others = i * shortest[0], j * shortest[1]
            extra = self._costs[role] - shortest[role]
            in_keywords = keywords + (extra if role == 0 else 0)
            fits = keywords + others + extra <= self._room
            able |= fits & (in_keywords <= self._room - (self._tail if i else 0))
        return able & (self._pools[role].weights > 0)

    def _pick(self, role: int, number: float, i: int, j: int, room: int) -> int:
        worst = self._longest[role] + i * self._longest[0] + j * self._longest[1]
        if self._table is None or worst + (self._tail if role == 0 else 0) <= room:
            return choose(self._cumulative[role], number)
        weights = self._pools[role].weights * self._rest(role, i, j, room)
        return choose(np.cumsum(weights).tolist(), number)

    def _rest(self, role: int, i: int, j: int, room: int) -> FloatArray:
        """For each clip of a pool, the probability that i and j more fit after it."""
        assert self._table is not None  # noqa: S101 - asked for under `condition` only
        left = room - self._costs[role]
        least = self._tail if role == 0 and i == 0 else 0
        return np.where(left >= least, self._table[i, j][np.maximum(left, 0)], 0.0)

    def _probability(self, i: int, j: int, room: int) -> float:
        if self._table is None:
            return 1.0
        return float(self._table[i, j][room]) if room >= 0 else 0.0

    def _fill(self, max_i: int, max_j: int) -> FloatArray:
        size = self._room + 1
        if size < 1 or (max_i + 1) * (max_j + 1) * size * 8 > _MAX_TABLE_BYTES:
            raise MaterialError(
                f"scene.on_infeasible: condition needs a table of {max_i + 1} × {max_j + 1} "
                f"counts by {max(size, 0)} ms",
                expected="a scene of at least one sample and at most 512 MiB of table",
                fix="lower the counts or the scene's length, or use on_infeasible: refuse",
            )
        table = np.zeros((max_i + 1, max_j + 1, size))
        table[0, 0] = 1.0
        for j in range(1, max_j + 1):
            table[0, j] = _shifted_sum(table[0, j - 1], self._costs[1], self._pools[1].weights)
        for i in range(1, max_i + 1):
            for j in range(max_j + 1):
                before = table[i - 1, j]
                if i == 1:
                    before = np.where(np.arange(size) >= self._tail, before, 0.0)
                table[i, j] = _shifted_sum(before, self._costs[0], self._pools[0].weights)
        return np.minimum(table, 1.0)


def _shifted_sum(before: FloatArray, costs: IntArray, weights: FloatArray) -> FloatArray:
    """Return r ↦ Σ_c w_c · before(r − cost_c). Elementwise sums: same bits on every CPU."""
    out = np.zeros_like(before)
    size = len(before)
    if not costs.size:
        return out
    mass = np.bincount(costs, weights=weights, minlength=size)
    if float(before[0]) == 1.0:
        # C never falls and never exceeds 1: it is 1 everywhere, and the sum is cumulative.
        return np.cumsum(mass[:size])
    for cost in np.flatnonzero(mass[:size]).tolist():
        out[cost:] += mass[cost] * before[: size - cost]
    return out


def worst_case(pools: Sequence[ClipPool], counts: Sequence[CountRange]) -> list[int]:
    """Return the lengths of the worst scene: the largest counts, each with the longest clip."""
    return [
        pool.longest
        for pool, count in zip(pools, counts, strict=True)
        for _ in range(max(n for n, p in count.probabilities().items() if p > 0))
    ]


def _shortest(pool: ClipPool) -> int:
    return int(pool.lengths.min()) if pool.lengths.size else 0
