"""Clips like a deck of cards: each is used once before any is used again.

The order of each pass is a shuffle of its own, drawn at the address (deck, pass): what a deck gives
next depends on its seed, number and how many were taken, and on nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.randomness import Streams
from schemas.clips import Clip

_MOST_DECKS = 1 << 20


@dataclass(frozen=True, slots=True)
class ClipPart:
    """The samples [offset, offset + length) of a clip."""

    clip: Clip
    offset_samples: int
    num_samples: int


def whole(clip: Clip) -> ClipPart:
    """Return all of a clip."""
    return ClipPart(clip, 0, clip.num_samples)


def parts_of(clip: Clip, longest: int) -> list[ClipPart]:
    """Divide a clip into equal parts of at most `longest` samples."""
    count = -(-clip.num_samples // longest)
    edges = [i * clip.num_samples // count for i in range(count + 1)]
    return [ClipPart(clip, a, b - a) for a, b in zip(edges, edges[1:], strict=False)]


class Deck:
    """Parts of clips in a random order, pass after pass.

    Args:
        parts: at least one.
        streams: where orders are drawn.
        number: of this deck among those that share `streams`.
    """

    def __init__(self, parts: Sequence[ClipPart], streams: Streams, number: int) -> None:
        self._parts, self._streams, self._number = parts, streams, number
        self._pass, self._order = -1, list[int]()
        self.num_taken = 0

    def __len__(self) -> int:
        """How many there are in one pass."""
        return len(self._parts)

    @property
    def num_repeats(self) -> int:
        """How many of those taken had been taken before."""
        return max(0, self.num_taken - len(self._parts))

    def next(self) -> ClipPart:
        """Return what `take` will take."""
        number_of_pass, at = divmod(self.num_taken, len(self._parts))
        if number_of_pass != self._pass:
            self._pass, self._order = number_of_pass, self._shuffled(number_of_pass)
        return self._parts[self._order[at]]

    def take(self) -> ClipPart:
        """Take the next one."""
        part = self.next()
        self.num_taken += 1
        return part

    def _shuffled(self, number_of_pass: int) -> list[int]:
        """Fisher and Yates' shuffle."""
        draws = self._streams.at(number_of_pass * _MOST_DECKS + self._number)
        order = list(range(len(self._parts)))
        for last in range(len(order) - 1, 0, -1):
            other = draws.below(last + 1)
            order[last], order[other] = order[other], order[last]
        return order
