"""Placement: where clips lie in a scene. One constructive draw, uniform over all layouts.

Given k clips of lengths l_1 … l_k, a minimum gap g between neighbours and a margin m at both
edges of a scene of n samples, let the slack be

    S = n − 2m − Σ l_i − (k−1) g.

*Feasibility.* A layout exists if and only if S ≥ 0 (or k = 0). S < 0 is refused by name.

*Law.* Every layout (an onset for each of the k distinguishable clips, edges and gaps respected)
has the same probability, 1 / (k! · C(S+k, k)).

*Proof.* A layout is an order of the clips, k! ways, and the slack a_1 … a_k before each clip in
that order, with a_i ≥ 0 and Σ a_i ≤ S; order and slacks give the onsets and the onsets give them
back. The cumulated slacks 0 ≤ b_1 ≤ … ≤ b_k ≤ S correspond one to one, by d_i = b_i + (i−1), to
the k-element subsets 0 ≤ d_1 < … < d_k ≤ S+k−1, of which there are C(S+k, k). So it suffices to
draw a subset uniformly (Floyd's algorithm: k draws, none repeated), to sort it, to subtract
0 … k−1, and to draw an order uniformly (Fisher–Yates).

There is no loop that waits for luck: 2k bounded integers are drawn in one call, whatever the
lengths are. The last legal onset, n − m − l, is drawn like any other.

Source of the subset sampler: Bentley and Floyd, "A sample of brilliance", CACM 30(9), 1987.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from schemas.errors import InfeasibleScene


def slack(
    lengths: Sequence[int], *, num_samples: int, min_gap_samples: int = 0, margin_samples: int = 0
) -> int:
    """Return S, the samples left over once clips, gaps and margins are laid out.

    Negative means that no layout exists. Without clips it is the whole scene.
    """
    if not lengths:
        return num_samples
    gaps = (len(lengths) - 1) * min_gap_samples
    return num_samples - 2 * margin_samples - sum(lengths) - gaps


def require_feasible(
    lengths: Sequence[int],
    *,
    num_samples: int,
    min_gap_samples: int = 0,
    margin_samples: int = 0,
    sample_rate_hz: int | None = None,
) -> int:
    """Return the slack, or refuse.

    Raises:
        InfeasibleScene: the clips don't fit; names their lengths, what they need, what there is.
    """
    left = slack(
        lengths,
        num_samples=num_samples,
        min_gap_samples=min_gap_samples,
        margin_samples=margin_samples,
    )
    if left < 0:
        raise _infeasible(
            lengths,
            num_samples,
            min_gap_samples,
            margin_samples,
            -left,
            sample_rate_hz,
        )
    return left


def place(
    lengths: Sequence[int],
    *,
    num_samples: int,
    rng: np.random.Generator,
    min_gap_samples: int = 0,
    margin_samples: int = 0,
    sample_rate_hz: int | None = None,
) -> list[int]:
    """Draw one layout, uniformly over all feasible ones.

    Args:
        lengths: of each clip, in samples, ≥ 1.
        num_samples: length of the scene.
        rng: draws one vector of 2k integers from it.
        min_gap_samples: least distance between the end of a clip and the next onset.
        margin_samples: kept free at both edges.
        sample_rate_hz: only for the message of a refusal.

    Returns:
        The onset of each clip, in the order of `lengths` (not sorted in time).

    Raises:
        InfeasibleScene: the clips don't fit; nothing has been drawn.
    """
    left = require_feasible(
        lengths,
        num_samples=num_samples,
        min_gap_samples=min_gap_samples,
        margin_samples=margin_samples,
        sample_rate_hz=sample_rate_hz,
    )
    k = len(lengths)
    if k == 0:
        return []
    bounds = [*range(left + 1, left + k + 1), *range(k, 0, -1)]
    draws = rng.integers(0, bounds).tolist()
    cumulated = _subset(draws[:k], left)
    order = _permutation(draws[k:])
    onsets = [0] * k
    edge = margin_samples
    for i, clip in enumerate(order):
        onsets[clip] = edge + cumulated[i] - i
        edge += lengths[clip] + min_gap_samples
    return onsets


def _subset(draws: Sequence[int], left: int) -> list[int]:
    """Floyd: sorted k-subset of {0 … left+k−1} from k integers, the i-th below left + i + 1."""
    chosen: set[int] = set()
    for i, draw in enumerate(draws):
        chosen.add(left + i if draw in chosen else draw)
    return sorted(chosen)


def _permutation(draws: Sequence[int]) -> list[int]:
    """Fisher–Yates: an order of k items from k integers, the i-th below k − i."""
    items = list(range(len(draws)))
    return [items.pop(draw) for draw in draws]


def _infeasible(
    lengths: Sequence[int],
    num_samples: int,
    gap: int,
    margin: int,
    missing: int,
    rate: int | None,
) -> InfeasibleScene:
    def show(samples: int) -> str:
        return f"{samples / rate:.3f} s" if rate else f"{samples} samples"

    shown = ", ".join(show(length) for length in sorted(lengths, reverse=True)[:12])
    more = f" and {len(lengths) - 12} more" if len(lengths) > 12 else ""
    return InfeasibleScene(
        f"{len(lengths)} clips of {shown}{more} with {len(lengths) - 1} gaps of {show(gap)} and "
        f"2 margins of {show(margin)} need {show(num_samples + missing)}; "
        f"the scene has {show(num_samples)}, {show(missing)} too few",
        fix="use fewer or shorter clips, a longer scene (scene.duration_s), smaller gaps or "
        "margins, or scene.on_infeasible: condition",
    )
