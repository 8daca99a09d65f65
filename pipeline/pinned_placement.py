r"""Placement among events that are pinned in time: the free clips share the windows between them.

Pinned events at [p_1, q_1) … [p_v, q_v) leave v + 1 windows of a scene: from the margin to p_1 − g,
from q_i + g to p_(i+1) − g, from q_v + g to the other margin. A free clip lies in one of them, and
in a window the rules of placement.py hold.

*Law.* Every layout of the free clips, whichever windows they lie in, has the same probability.

*Sampler.* A set A of clips in a window with the slack S(A) has L_w(A) = |A|! · C(S(A)+|A|, |A|)
layouts (none if S(A) < 0; one if A is empty). So the windows from w on can take a set R in

    N_w(R) = Σ_{A ⊆ R} L_w(A) · N_{w+1}(R \ A)   layouts, and the last one in L(R).

A set for each window in turn is drawn with probability L_w(A) · N_{w+1}(R \ A) / N_w(R), and laid
out by placement.py's uniform law; the product is 1 / N_1(all). All counts are exact integers. It
takes up to windows · 3^k steps for k clips, milliseconds for the recipe's bound of eight.
*Feasibility* is N_1(all) > 0, exactly; no condition on lengths is simpler, as this is bin packing.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from math import comb, factorial

from pipeline.placement import place, slack
from pipeline.randomness import Draws
from schemas.errors import InfeasibleScene

Span = tuple[int, int]


def free_windows(
    pinned: Sequence[Span],
    *,
    num_samples: int,
    min_gap_samples: int = 0,
    margin_samples: int = 0,
) -> list[Span]:
    """Return the half-open windows that pinned events leave, in order; some may be empty.

    Args:
        pinned: half-open [onset, offset) of each, in any order.
        num_samples: length of the scene.
        min_gap_samples: least distance between an end and the next onset.
        margin_samples: kept free of free clips at both edges.

    Raises:
        InfeasibleScene: two of them are nearer than the gap, or one leaves the scene.
    """
    edge, end, windows = margin_samples, num_samples - margin_samples, []
    last = -min_gap_samples
    for onset, offset in sorted(pinned):
        if onset < last + min_gap_samples or offset > num_samples:
            raise InfeasibleScene(
                f"a pinned event covers [{onset}, {offset}) samples, the one before it ends at "
                f"{max(last, 0)} and the scene at {num_samples}",
                fix="pin events further apart (scene.pinned), use shorter clips or a smaller "
                "scene.min_gap_s, or scene.on_infeasible: condition, which leaves long clips out",
            )
        windows.append((edge, max(edge, min(end, onset - min_gap_samples))))
        edge = max(edge, offset + min_gap_samples)
        last = offset
    return [*windows, (edge, max(edge, end))]


def num_layouts(lengths: Sequence[int], windows: Sequence[Span], *, min_gap_samples: int) -> int:
    """Return N_1(all): in how many ways the clips can lie in the windows."""
    return _Counts(lengths, windows, min_gap_samples).total(0, (1 << len(lengths)) - 1)


def place_among_pinned(
    lengths: Sequence[int],
    pinned: Sequence[Span],
    *,
    num_samples: int,
    draws: Draws,
    min_gap_samples: int = 0,
    margin_samples: int = 0,
) -> list[int]:
    """Draw one layout of the free clips, uniformly over all feasible ones.

    Args:
        lengths: of the free clips, in samples, ≥ 1.
        pinned: half-open [onset, offset) of the pinned events.
        num_samples: length of the scene.
        draws: random numbers.
        min_gap_samples: least distance between an end and the next onset.
        margin_samples: kept free of free clips at both edges.

    Returns:
        The onset of each free clip, in the order of `lengths`.

    Raises:
        InfeasibleScene: the clips don't fit; nothing has been drawn.
    """
    windows = free_windows(
        pinned,
        num_samples=num_samples,
        min_gap_samples=min_gap_samples,
        margin_samples=margin_samples,
    )
    counts = _Counts(lengths, windows, min_gap_samples)
    rest = (1 << len(lengths)) - 1
    require_layouts(counts.total(0, rest), lengths, windows)
    onsets = [0] * len(lengths)
    for w, (start, stop) in enumerate(windows):
        if not rest:
            break
        chosen = rest
        if w + 1 < len(windows):
            number = draws.below(counts.total(w, rest))
            for chosen in _subsets(rest):
                ways = counts.ways(w, chosen) * counts.total(w + 1, rest & ~chosen)
                if number < ways:
                    break
                number -= ways
        inside = _members(chosen)
        placed = place(
            [lengths[i] for i in inside],
            num_samples=stop - start,
            draws=draws,
            min_gap_samples=min_gap_samples,
        )
        for i, onset in zip(inside, placed, strict=True):
            onsets[i] = start + onset
        rest &= ~chosen
    return onsets


def require_layouts(count: int, lengths: Sequence[int], windows: Sequence[Span]) -> None:
    """Refuse clips that have no layout.

    Raises:
        InfeasibleScene: `count` is 0.
    """
    if count:
        return
    shown = ", ".join(str(length) for length in sorted(lengths, reverse=True))
    room = ", ".join(str(stop - start) for start, stop in windows)
    raise InfeasibleScene(
        f"clips of {shown} samples don't fit between the pinned events, which leave windows of "
        f"{room}",
        fix="use fewer or shorter clips, pin other times (scene.pinned), or scene.on_infeasible: "
        "condition",
    )


class _Counts:
    """L_w(A) and N_w(R); sets of clips are bit masks."""

    def __init__(self, lengths: Sequence[int], windows: Sequence[Span], gap: int) -> None:
        self._lengths, self._windows, self._gap = lengths, windows, gap
        self.ways = functools.cache(self._ways)
        self.total = functools.cache(self._total)

    def _ways(self, window: int, chosen: int) -> int:
        if not chosen:
            return 1
        start, stop = self._windows[window]
        inside = _members(chosen)
        left = slack(
            [self._lengths[i] for i in inside],
            num_samples=stop - start,
            min_gap_samples=self._gap,
        )
        return factorial(len(inside)) * comb(left + len(inside), len(inside)) if left >= 0 else 0

    def _total(self, window: int, rest: int) -> int:
        if window + 1 == len(self._windows):
            return self.ways(window, rest)
        return sum(
            self.ways(window, chosen) * self.total(window + 1, rest & ~chosen)
            for chosen in _subsets(rest)
        )


def _subsets(mask: int) -> Iterator[int]:
    """All subsets of a bit mask, the empty one last."""
    subset = mask
    while subset:
        yield subset
        subset = (subset - 1) & mask
    yield 0


def _members(mask: int) -> list[int]:
    return [i for i in range(mask.bit_length()) if mask >> i & 1]
