"""Where everything that belongs to a recipe lies, and how a recipe is opened."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.lock_file import held_alone
from pipeline.material import path_from
from pipeline.recipe_file import load_recipe
from schemas.errors import RecipeError, RequestError, WakebeamError
from schemas.recipe import Recipe
from schemas.recipe_machines import MACHINES

LOCK_NAME = ".wakebeam.lock"
"""Held, in a recipe's folder, by a run that is at work there."""


@dataclass(frozen=True)
class Workspace:
    """A recipe and its folders.

    Attributes:
        recipe: as loaded, overrides applied.
        folder: of the recipe; its relative paths start there.
    """

    recipe: Recipe
    recipe_path: Path

    @classmethod
    def open(cls, recipe_path: Path, overrides: Sequence[str] = ()) -> Workspace:
        """Load a recipe (or the `recipe.yaml` of a folder).

        Raises:
            RecipeError: it can't be read or is wrong, or the data set would lie over other work.
        """
        recipe_path = recipe_file(recipe_path)
        return cls.of(load_recipe(recipe_path, overrides), recipe_path)

    @classmethod
    def of(cls, recipe: Recipe, recipe_path: Path) -> Workspace:
        """Return the workspace of a recipe that was read from a file; raises what `open` does."""
        workspace = cls(recipe, recipe_path)
        workspace._require_own_data_folder()
        return workspace

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other runs on this recipe out; a killed run keeps nobody out.

        Raises:
            WakebeamError: another run is at work here.
        """
        with alone_with(self.recipe_path):
            yield

    @property
    def folder(self) -> Path:
        """Folder of the recipe."""
        return self.recipe_path.resolve().parent

    @property
    def bank_root(self) -> str:
        """Folder or URI that holds clip banks, each in a folder named by its digest."""
        return path_from(self.folder, self.recipe.material.bank)

    @property
    def data(self) -> str:
        """Folder or URI of the data set."""
        return path_from(self.folder, self.recipe.dataset.out)

    @property
    def model(self) -> Path:
        """Folder of the trained model, its checkpoints and its evaluation."""
        return self.folder / "model"

    @property
    def export(self) -> Path:
        """Folder of the exported detector."""
        return self.folder / "export"

    def on(self, machine: str | None, overrides: Sequence[str]) -> Workspace:
        """Return the same with a machine's sizes; what `overrides` say counts more.

        Raises:
            RequestError: there is no such machine.
        """
        if machine is None:
            return self
        if machine not in MACHINES:
            raise RequestError(
                f"--machine {machine}", expected=" or ".join(MACHINES), fix="leave it out elsewhere"
            )
        sizes = MACHINES[machine].settings(self.recipe.model.family)
        return self.open(self.recipe_path, [*sizes, *overrides])

    def _require_own_data_folder(self) -> None:
        if "://" in self.data:
            return
        data = Path(os.path.abspath(self.data))
        for taken in (Path(self.bank_root), self.model, self.export):
            if data == taken or data in taken.parents or taken in data.parents:
                raise RecipeError(
                    f"dataset.out {self.recipe.dataset.out!r} is {data}, where the recipe's "
                    f"{taken.name} lies",
                    expected="a folder of its own, such as data",
                )


def recipe_file(path: Path) -> Path:
    """Return the file that a recipe's file or folder names."""
    return path / "recipe.yaml" if path.is_dir() else path


@contextlib.contextmanager
def alone_with(recipe_path: Path) -> Iterator[None]:
    """Keep other runs on a recipe out; a killed run keeps nobody out.

    Raises:
        WakebeamError: another run is at work there.
    """
    refusal = WakebeamError(
        f"another run is at work on {recipe_path}",
        fix="wait for it, or stop it; the same command goes on where it was",
    )
    with held_alone(recipe_path.resolve().parent / LOCK_NAME, refusal):
        yield
