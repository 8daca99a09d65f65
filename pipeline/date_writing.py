"""How people write a day: Babel's formats in a locale, made into what a model reads.

A pattern never has a capital Y (the year of the ISO week, another one on some days around New
Year), also where a locale's own format is named. Two texts that are alike must mean one day: 5/9/18
is in May in the United States and in September elsewhere, so a recipe that has both is refused,
with the text and both days. Two-digit years are read by the rule of schemas/recipe_dates.py.
"""

from __future__ import annotations

import datetime
import functools
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from babel import Locale, UnknownLocaleError
from babel.dates import format_date

from schemas.errors import RecipeError
from schemas.recipe_dates import NAMED_FORMATS, Dates, check_pattern, pattern_letters

_TWO_DIGIT_YEAR = re.compile(r"(?<!y)yy(?!y)")


@dataclass(frozen=True)
class Writing:
    """One way to write a date.

    Attributes:
        locale: e.g. `de_DE`.
        name: of the format, as the recipe has it.
        pattern: what that is in the locale.
    """

    locale: str
    name: str
    pattern: str

    def text(self, day: datetime.date) -> str:
        """Return the day, written so, as a model reads it."""
        return normalised(format_date(day, self.pattern, _locale(self.locale)))


def normalised(text: str) -> str:
    """Return a text as models read it: composed, lower case, no commas, single spaces."""
    composed = unicodedata.normalize("NFKC", text).lower().replace(",", " ")
    return " ".join(unicodedata.normalize("NFC", composed).split())


def writings_of(dates: Dates) -> tuple[Writing, ...]:
    """Return all ways to write a date that a recipe has, in its order.

    Raises:
        RecipeError: a locale is unknown, or a format doesn't tell the day.
    """
    return tuple(
        _writing(locale, name, dates)
        for entry in dates.writings
        for locale in entry.locales
        for name in entry.formats
    )


def require_unambiguous(writings: Sequence[Writing], dates: Dates) -> None:
    """Refuse writings of which one text means two days; every day is looked at.

    Raises:
        RecipeError: names a text, both days and how each is written.
    """
    distinct = sorted(set(writings), key=lambda w: (w.locale, w.pattern, w.name))
    meant: dict[str, tuple[int, Writing]] = {}
    for number in range(dates.first.toordinal(), dates.last.toordinal() + 1):
        day = datetime.date.fromordinal(number)
        for writing in distinct:
            text = writing.text(day)
            other, how = meant.setdefault(text, (number, writing))
            if other != number:
                raise RecipeError(
                    f"dates.writings: {text!r} is {datetime.date.fromordinal(other)} as "
                    f"{how.locale} {how.name!r} and {day} as {writing.locale} {writing.name!r}",
                    expected="writings that no reader can mistake for one another",
                    fix="drop one of the two",
                )


def _writing(locale: str, name: str, dates: Dates) -> Writing:
    try:
        pattern = _locale(locale).date_formats[name].pattern if name in NAMED_FORMATS else name
        check_pattern(pattern)
    except (UnknownLocaleError, ValueError) as error:
        raise RecipeError(
            f"dates.writings: {locale} {name!r}: {error}",
            expected="a locale that Babel knows, such as en_GB, and a format that tells the day",
        ) from error
    if _TWO_DIGIT_YEAR.search(pattern_letters(pattern)) and not dates.within_a_century:
        raise RecipeError(
            f"dates.writings: {locale} {name!r} writes years with two digits, and the days from "
            f"{dates.first} to {dates.last} span more than a century",
            fix="drop the format or bring dates.first and dates.last nearer together",
        )
    return Writing(locale, name, pattern)


@functools.lru_cache(maxsize=256)
def _locale(name: str) -> Locale:
    return Locale.parse(name)
