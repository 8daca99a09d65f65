"""Reading what a data set holds, on any file system that Beam knows."""

from __future__ import annotations

from beam_jobs import files
from schemas.dataset import MANIFEST_NAME, Manifest
from schemas.errors import DatasetError
from schemas.stored_dataset import StoredDataset


def read_dataset(out: str) -> StoredDataset:
    """Read all complete generations of a data set.

    Raises:
        DatasetError: it isn't complete, or a generation belongs to another data set.
    """
    return StoredDataset.read(out, _text_or_none)


def read_manifest(folder: str) -> Manifest:
    """Read the manifest of one generation.

    Raises:
        DatasetError: there is none, so it isn't complete.
    """
    path = files.join(folder, MANIFEST_NAME)
    text = _text_or_none(path)
    if text is None:
        raise DatasetError(f"{folder} has no {MANIFEST_NAME}", expected="a complete generation")
    return Manifest.from_json(text, where=path)


def _text_or_none(path: str) -> str | None:
    return files.read_text(path) if files.exists(path) else None
