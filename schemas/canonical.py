"""Canonical JSON and digests: the same value gives the same bytes on every machine."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def canonical_json(value: Any) -> bytes:
    """Serialise `value` with sorted keys, no white space, ASCII only and no NaN.

    Floats use Python's shortest round-trip form, which is the same on every platform.

    Raises:
        ValueError: a float is NaN or infinite.
    """
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    )
    return text.encode("ascii")


def digest(value: Any) -> str:
    """Return the SHA-256 of `canonical_json(value)` in hexadecimal."""
    return hashlib.sha256(canonical_json(value)).hexdigest()
