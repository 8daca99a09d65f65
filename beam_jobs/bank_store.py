"""Clip banks wherever they lie: in a folder, or at a URI."""

from __future__ import annotations

from pathlib import Path

from beam_jobs import files
from pipeline.clip_bank import INDEX_NAME, ClipBank
from schemas.errors import DatasetError


def open_bank(location: str, digest: str = "") -> ClipBank:
    """Open a clip bank.

    Args:
        location: folder or URI.
        digest: what it must hold; empty: whatever it holds.

    Raises:
        DatasetError: it isn't there, or is another one.
    """
    bank = ClipBank.open(Path(location))
    if digest and bank.digest != digest:
        raise DatasetError(
            f"{location} holds clip bank {bank.digest[:16]}", expected=f"clip bank {digest[:16]}"
        )
    return bank


def is_bank(location: str) -> bool:
    """Return whether a clip bank lies in a folder or at a URI."""
    return files.exists(files.join(location, INDEX_NAME))
