"""What a data set was made from: its recipe and its clip bank, found through its manifest."""

from __future__ import annotations

from pathlib import Path

from pipeline.clip_bank import ClipBank
from schemas.dataset import Manifest
from schemas.errors import DatasetError
from schemas.recipe import Recipe


def recipe_and_bank(out: str, manifest: Manifest, bank: Path | None) -> tuple[Recipe, ClipBank]:
    """Return the recipe and the clip bank of a data set.

    Args:
        out: the data set, for messages.
        manifest: its manifest.
        bank: the bank's folder, where it isn't any more where the job found it.

    Raises:
        DatasetError: the bank isn't there, or is another one.
    """
    recipe = Recipe.model_validate(manifest.run["recipe"])
    clips = ClipBank.open(bank or Path(str(manifest.run["bank_directory"])))
    if recipe.content_digest(clips.digest) != manifest.recipe_digest:
        raise DatasetError(
            f"{clips.directory} is not the clip bank that {out} was made from",
            fix="name the right one with --bank",
        )
    return recipe, clips
