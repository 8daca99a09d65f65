"""Addressed randomness: a stream of numbers is a place, not a queue.

Every random decision is drawn from a stream that is named by (root seed, purpose, split, index).
Philox is counter-based: its words are a pure function of a 128-bit key and a 256-bit counter. The
key comes from the root seed, the three upper words of the counter are the address, and the lowest
word counts blocks inside one stream; two addresses can't meet before 2^64 blocks.

So example i is the same whatever runner, worker or order made it. Nothing here is shared or
global, and no address is made by adding an index to a seed.

Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

from __future__ import annotations

import enum
import threading
from collections.abc import Callable

import numpy as np

from schemas.recipe import SPLITS

_KEY_TAG = 0x77616B656265616D  # "wakebeam": keeps our streams apart from other users of Philox
_WORDS_AT_ONCE = 64
_WORDS_IN_A_BLOCK = 4


class Purpose(enum.IntEnum):
    """What a stream is for. Numbers are part of the stored bytes: never reuse one."""

    SCENE = 1
    DATE_PAIR = 2
    STREAM_FILE = 3
    STREAM_ORDER = 4


class Draws:
    """The numbers at one address, taken in order.

    Args:
        more: from a position to 64 words of the stream, each a uniform integer in [0, 2^64).
    """

    def __init__(self, more: Callable[[int], list[int]]) -> None:
        self._more = more
        self._position = 0
        self._words: list[int] = []

    @property
    def num_taken(self) -> int:
        """How many words have been taken."""
        return self._position - len(self._words)

    def word(self) -> int:
        """Return the next 64 random bits."""
        if not self._words:
            self._words = self._more(self._position)
            self._words.reverse()
            self._position += len(self._words)
        return self._words.pop()

    def uniform(self) -> float:
        """Return a number in [0, 1), a multiple of 2^-53."""
        return (self.word() >> 11) * 2.0**-53

    def below(self, bound: int) -> int:
        """Return an integer in [0, bound); each has its probability to within 2^-64.

        `bound` may have any number of bits; one word is taken for each 64 of them.
        """
        if bound < 1 << 64:
            return (self.word() * bound) >> 64
        num_words = -(-bound.bit_length() // 64) + 1
        number = 0
        for _ in range(num_words):
            number = (number << 64) | self.word()
        return (number * bound) >> (64 * num_words)


class Streams:
    """All addresses of one (seed, purpose, split).

    Args:
        seed: root seed, 0 … 2^63 − 1. A missing seed is not 0: decide before calling.
        purpose: which decision the draws are for.
        split: `train`, `validation` or `test`.

    Raises:
        ValueError: the seed is out of range.
    """

    def __init__(self, seed: int, purpose: Purpose, split: str) -> None:
        if not 0 <= seed < 2**63:
            raise ValueError(f"a seed must lie in [0, 2^63), got {seed}")
        self._address = (SPLITS.index(split), int(purpose))
        self._philox = np.random.Philox(key=(seed, _KEY_TAG))
        self._state = self._philox.state
        self._alone = threading.Lock()

    def at(self, index: int) -> Draws:
        """Return the stream of an example.

        Raises:
            ValueError: the index is out of range.
        """
        if not 0 <= index < 2**63:
            raise ValueError(f"an index must lie in [0, 2^63), got {index}")
        return Draws(lambda position: self._raw(index, position))

    def _raw(self, index: int, position: int) -> list[int]:
        # Setting the state is four times as fast as making a generator for each address.
        block = position // _WORDS_IN_A_BLOCK
        with self._alone:  # threads that plan side by side would set it for each other
            self._state["state"]["counter"][:] = (block, index, *self._address)
            self._state["buffer_pos"] = _WORDS_IN_A_BLOCK
            self._philox.state = self._state
            words: list[int] = self._philox.random_raw(_WORDS_AT_ONCE).tolist()
        return words
