"""What a date translator gets right on days that it never saw: exact matches, with intervals.

A pair is right if all ten characters are. Pairs of one day tell less than pairs of as many days, so
the interval of the whole takes days as groups (intervals.py). The trial inputs are texts as people
write them, some with slips: a wrong suffix, a weekday that isn't the day's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from models.date_translator import Translator
from models.intervals import share, share_text, wilson_by_group
from models.model_files import read_card, write_json
from models.plots import attention_map
from pipeline.date_writing import normalised
from pipeline.inputs.text_pairs import read_pairs, stored_pairs
from schemas.errors import DatasetError
from schemas.pairs import DATE, FORMAT, LOCALE, TEXT

TRIALS = {
    "3 May 1979": "1979-05-03",
    "5 April 09": "2009-04-05",
    "21th of August 2016": "2016-08-21",
    "Tue 10 Jul 2007": "2007-07-10",
    "Saturday May 9 2018": "2018-05-09",
    "March 3 2001": "2001-03-03",
    "March 3rd 2001": "2001-03-03",
    "1 March 2001": "2001-03-01",
}
_SHOWN = "Saturday May 9 2018"
_MOST_MISTAKES = 20


def evaluate(folder: Path) -> dict[str, Any]:
    """Judge a model on the test days of its data set and write evaluation.json, .txt and .png.

    Raises:
        TrainingError: no trained model.
        DatasetError: its data set isn't there any more, is another one or has no test pairs.
    """
    translator, card = Translator.load(folder), read_card(folder)
    location = str(card["dataset"]["location"])
    data = location if "://" in location else str((folder / location).resolve())
    stored = read_pairs(data)
    if stored.identity() != card["dataset"]["identity"]:
        raise DatasetError(
            f"{data} is not the data set that {folder} was fitted to",
            fix="train again, or make the data set from the model's recipe",
        )
    pairs = stored_pairs(stored, "test")
    values = judged(pairs, translator.answers(pairs[TEXT]))
    answers = translator.answers(list(TRIALS))
    values["trials"] = [
        {"text": text, "answer": answer, "date": date, "right": answer == date}
        for (text, date), answer in zip(TRIALS.items(), answers, strict=True)
    ]
    values["model"] = {name: card[name] for name in ("name", "parameters", "best_epoch")}
    write_json(folder / "evaluation.json", values)
    (folder / "evaluation.txt").write_text(report_text(values) + "\n", encoding="utf-8")
    text = normalised(_SHOWN)
    picture = attention_map(
        translator.attention(text)[:, : len(text)],
        text,
        answers[list(TRIALS).index(_SHOWN)],
        "which characters are read for each one written",
    )
    (folder / "evaluation.png").write_bytes(picture)
    return values


def judged(pairs: dict[str, list[str]], answers: Sequence[str]) -> dict[str, Any]:
    """Count exact matches: in all, by locale and by format, with 95 % intervals.

    Args:
        pairs: `text`, `date`, `locale`, `format` of each.
        answers: to each.
    """
    right = [answer == date for answer, date in zip(answers, pairs[DATE], strict=True)]
    by_day = _by(pairs[DATE], right)
    low, high = wilson_by_group([(sum(flags), len(flags)) for flags in by_day.values()])
    formats = [f"{loc} {name}" for loc, name in zip(pairs[LOCALE], pairs[FORMAT], strict=True)]
    mistakes = [
        {"text": text, "answer": answer, "date": date}
        for text, answer, date, ok in zip(pairs[TEXT], answers, pairs[DATE], right, strict=True)
        if not ok
    ]
    return {
        "task": "dates",
        "accuracy": _counted(right) | {"interval": [low, high], "days": len(by_day)},
        "by_locale": {name: _counted(flags) for name, flags in _by(pairs[LOCALE], right).items()},
        "by_format": {name: _counted(flags) for name, flags in _by(formats, right).items()},
        "mistakes": mistakes[:_MOST_MISTAKES],
    }


def report_text(values: dict[str, Any]) -> str:
    """Return the result for people."""
    test = values["accuracy"]
    lines = [
        f"exact match on {test['days']} days that training never saw: {share_text(test)}",
        "",
        "by locale",
        *(f"  {name:8} {share_text(one)}" for name, one in values["by_locale"].items()),
        "",
        "formats below 99 %",
        *(
            [
                f"  {name:24} {share_text(one)}"
                for name, one in values["by_format"].items()
                if one["share"] < 0.99
            ]
            or ["  none"]
        ),
        "",
        "trial inputs",
        *(
            f"  {trial['text']:22} {trial['answer']}"
            + ("" if trial["right"] else f"  wrong: {trial['date']}")
            for trial in values["trials"]
        ),
    ]
    if values["mistakes"]:
        lines += ["", "mistakes"]
        lines += [f"  {m['text']:36} {m['answer']}, not {m['date']}" for m in values["mistakes"]]
    return "\n".join(lines)


def _by(keys: Iterable[str], right: Sequence[bool]) -> dict[str, list[bool]]:
    groups: dict[str, list[bool]] = defaultdict(list)
    for key, ok in zip(keys, right, strict=True):
        groups[key].append(ok)
    return dict(sorted(groups.items()))


def _counted(right: Sequence[bool]) -> dict[str, Any]:
    return share(sum(right), len(right))
