"""What a data set was made from: its recipe and its clip bank, found through its manifest."""

from __future__ import annotations

from beam_jobs import files
from beam_jobs.bank_store import is_bank, open_bank
from pipeline.clip_bank import ClipBank
from schemas.dataset import Manifest
from schemas.errors import DatasetError
from schemas.recipe import PLAN_VERSION, Recipe


def recipe_and_bank(out: str, manifest: Manifest, bank: str | None) -> tuple[Recipe, ClipBank]:
    """Return the recipe and the clip bank of a generation of a data set.

    Args:
        out: its folder, for messages.
        manifest: its manifest.
        bank: the bank's folder or URI, or the one that it lies in, if it was moved.

    Raises:
        DatasetError: the bank isn't there, or is another one, or another release made the data set.
    """
    version = manifest.content.get("plan_version")
    if version != PLAN_VERSION:
        raise DatasetError(
            f"{out} was made by another release of wakebeam (plan version {version})",
            expected=f"plan version {PLAN_VERSION}: others divide speakers and plan otherwise",
            fix="make it anew with --overwrite, or go on with the release that made it",
        )
    recipe = Recipe.model_validate(manifest.run["recipe"])
    folder = bank or str(manifest.run["bank_directory"])
    inside = files.join(folder, str(manifest.content["bank"])[:16])
    folder = inside if is_bank(inside) else folder
    if not is_bank(folder):
        raise DatasetError(
            f"the clip bank that {out} was made from is not at {folder}",
            fix="name its folder with --bank; or make it again with `wakebeam check RECIPE`",
        )
    clips = open_bank(folder)
    if recipe.content_digest(clips.digest) != manifest.recipe_digest:
        raise DatasetError(
            f"{folder} is not the clip bank that {out} was made from",
            fix="name the right one with --bank",
        )
    return recipe, clips
