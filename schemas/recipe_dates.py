"""The recipe of the task `dates`: which dates, how people write them, the model.

A two-digit year is the only one of the hundred years from `dates.first` on that ends so; a recipe
whose days span more may not write years with two digits.
"""

from __future__ import annotations

import datetime
import re
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from schemas.recipe import Fractions, NumExamples
from schemas.recipe_section import Section
from schemas.recipe_task import TaskRecipe

NAMED_FORMATS = ("short", "medium", "long", "full")
CENTURY_YEARS = 100
_QUOTED = re.compile(r"'[^']*'")
_FIELDS = {"year": "y", "month": "ML", "day": "d"}


def pattern_letters(pattern: str) -> str:
    """Return a pattern without its quoted text."""
    return _QUOTED.sub("", pattern)


def check_pattern(pattern: str) -> str:
    """Return a date pattern if it tells one day.

    Raises:
        ValueError: year, month or day is missing, or the year is that of the ISO week.
    """
    letters = pattern_letters(pattern)
    if "Y" in letters:
        raise ValueError(
            f"the date pattern {pattern!r} has a capital Y, the year that the ISO week belongs to: "
            "29 December 2008 would be in 2009; write y"
        )
    missing = [name for name, any_of in _FIELDS.items() if not set(any_of) & set(letters)]
    if missing:
        raise ValueError(f"the date pattern {pattern!r} has no {' and no '.join(missing)}")
    return pattern


class DateWriting(Section):
    """Formats that are common in some locales; each pair of the two is one way to write a date."""

    locales: tuple[str, ...] = Field(min_length=1, description="e.g. en_GB")
    formats: tuple[str, ...] = Field(
        min_length=1,
        description="short, medium, long, full, or a CLDR pattern such as d MMM y; one that is "
        "named twice is drawn twice as often",
    )

    @field_validator("formats")
    @classmethod
    def _tell_a_day(cls, formats: tuple[str, ...]) -> tuple[str, ...]:
        for name in formats:
            if name not in NAMED_FORMATS:
                check_pattern(name)
        return formats


class Dates(Section):
    """Which days there are and how they are written."""

    first: datetime.date = datetime.date(1970, 1, 1)
    last: datetime.date = datetime.date(2025, 12, 31)
    writings: tuple[DateWriting, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _in_order(self) -> Dates:
        if not 1000 <= self.first.year <= self.last.year <= 9999 or self.first > self.last:
            raise ValueError(
                f"dates from {self.first} to {self.last}: first ≤ last and four-digit years "
                "must hold"
            )
        return self

    @property
    def within_a_century(self) -> bool:
        """Whether two digits tell the year."""
        return self.last.year < self.first.year + CENTURY_YEARS

    def year_of(self, two_digits: int) -> int:
        """Return the year that two digits stand for."""
        return self.first.year + (two_digits - self.first.year) % CENTURY_YEARS


class PairData(Section):
    """Where pairs of texts go."""

    out: str = "data"
    num_examples: NumExamples = NumExamples()
    examples_per_shard: int = Field(5000, ge=1, le=10**7)


class DateAttention(Section):
    """An LSTM that reads both ways, and one that writes ten characters with attention."""

    family: Literal["date_attention"] = "date_attention"
    longest_text: int = Field(30, ge=1, le=1000, description="characters; longer texts are cut")
    encoder_units: int = Field(32, ge=1, description="in each direction")
    decoder_units: int = Field(64, ge=1)
    energy_units: int = Field(10, ge=1)
    masked: bool = Field(True, description="padding is not read; False: as the classic exercise")
    energy: Literal["linear", "relu"] = Field(
        "linear", description="relu, the classic, can silence all energies for good"
    )


class DatesRecipe(TaskRecipe):
    """The date translator: texts as people write dates → YYYY-MM-DD."""

    task: Literal["dates"]
    dates: Dates
    splits: Fractions = Fractions()
    dataset: PairData = PairData()
    model: DateAttention = DateAttention()

    def content(self) -> dict[str, Any]:
        """Return what decides pair i, Babel's knowledge of how dates are written aside."""
        return {
            "task": self.task,
            "seed": self.seed,
            "dates": self.dates.model_dump(mode="json"),
            "splits": self.splits.model_dump(mode="json"),
        }
