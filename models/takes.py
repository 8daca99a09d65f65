"""What a test's keywords repeat: intervals of the miss rate, for all of them or any part, by takes.

A take is one recording of a keyword, and a test places it many times. Seven placements of a take
that a detector doesn't know are one failure, not seven, so trials are grouped by take wherever all
of them say theirs (`ReferenceEvent.source`); else every placement counts by itself, as labels of a
recording name no takes.
"""

from __future__ import annotations

from collections.abc import Iterable

from models.event_matching import Matching
from models.intervals import wilson, wilson_by_group
from schemas.detection import ReferenceEvent


def miss_interval(trials: Iterable[tuple[str, bool]]) -> tuple[float, float]:
    """Return the 95 % interval of a miss rate.

    Args:
        trials: (take, missed) of each keyword; the take is empty where it isn't known.

    Returns:
        Shares in [0, 1]: `intervals.wilson_by_group` by takes, `intervals.wilson` without.
    """
    takes: dict[str, list[int]] = {}
    for take, missed in trials:
        counts = takes.setdefault(take, [0, 0])
        counts[0] += missed
        counts[1] += 1
    if not takes or "" in takes:
        return wilson(sum(c for c, _ in takes.values()), sum(n for _, n in takes.values()))
    return wilson_by_group([(count, total) for count, total in takes.values()])


def interval_of(found: Iterable[Matching], label: str | None = None) -> tuple[float, float]:
    """Return the interval of what was matched, of one class alone or of all.

    A scene's events name their takes; a recording's labels don't.
    """
    judged = [(e, missed) for m in found for e, missed in _judged(m) if label in (None, e.label)]
    return miss_interval((event.source, missed) for event, missed in judged)


def _judged(found: Matching) -> list[tuple[ReferenceEvent, bool]]:
    return [(event, False) for event, _ in found.hits] + [(event, True) for event in found.misses]
