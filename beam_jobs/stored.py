"""Reading what a data set holds, on any file system that Beam knows."""

from __future__ import annotations

import contextlib
import json

from beam_jobs import files
from schemas.dataset import MANIFEST_NAME, Manifest
from schemas.errors import DatasetError
from schemas.recipe_tasks import TASK_RECIPES
from schemas.record_set import RecordSet
from schemas.stored_dataset import StoredDataset


def read_dataset(out: str) -> StoredDataset:
    """Read all complete generations of a data set.

    Raises:
        DatasetError: it isn't complete, or a generation belongs to another data set.
    """
    return StoredDataset.read(out, text_or_none)


def read_any(out: str) -> StoredDataset | RecordSet:
    """Read a data set of scenes or of another task.

    Raises:
        DatasetError: it isn't complete.
    """
    text = text_or_none(files.join(out, MANIFEST_NAME))
    with contextlib.suppress(ValueError, TypeError, AttributeError):
        task = json.loads(text or "{}").get("task")
        if task in TASK_RECIPES:
            return RecordSet.read(out, text_or_none, task=task)
    return read_dataset(out)


def read_manifest(folder: str) -> Manifest:
    """Read the manifest of one generation.

    Raises:
        DatasetError: there is none, so it isn't complete.
    """
    path = files.join(folder, MANIFEST_NAME)
    text = text_or_none(path)
    if text is None:
        raise DatasetError(f"{folder} has no {MANIFEST_NAME}", expected="a complete generation")
    return Manifest.from_json(text, where=path)


def text_or_none(path: str) -> str | None:
    """Return the contents of a small file, or None where there is none."""
    return files.read_text(path) if files.exists(path) else None
