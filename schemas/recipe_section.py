"""What all sections of a recipe have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of a recipe: frozen, and without keys that aren't known."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def ordered(pair: tuple[float, float]) -> tuple[float, float]:
    """Return a range as it is, if its first number isn't above its second."""
    if pair[0] > pair[1]:
        raise ValueError(f"the range is upside down: [{pair[0]:g}, {pair[1]:g}]")
    return pair
