"""`wakebeam inspect MODEL --on STREAM`: one page: what a detector found, and what it got wrong.

Hits, misses and false accepts are counted here for every threshold of the sweep by the one counter
(event_matching.py); the page only shows those lists, so that its slider and a report can't differ.
A stream is too long to be inside a page: stretches of six seconds around what is listed are, first
what is wrong at the detector's own threshold, then what is wrong at those near it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from models.event_matching import Matching, count_events
from models.operating_points import THRESHOLDS, OperatingPoint, counted
from models.plots import picture_suffix, stream_picture, write_picture
from models.slices import sound_at
from models.takes import interval_of
from pipeline.audio_file import to_int16
from schemas.detection import ReferenceEvent, ScoredRecording
from wakebeam.page_file import fill_page
from wakebeam.score_pictures import (
    RANGE,
    event_values,
    log_odds,
    overview,
    sound_values,
    stretch_values,
)
from wakebeam.stream_scoring import HeardStream, hear_stream

_BEFORE_S, _AFTER_S = 3.5, 2.5
_APART_S = 1.5
_MOST_ACCEPTS = 200
_OF_INTEREST_PER_HOUR = 20.0
_HIT_SHARE = 6


def stream_page(
    model: Path,
    stream: Path,
    labels: Path | None,
    *,
    data: str | None = None,
    num_moments: int = 60,
    plot: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> str:
    """Return the page.

    Args:
        model: an export, or a trained and evaluated model.
        stream: a stream set's folder, or a recording; a leak is said, not refused.
        labels: of a recording.
        data: the data set that the model was trained on, where it doesn't lie beside it.
        num_moments: stretches of the stream that are in the page to see and hear.
        plot: a .png or .svg that gets the curves, and scores and events over time.
        progress: called with (seconds heard, seconds in all).

    Raises:
        RequestError, DatasetError: as `hear_stream` does.
    """
    heard = hear_stream(model, stream, labels, data=data, allow_leak=True, progress=progress)
    judging = heard.judging()
    thresholds = sorted({*THRESHOLDS.tolist(), heard.threshold})
    found = [
        [
            count_events(r, heard.labels, threshold=threshold, **judging.rule())
            for r in heard.recordings
        ]
        for threshold in thresholds
    ]
    own = thresholds.index(heard.threshold)
    hours = sum(r.duration_s for r in heard.recordings) / 3600
    points = [
        counted(of, threshold, 3600 * hours)
        for threshold, of in zip(thresholds, found, strict=True)
    ]
    numbers = {id(event): i for i, event in enumerate(_keywords(heard))}
    title = f"{heard.metadata['name']} on {stream.name}"
    rule = judging.rule()
    highest = overview(heard.recordings)
    if plot is not None:
        picture = stream_picture(
            heard.recordings,
            found[own],
            points=points,
            chosen=points[own],
            highest=highest,
            title=title,
            suffix=picture_suffix(plot),
        )
        write_picture(plot, picture)
    values = {
        "title": title,
        "about": f"{hours:.2f} h in {len(heard.recordings)} "
        f"recording{'s' * (len(heard.recordings) != 1)}, {len(numbers)} keywords "
        f"({', '.join(heard.labels)}); a detection hits a keyword from its onset to "
        f"{rule['hit_window_s']:g} s after its end; debounce {rule['debounce_s']:g} s",
        "leak_check": heard.about["leak_check"],
        "rate_hz": heard.sample_rate_hz,
        "hours": hours,
        "labels": heard.labels,
        "own": own,
        "log_odds": RANGE,
        "recordings": [{"name": r.name, "duration_s": r.duration_s} for r in heard.recordings],
        "keywords": [
            event_values(event) | {"recording": i}
            for i, r in enumerate(heard.recordings)
            for event in r.events
            if event.kind == "keyword"
        ],
        "points": [
            _point(heard.recordings, of, point, numbers)
            for of, point in zip(found, points, strict=True)
        ],
        "overview": highest,
        "moments": _moments(heard, _wanted(found, points, own, num_moments)),
    }
    return fill_page("stream", title, values)


def _keywords(heard: HeardStream) -> Iterator[ReferenceEvent]:
    return (e for r in heard.recordings for e in r.events if e.kind == "keyword")


def _point(
    recordings: Sequence[ScoredRecording],
    found: Sequence[Matching],
    point: OperatingPoint,
    numbers: dict[int, int],
) -> dict[str, Any]:
    """What the page lists at a threshold; of false accepts the highest."""
    accepts = [
        (i, round(d.time_s, 3), d.label, log_odds(d.score), sound_at(r.events, d))
        for i, (r, m) in enumerate(zip(recordings, found, strict=True))
        for d in m.false_accepts
    ]
    kept = sorted(accepts, key=lambda row: -row[3])[:_MOST_ACCEPTS]
    return {
        "threshold": point.threshold,
        "misses": [numbers[id(event)] for m in found for event in m.misses],
        "hits": [[numbers[id(e)], round(d.time_s, 3)] for m in found for e, d in m.hits],
        "accepts": sorted(kept),
        "num_accepts": len(accepts),
        "miss_rate": point.miss_rate,
        "miss_interval": interval_of(found),
        "per_hour": point.false_accepts_per_hour,
        "per_hour_interval": point.false_accept_interval,
    }


def _wanted(
    found: Sequence[Sequence[Matching]], points: Sequence[OperatingPoint], own: int, most: int
) -> list[tuple[int, float]]:
    """(recording, middle in seconds) of what shall be seen and heard, the most telling first."""
    chosen: list[tuple[int, float]] = []

    def take(rows: Sequence[tuple[int, float]], limit: int) -> None:
        for number, time_s in rows:
            near = any(n == number and abs(t - time_s) < _APART_S for n, t in chosen)
            if not near and len(chosen) < limit:
                chosen.append((number, time_s))

    hits = sorted((d.score, i, d.time_s) for i, m in enumerate(found[own]) for _, d in m.hits)
    wrong = most - min(len(hits), most // _HIT_SHARE)
    take(_wrong(found[own]), wrong)
    for distance in range(1, len(points)):
        for i in (own - distance, own + distance):
            if 0 <= i < len(points) and (
                points[i].false_accepts_per_hour <= _OF_INTEREST_PER_HOUR or i > own
            ):
                take(_wrong(found[i]), wrong)
    take([(i, time_s) for _, i, time_s in hits], most)
    return sorted(chosen)


def _wrong(found: Sequence[Matching]) -> list[tuple[int, float]]:
    """Misses and false accepts in turns."""
    misses = [(i, e.offset_s) for i, m in enumerate(found) for e in m.misses]
    accepts = [(d.score, i, d.time_s) for i, m in enumerate(found) for d in m.false_accepts]
    ranked = [(i, time_s) for _, i, time_s in sorted(accepts, reverse=True)]
    turns = [(k, row) for rows in (ranked, misses) for k, row in enumerate(rows)]
    return [row for _, row in sorted(turns, key=lambda turn: turn[0])]


def _moments(heard: HeardStream, wanted: Sequence[tuple[int, float]]) -> list[dict[str, Any]]:
    stretches = []
    for number, time_s in wanted:
        recording = heard.recordings[number]
        time_s = min(time_s, recording.duration_s)  # a label may end later than its recording
        stop_s = min(recording.duration_s, time_s + _AFTER_S)
        stretches.append((recording.name, max(0.0, time_s - _BEFORE_S), stop_s))
    rate = heard.sample_rate_hz
    return [
        {"recording": number}
        | stretch_values(heard.recordings[number], start_s, len(x) / rate)
        | sound_values(to_int16(x), rate)
        for (number, _), (_, start_s, _), x in zip(
            wanted, stretches, heard.cut(stretches), strict=True
        )
    ]
