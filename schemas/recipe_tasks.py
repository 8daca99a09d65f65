"""Recipes of tasks other than detection: what all of them have in common, and which there are.

A recipe file that says `task: NAME` is one of these; one that doesn't is a detector's
(schemas/recipe.py).
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from schemas.recipe import Fractions
from schemas.recipe_dates import DateAttention, Dates, PairData
from schemas.recipe_section import Section
from schemas.recipe_training import Fitting


class TaskRecipe(Section):
    """What any task's recipe holds; a task's own class adds where its data are and its model."""

    schema_version: Literal[1] = Field(1, alias="schema")
    task: str
    name: str = Field(min_length=1, max_length=100)
    seed: int = Field(0, ge=0, lt=2**63, strict=True)
    training: Fitting = Fitting()


class DatesRecipe(TaskRecipe):
    """The date translator: texts as people write dates → YYYY-MM-DD."""

    task: Literal["dates"]
    dates: Dates
    splits: Fractions = Fractions()
    dataset: PairData = PairData()
    model: DateAttention = DateAttention()

    def content(self, babel: str) -> dict[str, Any]:
        """Return what decides pair i; of Babel's version too, which knows how dates are written."""
        return {
            "task": self.task,
            "seed": self.seed,
            "dates": self.dates.model_dump(mode="json"),
            "splits": self.splits.model_dump(mode="json"),
            "babel": babel,
        }


TASK_RECIPES: dict[str, type[TaskRecipe]] = {"dates": DatesRecipe}
"""The class of each `task`."""
