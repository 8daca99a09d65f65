"""Canonical JSON and digests: the same value gives the same bytes everywhere. Digests of files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

_ENCODER = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
)


def canonical_json(value: Any) -> bytes:
    """Serialise `value` with sorted keys, no white space, ASCII only and no NaN.

    Floats use Python's shortest round-trip form, which is the same on every platform.

    Raises:
        ValueError: a float is NaN or infinite.
    """
    return _ENCODER.encode(value).encode("ascii")


def digest(value: Any) -> str:
    """Return the SHA-256 of `canonical_json(value)` in hexadecimal."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
