"""⌊x · f⌋ of 16-bit samples as doubles give it, reckoned in 32-bit integers: faster for long ones.

For f < 2^15 let w = ⌈2^15 / max(f, 1)⌉: all |x| ≥ w are clipped, so x is first kept within ±w.
Write f = f' · 2^e, with e = 0 where f < 1 and else the e for which ½ ≤ f' < 1, and

    F = round(f' · 2^42) = h · 2^28 + m · 2^14 + l,    v = x · 2^e.

A floor of a floor is the floor of both, so the loop takes

    ⌊(v·h + ⌊(v·m + ⌊(v·l + 2^17) / 2^14⌋) / 2^14⌋) / 2^14⌋  =  ⌊(v·F + 2^17) / 2^42⌋.

No step leaves 32 bits: |v| < 2^16.6, as w · 2^e ≤ (2^15 / f + 1) · 2^e, and |v·h| / 2^14 ≤ |x·f|,
which is below 2^16.

*Equal to the doubles'.* F is ½ off at most, so (v·F + 2^17) / 2^42 lies above x·f by 2^-25, give or
take 2^-26. The double product p lies within 2^-37 of x·f. If p is an integer, both floors are p; if
p is farther than 2^-24 from the nearest integer, no integer lies between the two. Whether one of
these holds for all |x| ≤ w is looked at before (`_is_clear`); where it doesn't, for some factors in
a thousand, doubles are used, and for short stretches, for which that look costs more than it saves.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from pipeline.compiled import compiled
from pipeline.mixing import floor_scaled

Pcm = npt.NDArray[np.int16]
_PART = 14
_PARTS = 3 * _PART
_MASK = (1 << _PART) - 1
_FULL_SCALE = 2.0**15
_LONG = 1 << 17


def floor_product(x: Pcm, factor: float, out: Pcm) -> None:
    """Set out[i] = ⌊clip(x[i] · factor, −32768, 32767)⌋, as `floor_scaled`; (n,) int16 each."""
    if len(x) < _LONG or factor >= _FULL_SCALE or not _clear(factor):
        floor_scaled(x, factor, out)
        return
    exponent = max(math.frexp(factor)[1], 0)
    whole = round(math.ldexp(factor, _PARTS - exponent))
    parts = (whole >> 2 * _PART, whole >> _PART & _MASK, whole & _MASK)
    high, middle, low = (np.int32(part << exponent) for part in parts)
    _floor_by_parts(x, np.int32(_limit(factor)), high, middle, low, out)


@lru_cache(maxsize=16)
def _clear(factor: float) -> bool:
    return bool(_is_clear(factor, _limit(factor)))


def _limit(factor: float) -> int:
    return math.ceil(_FULL_SCALE / max(factor, 1.0))


@compiled
def _is_clear(factor: float, limit: int) -> bool:
    """Return whether no product of 1 … limit is near an integer and not one."""
    unclear = 0
    for value in range(1, limit + 1):
        product = value * factor
        off = abs(product - np.rint(product))
        unclear += (off > 0.0) & (off <= 2.0**-24)
    return unclear == 0


@compiled
def _floor_by_parts(
    x: Pcm, limit: np.int32, high: np.int32, middle: np.int32, low: np.int32, out: Pcm
) -> None:
    for i in range(len(x)):
        value = min(max(np.int32(x[i]), np.int32(-limit)), limit)
        rest = np.int32(np.int32(np.int32(value * low) + np.int32(131072)) >> np.int32(14))
        rest = np.int32(np.int32(np.int32(value * middle) + rest) >> np.int32(14))
        floor = np.int32(np.int32(np.int32(value * high) + rest) >> np.int32(14))
        out[i] = np.int16(min(max(floor, np.int32(-32768)), np.int32(32767)))
