"""What the formats share: a label with the place where it stands, numbers, and the refusal."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

from schemas.errors import RequestError
from schemas.labels import Label


class Row(NamedTuple):
    """A label as it was read.

    Attributes:
        where: `line 3`, for messages.
        recording: that the row names; empty where the file is about one.
        label: what stands there.
    """

    where: str
    recording: str
    label: Label


class Bare(NamedTuple):
    """A recording that has no labels, as a table names it."""

    recording: str


def seconds(text: str) -> float:
    """Return a time.

    Raises:
        ValueError: not a finite number from 0 on, with a decimal point.
    """
    value = number(text)
    if value < 0.0:
        raise ValueError(f"{text!r} lies before the recording")
    return value


def number(text: str) -> float:
    """Return a finite number.

    Raises:
        ValueError: it isn't one.
    """
    try:
        value = float(text)
    except ValueError:
        hint = ": decimals need a point" if "," in text else ""
        raise ValueError(f"{text!r} is not a number{hint}") from None
    if not math.isfinite(value):
        raise ValueError(f"{text!r} is not a finite number")
    return value


def decimal(value: float) -> str:
    """Return a number with six decimals, or as many as it takes to lose nothing."""
    return np.format_float_positional(value, unique=True, min_digits=6)


def wrong(path: Path, where: str, what: object, expected: str = "", fix: str = "") -> RequestError:
    """Return the error of one place in a file."""
    return RequestError(f"{path}, {where}: {what}", expected=expected, fix=fix)
