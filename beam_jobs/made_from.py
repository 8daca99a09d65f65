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
        bank: the bank's folder, or the one that it lies in, if it was moved.

    Raises:
        DatasetError: the bank isn't there, or is another one.
    """
    recipe = Recipe.model_validate(manifest.run["recipe"])
    folder = bank or Path(str(manifest.run["bank_directory"]))
    inside = folder / str(manifest.content["bank"])[:16]
    folder = inside if inside.is_dir() else folder
    if not folder.is_dir():
        raise DatasetError(
            f"the clip bank that {out} was made from is not at {folder}",
            fix="name its folder with --bank; or make it again with `wakebeam check RECIPE`",
        )
    clips = ClipBank.open(folder)
    if recipe.content_digest(clips.digest) != manifest.recipe_digest:
        raise DatasetError(
            f"{clips.directory} is not the clip bank that {out} was made from",
            fix="name the right one with --bank",
        )
    return recipe, clips
