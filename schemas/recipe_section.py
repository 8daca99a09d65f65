"""What all sections of a recipe have in common."""

from __future__ import annotations

import re

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of a recipe: frozen, and without keys that aren't known."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def ordered(pair: tuple[float, float]) -> tuple[float, float]:
    """Return a range as it is, if its first number isn't above its second."""
    if pair[0] > pair[1]:
        raise ValueError(f"the range is upside down: [{pair[0]:g}, {pair[1]:g}]")
    return pair


def with_a_group(pattern: str | None) -> str | None:
    """Return a regular expression as it is, if it has a group to take a name from."""
    if pattern is None:
        return None
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    if groups < 1:
        raise ValueError("needs a group, as in '_(.+)_', that holds the name")
    return pattern
