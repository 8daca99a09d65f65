"""The one place where seconds, decibels and byte sizes become integers or factors."""

from __future__ import annotations

import math
import re

FULL_SCALE = 32768.0
"""Full scale of int16 audio; dBFS is relative to it."""

_BYTE_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}
_BYTE_UNITS |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def seconds_to_samples(seconds: float, sample_rate_hz: int) -> int:
    """Return the number of samples nearest to `seconds` (halves go up).

    Raises:
        ValueError: `seconds` is not finite.
    """
    if not math.isfinite(seconds):
        raise ValueError(f"a length must be finite, got {seconds}")
    return math.floor(seconds * sample_rate_hz + 0.5)


def db_to_gain(db: float) -> float:
    """Return the amplitude factor of `db` decibels: 10^(db/20)."""
    return float(10.0 ** (db / 20.0))


def gain_to_db(gain: float) -> float:
    """Return 20·log10(gain); a gain of 0 gives −infinity."""
    return 20.0 * math.log10(gain) if gain > 0.0 else -math.inf


def parse_bytes(text: str | int) -> int:
    """Turn `64MiB`, `10 MB` or a plain number into bytes.

    Raises:
        ValueError: not a positive number with a known unit.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", str(text))
    if match is None or match[2].upper() not in _BYTE_UNITS:
        raise ValueError(f"{text!r} is not a size such as 64MiB")
    if len(match[1]) > 20:
        raise ValueError("a size has twenty digits at most")
    size = int(float(match[1]) * _BYTE_UNITS[match[2].upper()])
    if size < 1:
        raise ValueError("a size must be at least one byte")
    return size
