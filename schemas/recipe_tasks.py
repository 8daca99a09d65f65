"""Recipes of tasks other than detection: which there are.

A recipe file that says `task: NAME` is one of these; one that doesn't is a detector's
(schemas/recipe.py).
"""

from __future__ import annotations

from schemas.recipe_commands import CommandsRecipe
from schemas.recipe_dates import DatesRecipe
from schemas.recipe_embeddings import EmbeddingsRecipe
from schemas.recipe_task import TaskRecipe

__all__ = ["TASK_RECIPES", "TaskRecipe"]

TASK_RECIPES: dict[str, type[TaskRecipe]] = {
    "commands": CommandsRecipe,
    "dates": DatesRecipe,
    "embeddings": EmbeddingsRecipe,
}
"""The class of each `task`."""
