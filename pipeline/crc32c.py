"""CRC32C of two stretches together from the CRC32C of each, without reading them again.

A CRC is a polynomial over GF(2) modulo Castagnoli's P, whose bit 31 stands for x^0 and bit 0 for
x^31. For a followed by b of n bytes, crc(ab) = crc(a) · x^(8n) ⊕ crc(b) mod P (zlib's
`crc32_combine` rests on the same), and x^(8n) is made by squaring: a step for each bit of n.
"""

from __future__ import annotations

import numpy as np

from pipeline.compiled import compiled

_POLYNOMIAL = 0x82F63B78
_X_TO_8 = 1 << 23


def combined(first: int, second: int, num_bytes: int) -> int:
    """Return the CRC32C of two stretches, one behind the other.

    Args:
        first: CRC32C of the first.
        second: CRC32C of the second.
        num_bytes: length of the second.
    """
    return int(_behind_zeros(np.uint32(first), num_bytes)) ^ second


@compiled
def _behind_zeros(crc: np.uint32, num_bytes: int) -> np.uint32:
    """What `num_bytes` zeros make of a CRC."""
    square = np.uint32(_X_TO_8)
    while num_bytes:
        if num_bytes & 1:
            crc = _product(crc, square)
        square = _product(square, square)
        num_bytes >>= 1
    return crc


@compiled
def _product(a: np.uint32, b: np.uint32) -> np.uint32:
    """Multiply two polynomials modulo P: for each power of x in `a`, add b times it."""
    total = np.uint32(0)
    for bit in range(32):
        if a >> np.uint32(31 - bit) & np.uint32(1):
            total ^= b
        b = (b >> np.uint32(1)) ^ (np.uint32(_POLYNOMIAL) * (b & np.uint32(1)))
    return total
