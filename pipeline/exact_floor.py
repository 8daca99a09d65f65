"""⌊x · f⌋ of 16-bit samples as doubles give it, reckoned in 32-bit integers: half the time.

Write f = f' · 2^e, with e = 0 where f < 1 and else the e ≥ 1 for which ½ ≤ f' < 1, and let
F = round(f' · 2^45) = h · 2^30 + m · 2^15 + l. With v = x · 2^e the loop takes

    ⌊(v·h + ⌊(v·m + ⌊(v·l + 2^16) / 2^15⌋) / 2^15⌋) / 2^15⌋  =  ⌊(v·F + 2^16) / 2^45⌋,

since a floor of a floor is the floor of both. No step leaves int32 where f < 1, or |x·f| ≤ 32767:
then |v| ≤ 65534, or f is a power of two and m = l = 0.

*Equal to the doubles'.* F is ½ off at most, so (v·F + 2^16) / 2^45 lies above x·f by 2^-29, give or
take 2^-30. The double product p lies within 2^-38 of x·f. If p is an integer, both floors are p; if
p is farther than 2^-28 from the nearest integer, no integer lies between the two. Whether one of
these holds for all |x| up to a limit is looked at before (`_is_clear`); where it doesn't, about
once in a thousand factors, doubles are used.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from pipeline.compiled import compiled
from pipeline.mixing import floor_scaled, highest

Pcm = npt.NDArray[np.int16]
_PART = 15
_PARTS = 3 * _PART
_MASK = (1 << _PART) - 1
_LOWEST = 32768
_HIGHEST = 32767.0


def floor_product(x: Pcm, factor: float, out: Pcm) -> None:
    """Set out[i] = ⌊clip(x[i] · factor, −32768, 32767)⌋, as `floor_scaled`; (n,) int16 each."""
    limit = _LOWEST if factor < 1.0 else max(highest(x), 1)
    if (factor >= 1.0 and limit * factor > _HIGHEST) or not _clear(limit, factor):
        floor_scaled(x, factor, out)
        return
    exponent = max(math.frexp(factor)[1], 0)
    whole = round(math.ldexp(factor, _PARTS - exponent))
    parts = (whole >> 2 * _PART, whole >> _PART & _MASK, whole & _MASK)
    high, middle, low = (np.int32(part << exponent) for part in parts)
    _floor_by_parts(x, high, middle, low, out)


@lru_cache(maxsize=16)
def _clear(limit: int, factor: float) -> bool:
    return bool(_is_clear(limit, factor))


@compiled
def _is_clear(limit: int, factor: float) -> bool:
    """Return whether no product of 1 … limit is near an integer and not one."""
    unclear = 0
    for value in range(1, limit + 1):
        product = value * factor
        off = abs(product - np.rint(product))
        unclear += (off > 0.0) & (off <= 2.0**-28)
    return unclear == 0


@compiled
def _floor_by_parts(x: Pcm, high: np.int32, middle: np.int32, low: np.int32, out: Pcm) -> None:
    for i in range(len(x)):
        value = np.int32(x[i])
        rest = np.int32(np.int32(np.int32(value * low) + np.int32(65536)) >> np.int32(15))
        rest = np.int32(np.int32(np.int32(value * middle) + rest) >> np.int32(15))
        out[i] = np.int16(np.int32(np.int32(value * high) + rest) >> np.int32(15))
