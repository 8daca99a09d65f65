"""CRC32C of two stretches together from the CRC32C of each, without reading them again.

A CRC is linear over GF(2): for a followed by b, crc(ab) = Z^|b| crc(a) ⊕ crc(b), where Z is what
one zero byte does to the register (zlib's `crc32_combine` rests on the same). Z^n is the product of
Z^(2^k) over the bits of n; each is kept as four tables, one for each byte of the register.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

_POLYNOMIAL = 0x82F63B78  # Castagnoli's, lowest bit first
_REGISTER_BITS = 32
Tables = tuple[tuple[int, ...], ...]


def combined(first: int, second: int, num_bytes: int) -> int:
    """Return the CRC32C of two stretches, one behind the other.

    Args:
        first: CRC32C of the first.
        second: CRC32C of the second.
        num_bytes: length of the second.
    """
    power = 0
    while num_bytes:
        if num_bytes & 1:
            first = _apply(_zeros(power), first)
        num_bytes >>= 1
        power += 1
    return first ^ second


@cache
def _zeros(power: int) -> Tables:
    """What 2^power zero bytes do to the register."""
    if power == 0:
        register = [1 << bit for bit in range(_REGISTER_BITS)]
        for _ in range(8):
            register = [value >> 1 ^ (_POLYNOMIAL if value & 1 else 0) for value in register]
        return _tables(register)
    half = _zeros(power - 1)
    return _tables([_apply(half, _apply(half, 1 << bit)) for bit in range(_REGISTER_BITS)])


def _tables(columns: Sequence[int]) -> Tables:
    """From what becomes of each bit to what becomes of each value of each byte."""
    tables = []
    for first in range(0, _REGISTER_BITS, 8):
        table = [0]
        for column in columns[first : first + 8]:
            table += [value ^ column for value in table]
        tables.append(tuple(table))
    return tuple(tables)


def _apply(tables: Tables, value: int) -> int:
    a, b, c, d = tables
    return a[value & 255] ^ b[value >> 8 & 255] ^ c[value >> 16 & 255] ^ d[value >> 24]
