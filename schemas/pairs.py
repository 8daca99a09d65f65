"""A pair of texts, and the names of its features in a record: a contract with readers."""

from __future__ import annotations

from dataclasses import dataclass

EXAMPLE_ID, TEXT, DATE, LOCALE, FORMAT = "example_id", "text", "date", "locale", "format"
RECIPE_DIGEST = "recipe_digest"


@dataclass(frozen=True, slots=True)
class DatePair:
    """One record.

    Attributes:
        example_id: `split/000000123`.
        text: as a model reads it: lower case, no commas.
        date: `YYYY-MM-DD`.
        locale, format: how it was written.
        recipe_digest: SHA-256 of the recipe's content, hexadecimal.
    """

    example_id: str
    text: str
    date: str
    locale: str
    format: str
    recipe_digest: str
