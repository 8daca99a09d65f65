"""Recipes of tasks other than detection: which there are.

A recipe file that says `task: NAME` is one of these; one that doesn't is a detector's
(schemas/recipe.py).
"""

from __future__ import annotations

from schemas.recipe_dates import DatesRecipe
from schemas.recipe_task import TaskRecipe

__all__ = ["TASK_RECIPES", "TaskRecipe"]

TASK_RECIPES: dict[str, type[TaskRecipe]] = {
    "dates": DatesRecipe,
}
"""The class of each `task`."""
