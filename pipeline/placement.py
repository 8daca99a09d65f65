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

*Tails.* The first q clips may each need t samples of scene after their end (room for a label or
an answer), which later clips may cover. Only the last of them in time can lack it. If r clips of
total length and gaps X follow it, it must end d = max(0, t − m − X) before the end of the usable
scene: b_{k−r} ≤ T = S − d, the others ≤ S. Sort the b's at T: if j ≥ k−r of them are ≤ T,
they are j multichoices of T+1 values and k−j of d values, so such orders have

    N(r, d) = Σ_{j=k−r..k} C(T+j, j) · C(d+k−j−1, k−j)   layouts each  (0 if T < 0).

The order is drawn from its end, one clip at a time, with probability proportional to the layouts
that its completions have; as soon as d = 0 all completions have the same number, C(S+k, k), and
the rest is a plain permutation. Then j, then the two multichoices. All counts are exact integers.

*Lanes.* Where up to p clips may sound at once, each clip in turn goes to a lane drawn uniformly
among those that still have room for it, and each lane is laid out by the law above. A clip of
cost c = l + g finds no lane only if every lane has more than R − c in use, R = n − 2m + g; so no
clip is ever left over if Σ of the others' costs < p · (R − c + 1) for the longest, which
`require_lanes` demands before anything is drawn.

There is no loop that waits for luck: the number of draws is known from k, whatever the lengths
are. The last legal onset, n − m − l, is drawn like any other.

Source of the subset sampler: Bentley and Floyd, "A sample of brilliance", CACM 30(9), 1987.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb, factorial

from pipeline.randomness import Draws
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
    tail_samples: int = 0,
    num_tailed: int = 0,
    sample_rate_hz: int | None = None,
) -> int:
    """Return the slack that is left with the tails behind everything else, or refuse.

    Raises:
        InfeasibleScene: the clips don't fit; names their lengths, what they need, what there is.
    """
    left = slack(
        lengths,
        num_samples=num_samples,
        min_gap_samples=min_gap_samples,
        margin_samples=margin_samples,
    )
    if num_tailed:
        behind = sum(lengths[num_tailed:]) + (len(lengths) - num_tailed) * min_gap_samples
        left -= max(0, tail_samples - margin_samples - behind)
    if left < 0:
        tail = tail_samples if num_tailed else 0
        raise _infeasible(
            lengths, num_samples, min_gap_samples, margin_samples, tail, -left, sample_rate_hz
        )
    return left


def place(
    lengths: Sequence[int],
    *,
    num_samples: int,
    draws: Draws,
    min_gap_samples: int = 0,
    margin_samples: int = 0,
    tail_samples: int = 0,
    num_tailed: int = 0,
    sample_rate_hz: int | None = None,
) -> list[int]:
    """Draw one layout, uniformly over all feasible ones.

    Args:
        lengths: of each clip, in samples, ≥ 1.
        num_samples: length of the scene.
        draws: random numbers.
        min_gap_samples: least distance between the end of a clip and the next onset.
        margin_samples: kept free at both edges.
        tail_samples: what each of the first `num_tailed` clips needs of the scene after its end.
        num_tailed: how many clips have a tail.
        sample_rate_hz: only for the message of a refusal.

    Returns:
        The onset of each clip, in the order of `lengths` (not sorted in time).

    Raises:
        InfeasibleScene: the clips don't fit; nothing has been drawn.
    """
    require_feasible(
        lengths,
        num_samples=num_samples,
        min_gap_samples=min_gap_samples,
        margin_samples=margin_samples,
        tail_samples=tail_samples,
        num_tailed=num_tailed,
        sample_rate_hz=sample_rate_hz,
    )
    k = len(lengths)
    if k == 0:
        return []
    left = slack(
        lengths,
        num_samples=num_samples,
        min_gap_samples=min_gap_samples,
        margin_samples=margin_samples,
    )
    short = tail_samples - margin_samples
    if num_tailed == 0 or short <= 0:
        order = _permutation(draws, list(range(k)))
        cumulated = _cumulated(draws, k, left + 1)
    else:
        costs = [length + min_gap_samples for length in lengths]
        order, num_behind, missing = _order_with_tails(draws, costs, num_tailed, left, short)
        cumulated = _cumulated_with_tail(draws, k, left, num_behind, missing)
    onsets = [0] * k
    edge = margin_samples
    for i, clip in enumerate(order):
        onsets[clip] = edge + cumulated[i]
        edge += lengths[clip] + min_gap_samples
    return onsets


def require_lanes(
    lengths: Sequence[int],
    *,
    num_lanes: int,
    num_samples: int,
    min_gap_samples: int = 0,
    margin_samples: int = 0,
    sample_rate_hz: int | None = None,
) -> None:
    """Refuse clips that an unlucky order could leave without a lane.

    Raises:
        InfeasibleScene: as for `require_feasible`.
    """
    if not lengths:
        return
    room = num_samples - 2 * margin_samples + min_gap_samples
    longest = max(lengths) + min_gap_samples
    others = sum(lengths) + len(lengths) * min_gap_samples - longest
    missing = max(longest - room, others - num_lanes * (room - longest + 1) + 1)
    if missing > 0:
        raise _infeasible(
            lengths,
            num_samples,
            min_gap_samples,
            margin_samples,
            0,
            missing,
            sample_rate_hz,
            num_lanes,
        )


def assign_lanes(
    lengths: Sequence[int], *, num_lanes: int, room_samples: int, gap_samples: int, draws: Draws
) -> list[int]:
    """Return a lane for each clip, drawn among those with room; see the module's text."""
    free = [room_samples] * num_lanes
    lanes = []
    for length in lengths:
        cost = length + gap_samples
        open_lanes = [lane for lane in range(num_lanes) if free[lane] >= cost]
        lane = open_lanes[draws.below(len(open_lanes))]
        free[lane] -= cost
        lanes.append(lane)
    return lanes


def _cumulated(draws: Draws, count: int, num_values: int) -> list[int]:
    """Floyd: `count` sorted values of 0 … num_values−1, repeats allowed, uniform multichoice."""
    first = num_values
    chosen: set[int] = set()
    for i in range(count):
        draw = draws.below(first + i)
        chosen.add(first - 1 + i if draw in chosen else draw)
    return [value - i for i, value in enumerate(sorted(chosen))]


def _permutation(draws: Draws, items: list[int]) -> list[int]:
    """Fisher–Yates: a uniform order; takes one draw for each item but the last."""
    return [items.pop(draws.below(len(items)) if len(items) > 1 else 0) for _ in range(len(items))]


def _order_with_tails(
    draws: Draws, costs: Sequence[int], num_tailed: int, left: int, short: int
) -> tuple[list[int], int, int]:
    """Draw an order from its end; return it, the clips behind the last tail, and what d is."""
    k = len(costs)
    plain = comb(left + k, k)

    def weight(rest: list[int], behind: int) -> int:
        """Layouts of all orders of `rest` before clips of total cost `behind`, all untailed."""
        missing = short - behind
        if missing <= 0:
            return factorial(len(rest)) * plain
        tailed = sum(clip < num_tailed for clip in rest)
        ends = tailed * factorial(len(rest) - 1) * _layouts(k, left, k - len(rest), missing)
        return ends + sum(
            weight([c for c in rest if c != clip], behind + costs[clip])
            for clip in rest
            if clip >= num_tailed
        )

    rest, behind = list(range(k)), 0
    suffix: list[int] = []
    while short > behind:
        missing = short - behind
        ends = factorial(len(rest) - 1) * _layouts(k, left, k - len(rest), missing)
        weights = [
            ends
            if clip < num_tailed
            else weight([c for c in rest if c != clip], behind + costs[clip])
            for clip in rest
        ]
        number = draws.below(sum(weights))
        at = 0
        while number >= weights[at]:
            number -= weights[at]
            at += 1
        clip = rest.pop(at)
        if clip < num_tailed:
            order = [*_permutation(draws, rest), clip, *reversed(suffix)]
            return order, len(suffix), missing
        behind += costs[clip]
        suffix.append(clip)
    return [*_permutation(draws, rest), *reversed(suffix)], len(suffix), 0


def _layouts(k: int, left: int, num_behind: int, missing: int) -> int:
    """N(r, d) of the module's text."""
    most = left - missing
    if most < 0:
        return 0
    return sum(_sorted_at(k, most, missing, j) for j in range(k - num_behind, k + 1))


def _sorted_at(k: int, most: int, missing: int, j: int) -> int:
    late = comb(missing + k - j - 1, k - j) if j < k else 1
    return comb(most + j, j) * late


def _cumulated_with_tail(
    draws: Draws, k: int, left: int, num_behind: int, missing: int
) -> list[int]:
    if missing == 0:
        return _cumulated(draws, k, left + 1)
    most = left - missing
    counts = [_sorted_at(k, most, missing, j) for j in range(k - num_behind, k + 1)]
    number = draws.below(sum(counts))
    j = k - num_behind
    for count in counts:
        if number < count:
            break
        number -= count
        j += 1
    late = _cumulated(draws, k - j, missing) if j < k else []
    return _cumulated(draws, j, most + 1) + [most + 1 + value for value in late]


def _infeasible(
    lengths: Sequence[int],
    num_samples: int,
    gap: int,
    margin: int,
    tail: int,
    missing: int,
    rate: int | None,
    num_lanes: int = 1,
) -> InfeasibleScene:
    def show(samples: int) -> str:
        return f"{samples / rate:.3f} s" if rate else f"{samples} samples"

    shown = ", ".join(show(length) for length in sorted(lengths, reverse=True)[:12])
    more = f" and {len(lengths) - 12} more" if len(lengths) > 12 else ""
    after = f", {show(tail)} after the last keyword" if tail else ""
    lanes = f" in {num_lanes} lanes" if num_lanes > 1 else ""
    return InfeasibleScene(
        f"{len(lengths)} clips of {shown}{more} with {len(lengths) - 1} gaps of {show(gap)} and "
        f"2 margins of {show(margin)}{after} need {show(num_samples + missing)}{lanes}; "
        f"the scene has {show(num_samples)}, {show(missing)} too few",
        fix="use fewer or shorter clips, a longer scene (scene.duration_s), smaller gaps or "
        "margins, or scene.on_infeasible: condition",
    )
