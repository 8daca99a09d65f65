"""Clip banks wherever they lie: in a folder, or at a URI.

One at a URI is used through a folder of this machine: its index is brought there when it is
opened, each pack when a clip of it is first asked for. Workers of one machine share that folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path

from apache_beam.io.filesystem import BeamIOError

from beam_jobs import files
from pipeline.clip_bank import INDEX_NAME, REJECTS_NAME, ClipBank
from schemas.errors import DatasetError


def open_bank(location: str, digest: str = "") -> ClipBank:
    """Open a clip bank.

    Args:
        location: folder or URI.
        digest: what it must hold; empty: whatever it holds.

    Raises:
        DatasetError: it isn't there, or is another one.
    """
    bank = _fetched(location) if files.is_uri(location) else ClipBank.open(Path(location))
    if digest and bank.digest != digest:
        raise DatasetError(
            f"{location} holds clip bank {bank.digest[:16]}", expected=f"clip bank {digest[:16]}"
        )
    return bank


def is_bank(location: str) -> bool:
    """Return whether a clip bank lies in a folder or at a URI."""
    return files.exists(files.join(location, INDEX_NAME))


def _fetched(location: str) -> ClipBank:
    try:
        text = files.read_text(files.join(location, INDEX_NAME))
        json.loads(text)["digest"]
    except (OSError, BeamIOError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            f"{location} is not a clip bank that can be read ({error})",
            fix="name the right one, or make it again with `wakebeam check RECIPE`",
        ) from error
    ours = Path(tempfile.gettempdir(), f"wakebeam-banks-{os.getuid()}")
    ours.mkdir(exist_ok=True, mode=0o700)
    if ours.stat().st_uid != os.getuid():
        raise DatasetError(
            f"{ours} belongs to somebody else",
            fix="remove it, or name another folder for temporary files by TMPDIR",
        )
    # By the index and not by the digest: equal clips may be packed in other ways.
    folder = ours / hashlib.sha256(text.encode()).hexdigest()[:32]
    folder.mkdir(exist_ok=True)
    for name in (REJECTS_NAME, INDEX_NAME):
        files.copy_to_local(files.join(location, name), folder / name)

    def fetch(name: str) -> None:
        files.copy_to_local(files.join(location, name), folder / name)

    return ClipBank.open(folder, fetch, location)
