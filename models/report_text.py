"""A judgement as a table for people."""

from __future__ import annotations

import math
from typing import Any

from models.operating_points import limit_text, threshold_text

RULE_OF_THREE = -math.log(0.05)
"""Events that can't be excluded with 95 % confidence where none was seen: 3.0."""

_MOST_ROWS, _FEWEST_MISSES = 8, 3
_SHOWN_MISSES = ("snr_db", "keyword_spacing_s", "gap_before_s", "source", "speaker")
_SHOWN_AS = {
    "snr_db": "SNR",
    "keyword_spacing_s": "last keyword",
    "gap_before_s": "gap before",
    "source": "source",
    "speaker": "speaker",
}


def report_text(values: dict[str, Any]) -> str:
    """Return the report as a table for people."""
    low, high = (100 * v for v in values["miss_interval"])
    fa_low, fa_high = values["false_accept_interval"]
    takes = f" ({values['num_takes']} different takes)" if values["num_takes"] else ""
    alarms, different = values["num_false_accepts"], values.get("num_false_accept_sounds")
    sounds = f", on {different} different sounds" if different and different < alarms else ""
    rows = [
        (
            "missed",
            f"{100 * values['miss_rate']:.1f} %",
            f"{low:.1f} … {high:.1f} %",
            f"{values['num_misses']} of {values['num_keywords']} keywords{takes}",
        ),
        (
            "false accepts per hour",
            f"{values['false_accepts_per_hour']:.2f}",
            f"{fa_low:.2f} … {fa_high:.2f}",
            f"{values['num_false_accepts']} in {values['hours']:.2f} h{sounds}",
        ),
    ]
    lines = []
    if 0 < values["num_keywords"] == values["num_misses"]:
        lines.append(
            "No keyword was found: more takes or voices, or longer training (training.epochs)."
        )
    lines += [f"{'':24}{'found':>9}  {'95 % interval':>17}  counted"]
    lines += [
        f"{name:24}{value:>9}  {interval:>17}  {count}" for name, value, interval, count in rows
    ]
    delay = values["time_to_detect_s"]
    if delay:
        lines.append(
            f"{'time to detect':24}{delay['median']:>7.2f} s  "
            f"{delay['p5']:>6.2f} … {delay['p95']:.2f} s  after the keyword's end"
        )
    if values.get("selected_on_test"):
        lines.append(
            "a promotion chose this model by this very test split (comparison "
            f"{values['looks']} on it): the figures above flatter it"
        )
    lines += [_rule(values), *_by_label(values), *_known_before(values), *_slices(values)]
    lines += [*_of_stream(values), *_made_of(values)]
    if not values["num_other_events"]:
        lines.append(
            "no other speech or sound is labelled in the test: it says nothing about those"
        )
    return "\n".join([*lines, *_claims(values)]) + "\n"


def headline(values: dict[str, Any]) -> str:
    """Return the result in a few words."""
    return (
        f"{100 * values['miss_rate']:.1f} % missed, "
        f"{values['false_accepts_per_hour']:.2f} false accepts/h on test"
    ) + (", limit not kept on validation" if limit_text(values.get("validation", {})) else "")


def origin_text(values: dict[str, Any]) -> list[str]:
    """Return lines on what was judged: network, versions, data."""
    network = values["network"]
    cost = network["multiply_adds_per_second"]
    return [
        f"network {network['family']}: {network['parameters']:,} parameters"
        + (f", {cost / 1e6:.1f} million multiply-adds/s" if cost else ""),
        f"data set {values['dataset'][:16]}, made with "
        + ", ".join(f"{name} {version}" for name, version in values["software"].items()),
    ]


def _rule(values: dict[str, Any]) -> str:
    counting = values["counting"]
    patience = counting.get("patience", 1)
    steps = f", patience {patience} steps" if patience > 1 else ""
    return (
        f"threshold {threshold_text(values['threshold'])}, events counted with debounce "
        f"{counting['debounce_s']:g} s and hit window {counting['hit_window_s']:g} s{steps}"
    )


def _by_label(values: dict[str, Any]) -> list[str]:
    """Each class by itself, where there are several: the table above is their micro average."""
    if len(values["by_label"]) < 2:
        return []
    rows = {**values["by_label"], "macro average": values["macro"]}
    return [
        f"  {name}: {100 * row['miss_rate']:.1f} % missed"
        + (f" ({row['num_misses']} of {row['num_keywords']})" if "num_misses" in row else "")
        + f", {row['false_accepts_per_hour']:.2f} false accepts per hour"
        for name, row in rows.items()
    ]


def _known_before(values: dict[str, Any]) -> list[str]:
    lines = []
    if "validation" in values:
        known = values["validation"]
        lines.append(
            f"on validation that threshold misses {100 * known['miss_rate']:.1f} % at "
            f"{known['false_accepts_per_hour']:.2f} false accepts per hour" + _expected(known)
        )
        lines += _over_the_limit(known)
    if "chosen_on_this_stream" in values:
        best = values["chosen_on_this_stream"]
        lines.append(
            f"chosen on this stream, so no forecast: threshold {threshold_text(best['threshold'])} "
            f"would miss {100 * best['miss_rate']:.1f} % at {best['false_accepts_per_hour']:.2f} "
            "false accepts per hour"
        )
        lines += _over_the_limit(best)
    return lines


def _expected(known: dict[str, Any]) -> str:
    rate = known.get("expected_per_hour")
    return "" if rate is None else f", where {rate:.2f} are expected in the long run"


def _over_the_limit(chosen: dict[str, Any]) -> list[str]:
    said = limit_text(chosen)
    return [f"  LIMIT NOT KEPT: {said} there; this is the one with the fewest"] if said else []


def _slices(values: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    tables = _SHOWN_MISSES if values["num_misses"] != values["num_keywords"] else ()
    for table in tables:
        rows = values["misses_by"].get(table, [])
        if table != "snr_db" and (len(rows) < 2 or values["num_misses"] < _FEWEST_MISSES):
            continue  # says nothing that the first line doesn't
        if table in ("source", "speaker"):
            rows = [row for row in rows if row["misses"]]
        lines += [
            f"  {_SHOWN_AS[table]} {row['slice']:>12}: {row['misses']} of {row['keywords']} missed"
            for row in rows[:_MOST_ROWS]
        ]
    return lines + [
        f"  false accepts on {row['slice']}: {row['false_accepts']}"
        + (f" ({row['sounded']} sounded)" if "sounded" in row else "")
        for row in values["false_accepts_by"]["source"][:_MOST_ROWS]
    ]


def _of_stream(values: dict[str, Any]) -> list[str]:
    """Which stream was heard, what of it was heard before, and by whom."""
    if "stream" not in values:
        return []
    about = values["stream"]
    identity = f", identity {about['identity'][:16]}" if "identity" in about else ""
    lines = [f"stream {about['name']}{identity}; leaks: {about['leak_check']}"]
    for role, row in about.get("clips", {}).items():
        if row["repeats"]:
            lines.append(
                f"  {role}: {row['different']} different, {row['heard']} heard, "
                f"{row['repeats']} of them again"
            )
    return lines


def _made_of(values: dict[str, Any]) -> list[str]:
    """What was judged, where a trained model was: network, versions, data; steps right last."""
    if "network" not in values:
        return []
    lines, frames = origin_text(values), values["frames"]
    if frames["num_steps"]:
        lines.append(
            f"{100 * frames['accuracy']:.1f} % of all steps are right; a detector that never fires "
            f"gets {100 * frames['accuracy_of_silence']:.1f} %"
        )
    return lines


def _claims(values: dict[str, Any]) -> list[str]:
    """Which rates so many hours could prove at best."""
    hours = values["hours"]
    if hours >= values["hours_for_a_claim"]["0.1"]:
        return []
    return [
        f"{hours:.2f} h can't prove a rate below {RULE_OF_THREE / max(hours, 1e-9):.1f} per hour; "
        "0.5 per hour needs 6 h without an alarm, 0.1 needs 30 h"
    ]
