"""Where a detector misses and where it fires wrongly: counts by what is known of the events.

Keywords are divided by SNR, by the time since the keyword before and since any event before, by
where in the recording they lie, by speaker and by source; false accepts by the kind and source of
what sounded then or up to half a second before, and by where they lie. Every row has its counts,
so that a share of three is seen to be one. What isn't known of any event has no table.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from models.event_matching import Matching
from models.takes import miss_interval
from schemas.detection import Detection, ReferenceEvent, ScoredRecording

Matched = Sequence[tuple[ScoredRecording, Matching]]
_SNR_EDGES_DB = (5.0, 10.0, 15.0)
_KEYWORD_SPACING_EDGES_S = (2.0, 5.0, 10.0, 30.0)
_GAP_EDGES_S = (0.2, 0.5, 1.0, 2.0)
_THIRDS = ("first third", "middle third", "last third")
_BACKGROUND = "background alone"
_RINGS_ON_S = 0.5


@dataclass(frozen=True, slots=True)
class _Keyword:
    """A keyword of the test, what came before it, and whether it was missed."""

    event: ReferenceEvent
    missed: bool
    since_keyword_s: float
    since_event_s: float
    position: str


def misses_by(matched: Matched) -> dict[str, list[dict[str, Any]]]:
    """Return {slice: rows with `slice`, `keywords`, `misses`, `interval` by takes}."""
    keywords = [keyword for one in matched for keyword in _keywords(*one)]
    snrs = _bins(_SNR_EDGES_DB, "dB")
    spacing = _bins(_KEYWORD_SPACING_EDGES_S, "s or first")
    gap = _bins(_GAP_EDGES_S, "s or first")
    tables = {
        "snr_db": _in_order(keywords, lambda k: snrs(k.event.snr_db)),
        "keyword_spacing_s": _in_order(keywords, lambda k: spacing(k.since_keyword_s)),
        "gap_before_s": _in_order(keywords, lambda k: gap(k.since_event_s)),
        "position": _in_order(keywords, lambda k: (_THIRDS.index(k.position), k.position)),
        "speaker": _worst_first(keywords, lambda k: k.event.speaker),
        "source": _worst_first(keywords, lambda k: _folder(k.event.source)),
    }
    return {name: rows for name, rows in tables.items() if rows}


def false_accepts_by(matched: Matched) -> dict[str, list[dict[str, Any]]]:
    """Return {slice: rows with `slice`, `false_accepts` and, of events, how many `sounded`}."""
    events = [event for recording, _ in matched for event in recording.events]
    accepts = [
        (_position(d.time_s, r.duration_s), sounding(r.events, d))
        for r, found in matched
        for d in found.false_accepts
    ]
    return {
        "kind": _accept_rows(
            (e.kind if e else _BACKGROUND for _, e in accepts), Counter(e.kind for e in events)
        ),
        "source": _accept_rows(
            (_named(e) if e else _BACKGROUND for _, e in accepts), Counter(map(_named, events))
        ),
        "position": _accept_rows((position for position, _ in accepts), Counter()),
    }


def sounding(events: Sequence[ReferenceEvent], detection: Detection) -> ReferenceEvent | None:
    """Return the last event that sounds at a detection, or did up to half a second before."""
    near = [e for e in events if e.onset_s <= detection.time_s <= e.offset_s + _RINGS_ON_S]
    return near[-1] if near else None


def put_down_to(events: Sequence[ReferenceEvent], detection: Detection, otherwise: str) -> str:
    """Return the clip that sounded at a detection; `otherwise` where none did or it has no name."""
    event = sounding(events, detection)
    return (event.source if event else "") or otherwise


def sound_at(events: Sequence[ReferenceEvent], detection: Detection) -> str:
    """Return in words what sounded at a detection: a clip, a label, or the background alone."""
    event = sounding(events, detection)
    return (event.source or event.label) if event else _BACKGROUND


def _keywords(recording: ScoredRecording, found: Matching) -> Iterable[_Keyword]:
    missed = {id(event) for event in found.misses}
    last_keyword_s = last_event_s = -math.inf
    for event in sorted(recording.events, key=lambda e: e.onset_s):
        if event.kind == "keyword":
            yield _Keyword(
                event,
                id(event) in missed,
                event.onset_s - last_keyword_s,
                event.onset_s - last_event_s,
                _position(event.onset_s, recording.duration_s),
            )
            last_keyword_s = max(last_keyword_s, event.offset_s)
        last_event_s = max(last_event_s, event.offset_s)


def _position(time_s: float, duration_s: float) -> str:
    return _THIRDS[min(2, int(3 * time_s / duration_s))] if duration_s else _THIRDS[0]


def _bins(edges: Sequence[float], unit: str) -> Callable[[float], tuple[int, str] | None]:
    """A function from a value to its bin and the bin's name; None for NaN."""
    plain = unit.split()[0]
    between = [f"{a:g}–{b:g} {plain}" for a, b in zip(edges, edges[1:], strict=False)]
    names = [f"< {edges[0]:g} {plain}", *between, f"≥ {edges[-1]:g} {unit}"]

    def of(value: float) -> tuple[int, str] | None:
        if math.isnan(value):
            return None
        at = sum(value >= edge for edge in edges)
        return at, names[at]

    return of


def _in_order(
    keywords: Sequence[_Keyword], key: Callable[[_Keyword], tuple[int, str] | None]
) -> list[dict[str, Any]]:
    groups: dict[tuple[int, str], list[_Keyword]] = {}
    for keyword in keywords:
        found = key(keyword)
        if found is not None:
            groups.setdefault(found, []).append(keyword)
    return [_row(name, groups[at, name]) for at, name in sorted(groups)]


def _worst_first(
    keywords: Sequence[_Keyword], key: Callable[[_Keyword], str]
) -> list[dict[str, Any]]:
    groups: dict[str, list[_Keyword]] = {}
    for keyword in keywords:
        groups.setdefault(key(keyword), []).append(keyword)
    rows = [_row(name, groups[name]) for name in sorted(groups) if name]
    return sorted(rows, key=lambda row: (-row["misses"], row["keywords"]))


def _row(name: str, keywords: Sequence[_Keyword]) -> dict[str, Any]:
    misses = sum(keyword.missed for keyword in keywords)
    interval = miss_interval((keyword.event.source, keyword.missed) for keyword in keywords)
    return {"slice": name, "keywords": len(keywords), "misses": misses, "interval": interval}


def _accept_rows(names: Iterable[str], sounded: Counter[str]) -> list[dict[str, Any]]:
    return [
        {"slice": name, "false_accepts": count}
        | ({"sounded": sounded[name]} if name in sounded else {})
        for name, count in Counter(sorted(names)).most_common()
    ]


def _named(event: ReferenceEvent) -> str:
    return _folder(event.source) or event.label


def _folder(source: str) -> str:
    return "/".join(source.split("/")[:2])
