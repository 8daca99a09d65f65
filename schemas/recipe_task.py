"""What recipes of all tasks other than detection have in common."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from schemas.recipe_section import Section
from schemas.recipe_training import Fitting


class TaskRecipe(Section):
    """What any task's recipe holds; a task's own class adds where its data are and its model."""

    schema_version: Literal[1] = Field(1, alias="schema")
    task: str
    name: str = Field(min_length=1, max_length=100)
    seed: int = Field(0, ge=0, lt=2**63, strict=True)
    training: Fitting = Fitting()

    def content(self) -> dict[str, Any]:
        """Return what of the recipe decides the data that are made from it."""
        return {}
