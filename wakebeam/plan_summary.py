"""What planned scenes hold, for people: a few lines a split, histograms as rows of bars."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_BARS = " ▁▂▃▄▅▆▇█"
_MOST_BARS = 40


def summary_text(found: Mapping[str, Any]) -> str:
    """Return the result of beam_jobs/planning.py as text."""
    lines = [
        f"{found['scenes']} scenes planned in {found['seconds']:.1f} s "
        f"({found['scenes_per_s']:.0f} a second); none was rendered, nothing was written"
    ]
    for split, values in found["splits"].items():
        lines += _split_lines(split, values)
    return "\n".join(lines)


def _split_lines(split: str, values: Mapping[str, Any]) -> list[str]:
    counts = values["counts"]
    kinds = ", ".join(f"{number} {kind}" for kind, number in counts["events_by_kind"].items())
    hours = values["event_hours_by_label"]
    labels = ", ".join(
        f"{label} {number} ({hours[label]:.2f} h)"
        for label, number in counts["events_by_label"].items()
    )
    lines = [
        f"{split}: {values['scenes']} scenes, {values['hours']:.2f} h over "
        f"{values['backgrounds_used']} backgrounds",
        f"  events by kind: {kinds or 'none'}",
        f"  events by label: {labels or 'none'}",
    ]
    for title, name, step in (
        ("events a scene", "events_per_scene", 1.0),
        ("onset, twentieths of the scene", "position", 1.0),
        (f"level of events, {values['level_unit']}", "level", 1.0),
        ("length of events, s", "duration_s", 0.1),
        ("level of backgrounds, dB", "background_level", 1.0),
    ):
        if counts[name]:
            lines.append(f"  {title:32} {histogram(counts[name], step)}")
    if values["rejected"]:
        first = values["rejects"][0]
        lines.append(
            f"  {values['rejected']} scenes can't be planned: {first['example_id']}: "
            f"{first['reason']}"
        )
    return lines


def histogram(counts: Mapping[str, int], step: float) -> str:
    """Return `low ▁▅█ high`, the lowest and the highest key, for keys that are `step` apart.

    A bar is for the least number of neighbouring bins that leaves no more than 40 bars. Only what
    is empty has no bar; the highest is a whole block.
    """
    bins = {round(float(edge) / step): number for edge, number in counts.items()}
    low, high = min(bins), max(bins)
    width = -(-(high + 1 - low) // _MOST_BARS)
    sums = [0] * -(-(high + 1 - low) // width)
    for at, number in bins.items():
        sums[(at - low) // width] += number
    top = len(_BARS) - 1
    bars = "".join(_BARS[-(-number * top // max(sums))] for number in sums)
    return f"{low * step:g} {bars} {high * step:g}"
