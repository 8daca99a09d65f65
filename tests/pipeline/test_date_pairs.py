"""Dates as people write them: the right year, one meaning for a text, one split for a day."""

from __future__ import annotations

import datetime
import re
from pathlib import Path

import pytest
from babel.dates import format_date
from pydantic import ValidationError

from pipeline.date_pairs import DatePairSource, days_of, decode_pair, encode_pair
from pipeline.date_writing import Writing, normalised, require_unambiguous, writings_of
from pipeline.recipe_file import load_any_recipe
from schemas.errors import DatasetError, RecipeError, RequestError
from schemas.recipe_dates import Dates, DatesRecipe, pattern_letters

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
FIRST, LAST = datetime.date(1970, 1, 1), datetime.date(2025, 12, 31)
ALL_DAYS = [datetime.date.fromordinal(n) for n in range(FIRST.toordinal(), LAST.toordinal() + 1)]


def recipe(*writings: dict, **more) -> DatesRecipe:
    dates = {"writings": writings or [{"locales": ["en_US"], "formats": ["long"]}]}
    values = {"schema": 1, "task": "dates", "name": "d", "seed": 3, "dates": dates}
    return DatesRecipe.model_validate(values | more)


def default_recipe(name: str = "dates") -> DatesRecipe:
    loaded = load_any_recipe(RECIPES / f"{name}.yaml")
    assert isinstance(loaded, DatesRecipe)
    return loaded


def written_year(writing: Writing, text: str, dates: Dates) -> int:
    """The year that a reader finds where the pattern has it."""
    numbers = re.findall(r"\d+", text)
    year = numbers[0 if pattern_letters(writing.pattern).startswith("y") else -1]
    return int(year) if len(year) == 4 else dates.year_of(int(year))


def test_R75_year_is_right_on_all_days_in_each_format() -> None:
    assert len(ALL_DAYS) == 20_454
    made = [default_recipe("dates"), default_recipe("dates_classic")]
    of_pattern = {w.pattern: w for r in made for w in writings_of(r.dates)}
    assert len(of_pattern) > 30
    for writing in of_pattern.values():
        wrong = [
            day
            for day in ALL_DAYS
            if written_year(writing, writing.text(day), made[0].dates) != day.year
        ]
        assert wrong == [], writing


def test_R75_year_is_right_around_new_year_in_each_locale() -> None:
    made = default_recipe()
    around = [d for d in ALL_DAYS if (d.month, d.day) in ((12, 29), (12, 30), (12, 31))]
    around += [d for d in ALL_DAYS if (d.month, d.day) in ((1, 1), (1, 2), (1, 3))]
    assert len(around) == 6 * 56
    for writing in writings_of(made.dates):
        years = [written_year(writing, writing.text(day), made.dates) for day in around]
        assert years == [day.year for day in around], writing


def test_R75_a_capital_Y_is_the_weeks_year_and_refused() -> None:
    around = [day for day in ALL_DAYS if (day.month, day.day) >= (12, 29) or day.timetuple()[7] < 4]
    wrong = sum(format_date(day, "Y", locale="en_GB") != str(day.year) for day in around)
    assert wrong == 96  # in en_GB, whose weeks are those of ISO; more in en_US
    with pytest.raises(ValidationError, match="29 December 2008 would be in 2009"):
        recipe({"locales": ["en_US"], "formats": ["d MMM Y"]})
    recipe({"locales": ["en_US"], "formats": ["d MMM y 'Year'"]})


def test_a_format_without_a_day_and_an_unknown_locale_are_refused() -> None:
    with pytest.raises(ValidationError, match="no month and no day"):
        recipe({"locales": ["en_US"], "formats": ["y"]})
    with pytest.raises(RecipeError, match="xx_YY"):
        writings_of(recipe({"locales": ["xx_YY"], "formats": ["long"]}).dates)


def test_two_digits_stand_for_one_year_of_a_century() -> None:
    dates = default_recipe().dates
    assert [dates.year_of(n) for n in (70, 99, 0, 9, 25, 69)] == [
        1970,
        1999,
        2000,
        2009,
        2025,
        2069,
    ]
    long = {"first": "1900-01-01", "writings": [{"locales": ["en_US"], "formats": ["short"]}]}
    with pytest.raises(RecipeError, match="more than a century"):
        writings_of(recipe(dates=long).dates)


@pytest.mark.parametrize("name", ["dates", "dates_classic"])
def test_no_text_of_the_default_recipes_means_two_days(name: str) -> None:
    dates = default_recipe(name).dates
    # All two-digit years that could be taken for a day or a month are among these.
    some = dates.model_copy(
        update={"first": datetime.date(2001, 1, 1), "last": datetime.date(2012, 12, 31)}
    )
    require_unambiguous(writings_of(dates), some)


def test_month_first_beside_day_first_is_refused_with_both_days() -> None:
    dates = recipe(
        {"locales": ["en_US"], "formats": ["M/d/y"]}, {"locales": ["es_ES"], "formats": ["d/M/y"]}
    ).dates
    with pytest.raises(RecipeError, match=r"'2/1/1970' is 1970-01-02 as .* and 1970-02-01 as"):
        require_unambiguous(writings_of(dates), dates)


def test_text_is_lower_case_without_commas_composed() -> None:
    assert normalised("Mie\u0301rcoles,  30 de\u202fSept") == "miércoles 30 de sept"
    day = datetime.date(2020, 9, 30)
    assert Writing("en_US", "full", "EEEE, MMMM d, y").text(day) == "wednesday september 30 2020"


def test_days_not_texts_are_divided_and_stay_where_they_are() -> None:
    made = default_recipe()
    days = days_of(made)
    assert sorted(sum(days.values(), [])) == [day.isoformat() for day in ALL_DAYS]
    shares = [len(days[split]) / len(ALL_DAYS) for split in ("train", "validation", "test")]
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.01)
    assert set(made.splits.keep) <= set(days["test"])
    fewer = made.dates.model_copy(update={"first": datetime.date(2000, 1, 1)})
    later = days_of(made.model_copy(update={"dates": fewer, "seed": 99}))
    assert all(set(later[split]) <= set(days[split]) for split in days)
    for split in days:
        source = DatePairSource(made, split, "")
        assert {source[i].pair.date for i in range(200)} <= set(days[split])


def test_a_pair_follows_from_its_address_alone() -> None:
    source = DatePairSource(default_recipe(), "train", "digest")
    again = DatePairSource(default_recipe(), "train", "digest")
    forwards = [source[i].record for i in range(50)]
    assert forwards == [again[i].record for i in reversed(range(50))][::-1]
    assert len({decode_pair(record).text for record in forwards}) > 45
    other = DatePairSource(default_recipe().model_copy(update={"seed": 8}), "train", "digest")
    assert other[0].pair.date != source[0].pair.date or other[1].pair.date != source[1].pair.date
    pair = source[7].pair
    assert decode_pair(encode_pair(pair)) == pair
    assert pair.example_id == "train/000000007"
    with pytest.raises(DatasetError, match="not a text pair"):
        decode_pair(b"\x0a\x03abc")


def test_a_split_without_days_is_refused() -> None:
    writings = [{"locales": ["en_US"], "formats": ["long"]}]
    one_day = {"first": "2000-01-01", "last": "2000-01-01", "writings": writings}
    with pytest.raises(RequestError, match="no day from 2000-01-01"):
        for split in ("train", "validation", "test"):
            DatePairSource(recipe(dates=one_day), split, "")
