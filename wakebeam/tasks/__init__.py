"""Tasks other than detection at the front door: a file for each, found by the recipe's `task`.

A task's file offers, as functions:

    data_folder(place) -> str                                         folder or URI of the data
    make_data(place, out, *, beam_arguments, num_workers, overwrite)  makes them, and returns them
        -> (schemas.record_set.RecordSet, were they there already)
    data_report(made) -> str                                          the same for people
    make_task(place) -> models.task.Task
    evaluate(model) -> dict                                           judged on what it wasn't
                                                                      fitted to; also written there
    report(values) -> str                                             the same for people
    export(model, out) -> str                                         only where there is something
                                                                      to export; for people

The first three are only where data are made; data.py calls them.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.recipe_file import load_any_recipe
from schemas.errors import RequestError
from schemas.recipe_tasks import TASK_RECIPES, TaskRecipe
from wakebeam.workspace import Workspace, alone_with, recipe_file

_NOTHING_TO = {"data_folder": "synth"}
_INSTEAD = {"data_folder": "run `wakebeam train`, which reads the files that the recipe names"}


@dataclass(frozen=True)
class TaskPlace:
    """A recipe of a task and its folders.

    Attributes:
        recipe: as loaded, overrides applied.
        recipe_path: the file; relative paths start at its folder.
    """

    recipe: TaskRecipe
    recipe_path: Path

    @property
    def folder(self) -> Path:
        """Folder of the recipe."""
        return self.recipe_path.resolve().parent

    @property
    def model(self) -> Path:
        """Folder of the trained model."""
        return self.folder / "model"

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other runs on this recipe out."""
        with alone_with(self.recipe_path):
            yield

    def verb(self, name: str) -> Any:
        """Return the task's function of this name.

        Raises:
            RequestError: the task has no such verb.
        """
        return task_verb(self.recipe.task, name)


def open_any(recipe_path: Path, overrides: Sequence[str] = ()) -> TaskPlace | Workspace:
    """Open a recipe: a task's, or a detector's, which says no `task`.

    Raises:
        RecipeError: it can't be read or is wrong.
    """
    recipe_path = recipe_file(recipe_path)
    recipe = load_any_recipe(recipe_path, overrides)
    if isinstance(recipe, TaskRecipe):
        return TaskPlace(recipe, recipe_path)
    return Workspace.of(recipe, recipe_path)


def task_verb(task: str, name: str) -> Any:
    """Return a task's function.

    Raises:
        RequestError: there is no such task or verb.
    """
    if task not in TASK_RECIPES:
        raise RequestError(f"no task is called {task!r}", expected=", ".join(sorted(TASK_RECIPES)))
    function = getattr(importlib.import_module(f"wakebeam.tasks.{task}"), name, None)
    if function is None:
        what = _NOTHING_TO.get(name, name)
        raise RequestError(f"the task {task} has nothing to {what}", fix=_INSTEAD.get(name, ""))
    return function
