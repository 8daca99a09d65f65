"""Between a sound card and a detector: a bounded queue in which the newest sound wins.

The card's thread puts and never waits. When the reader is late and the buffer is full, the oldest
sound goes, and the reader is told how much was lost before the next piece. So a detector on a slow
machine misses sound, and says so; what it hears has waited for at most `most_s`.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Piece:
    """What a reader gets.

    Attributes:
        samples: (n,) or (n, channels) as they were put.
        num_lost: samples lost just before them.
    """

    samples: np.ndarray
    num_lost: int


class LiveBuffer:
    """Holds at most `most_s` seconds of sound.

    Args:
        sample_rate_hz: of what is put.
        most_s: beyond it the oldest is lost.
        piece_s: what a reader gets at once, unless a packet is longer: while it works on that, the
            oldest of the rest can still go.
    """

    def __init__(self, sample_rate_hz: int, most_s: float = 1.0, piece_s: float = 0.1) -> None:
        self._rate = sample_rate_hz
        self._most = round(most_s * sample_rate_hz)
        self._piece = round(piece_s * sample_rate_hz)
        self._packets: deque[np.ndarray] = deque()
        self._held = self._lost = self._lost_in_all = 0
        self._ended = False
        self._changed = threading.Condition()

    @property
    def lost_s(self) -> float:
        """Seconds of sound that were lost until now."""
        return self._lost_in_all / self._rate

    @property
    def held_s(self) -> float:
        """Seconds of sound that wait to be read."""
        return self._held / self._rate

    def put(self, samples: np.ndarray) -> None:
        """Add a packet; of one that is longer than the buffer only the end is kept."""
        if not len(samples):
            return
        with self._changed:
            self._lose(max(0, len(samples) - self._most))
            samples = samples[-self._most :]
            while self._packets and self._held + len(samples) > self._most:
                oldest = self._packets.popleft()
                self._held -= len(oldest)
                self._lose(len(oldest))
            self._packets.append(samples)
            self._held += len(samples)
            self._changed.notify()

    def lose(self, num_samples: int) -> None:
        """Count samples that the card itself has lost; what waits is older and lost with them."""
        with self._changed:
            self._lose(num_samples + self._held)
            self._packets.clear()
            self._held = 0

    def end(self) -> None:
        """Say that nothing more comes."""
        with self._changed:
            self._ended = True
            self._changed.notify()

    def get(self, timeout_s: float | None = None) -> Piece | None:
        """Wait for sound and take the oldest piece; None at the end, or when the time is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._packets or self._ended, timeout_s)
            if not self._packets:
                return None
            packets = [self._packets.popleft()]
            taken = len(packets[0])
            while self._packets and taken + len(self._packets[0]) <= self._piece:
                packets.append(self._packets.popleft())
                taken += len(packets[-1])
            piece = Piece(np.concatenate(packets), self._lost)
            self._held -= taken
            self._lost = 0
            return piece

    def _lose(self, num_samples: int) -> None:
        self._lost += num_samples
        self._lost_in_all += num_samples
