"""Event-based F1: what share of sound events was found with the right class, onset and offset.

A found event and a reference event of its class match where

    |onset − onset'| ≤ onset_s   and   |offset − offset'| ≤ max(offset_s, offset_share · length)

length being the reference's. Each event is in one match at most and as many matches are made as can
be: a maximum matching of the bipartite graph, not first come first served. Then

    precision = matches / found
    recall    = matches / reference
    F1        = 2 · matches / (found + reference)

Micro F1 counts the events of all classes together, macro F1 is the mean over classes. A class
without a reference has no F1 and isn't in the mean; one that has references and of which nothing
was found has 0.

Source: Mesaros, Heittola and Virtanen, "Metrics for polyphonic sound event detection", Applied
Sciences 6 (2016). The numbers are those of sed_eval's `EventBasedMetrics` with its optimal
matching and `empty_system_output_handling="zero_score"`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from schemas.detection import SoundEvent
from schemas.errors import RequestError
from schemas.recipe import Collars


@dataclass(frozen=True)
class EventCounts:
    """Events of one class, or of several, in any number of recordings."""

    num_matches: int = 0
    num_found: int = 0
    num_reference: int = 0

    def __add__(self, other: EventCounts) -> EventCounts:
        return EventCounts(
            self.num_matches + other.num_matches,
            self.num_found + other.num_found,
            self.num_reference + other.num_reference,
        )

    @property
    def precision(self) -> float:
        """Share of found events that match; 0 where nothing was found."""
        return self.num_matches / self.num_found if self.num_found else 0.0

    @property
    def recall(self) -> float:
        """Share of reference events that match; NaN where there is none."""
        return self.num_matches / self.num_reference if self.num_reference else math.nan

    @property
    def f1(self) -> float:
        """Their harmonic mean, in [0, 1]; NaN where there is no reference."""
        if not self.num_reference:
            return math.nan
        return 2 * self.num_matches / (self.num_found + self.num_reference)


def count_events(
    found: Sequence[SoundEvent],
    reference: Sequence[SoundEvent],
    labels: Sequence[str],
    collars: Collars,
) -> dict[str, EventCounts]:
    """Match the events of one recording.

    Args:
        found: in any order.
        reference: in any order.
        labels: classes, each once.
        collars: how near is near enough.

    Returns:
        The counts of each label.

    Raises:
        RequestError: an event's label isn't among `labels`.

    >>> there = [SoundEvent(1.0, 2.0, "rain"), SoundEvent(5.0, 6.0, "rain")]
    >>> counts = count_events([SoundEvent(1.1, 2.4, "rain")], there, ["rain"], Collars())
    >>> counts["rain"].num_matches, round(counts["rain"].f1, 3)
    (1, 0.667)
    """
    require_known([*found, *reference], labels)
    counts = {}
    for label in labels:
        ours = [event for event in found if event.label == label]
        theirs = [event for event in reference if event.label == label]
        matches = _most_matches(
            [[k for k, r in enumerate(theirs) if _near(f, r, collars)] for f in ours]
        )
        counts[label] = EventCounts(matches, len(ours), len(theirs))
    return counts


def micro(counts: Iterable[EventCounts]) -> EventCounts:
    """Return the counts of all together."""
    return sum(counts, EventCounts())


def macro_f1(counts: Iterable[EventCounts]) -> float:
    """Return the mean F1 of the classes that have a reference; NaN where none has."""
    values = [c.f1 for c in counts if c.num_reference]
    return sum(values) / len(values) if values else math.nan


def require_known(events: Iterable[SoundEvent], labels: Sequence[str]) -> None:
    """Refuse events of other classes.

    Raises:
        RequestError: with the label.
    """
    unknown = sorted({event.label for event in events} - set(labels))
    if unknown:
        raise RequestError(
            f"an event of the class {unknown[0]!r}", expected=f"one of {', '.join(labels)}"
        )


def _near(found: SoundEvent, reference: SoundEvent, collars: Collars) -> bool:
    length_s = reference.offset_s - reference.onset_s
    return abs(found.onset_s - reference.onset_s) <= collars.onset_s and abs(
        found.offset_s - reference.offset_s
    ) <= max(collars.offset_s, collars.offset_share * length_s)


def _most_matches(partners: Sequence[Sequence[int]]) -> int:
    """Return the size of a maximum matching; `partners[i]` are those that i may take."""
    rows = [i for i, these in enumerate(partners) for _ in these]
    columns = [partner for these in partners for partner in these]
    if not rows:
        return 0
    shape = (len(partners), max(columns) + 1)
    may = csr_array((np.ones(len(rows), np.int8), (rows, columns)), shape=shape)
    return int(np.count_nonzero(maximum_bipartite_matching(may, perm_type="column") >= 0))
