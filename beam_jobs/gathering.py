"""All reports of a job in one list, by a combination that every engine does right."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def as_list(reports: Iterable[Any]) -> list[Any]:
    """Return reports, and lists of reports that are combined already, as one flat list."""
    flat: list[Any] = []
    for report in reports:
        flat.extend(report) if isinstance(report, list) else flat.append(report)
    return flat
