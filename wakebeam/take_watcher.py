"""When a take begins and ends, by voice: what a recorder hears, packet by packet.

Frames of 10 ms of the differentiated signal (which takes rumble out). A take begins where five of
eight frames stand 12 dB over the median of the half second before, and ends after 0.7 s without a
frame that is 6 dB over it and within 30 dB of the take's loudest: pauses inside a phrase are
shorter. It is given with 0.3 s of what was before it, and with the quiet at its end.
"""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
_FRAME_S = 0.010
_BEGIN_DB, _END_DB, _RANGE_DB = 12.0, 6.0, 30.0
_BEGIN_OF, _BEGIN_FRAMES = 8, 5
_QUIET_FRAMES = 70
_FLOOR_FRAMES = 50
_BEFORE_FRAMES = 30
_LOWEST_DB = -70.0


class TakeWatcher:
    """Waits for one take after another.

    Args:
        sample_rate_hz: of what it hears.
        longest_s: a take ends there at the latest.
    """

    def __init__(self, sample_rate_hz: int, longest_s: float = 6.0) -> None:
        self._frame = max(1, round(_FRAME_S * sample_rate_hz))
        self._longest = round(longest_s / _FRAME_S)
        self.reset()

    @property
    def level_db(self) -> float:
        """Level of the last frame, for a meter; dB re full scale."""
        return self._level_db

    @property
    def speaks(self) -> bool:
        """Whether a take has begun."""
        return self._began

    def reset(self) -> None:
        """Wait for the next take; what was heard of the room is kept until it has come."""
        self._rest = np.zeros(0, np.float32)
        self._last = 0.0
        self._kept: deque[FloatArray] = deque(maxlen=self._longest)
        self._levels: deque[float] = deque(maxlen=_FLOOR_FRAMES + _BEGIN_OF)
        self._take: list[FloatArray] = []
        self._began = False
        self._quiet = 0
        self._floor_db = self._peak_db = _LOWEST_DB
        self._level_db = _LOWEST_DB

    def hear(self, samples: FloatArray) -> FloatArray | None:
        """Take the next packet, (n,) float32 in ±1; return the take that ends in it."""
        x = np.concatenate((self._rest, samples))
        count = len(x) // self._frame
        self._rest = x[count * self._frame :]
        for frame in x[: count * self._frame].reshape(count, self._frame):
            self._hear(frame)
            if self._began and (self._quiet >= _QUIET_FRAMES or len(self._take) >= self._longest):
                return self.finish()
        return None

    def finish(self) -> FloatArray:
        """End the take now, as by a key; return it, or the last seconds if none has begun."""
        frames = self._take if self._began else list(self._kept)
        take = np.concatenate([np.zeros(0, np.float32), *frames])
        self.reset()
        return take

    def _hear(self, frame: FloatArray) -> None:
        steps = np.diff(frame, prepend=self._last)
        self._last = float(frame[-1])
        self._level_db = 10.0 * float(np.log10(np.mean(np.square(frame)) + 1e-10))
        level_db = max(_LOWEST_DB, 10.0 * float(np.log10(np.mean(np.square(steps)) + 1e-10)))
        if self._began:
            self._take.append(frame)
            self._peak_db = max(self._peak_db, level_db)
            loud = level_db > max(self._floor_db + _END_DB, self._peak_db - _RANGE_DB)
            self._quiet = 0 if loud else self._quiet + 1
            return
        self._kept.append(frame)
        self._levels.append(level_db)
        if len(self._levels) < self._levels.maxlen:  # type: ignore[operator]
            return
        levels = list(self._levels)
        floor_db = float(np.median(levels[:-_BEGIN_OF]))
        newest = levels[-_BEGIN_OF:]
        if sum(level > floor_db + _BEGIN_DB for level in newest) >= _BEGIN_FRAMES:
            self._began = True
            self._floor_db, self._peak_db = floor_db, max(newest)
            self._take = list(self._kept)[-(_BEFORE_FRAMES + _BEGIN_OF) :]
