"""Pictures without a display, as PNG or SVG: the suffix of a file says which.

An SVG is the same bytes each time, and its texts are texts. What shares a row or an axis differs in
form, not in colour alone, so that pictures read in grey and for colour-blind people.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from scipy.stats import norm

from models.event_matching import Matching
from models.operating_points import OperatingPoint, threshold_text
from pipeline.material import printable
from pipeline.text_file import replace_bytes
from schemas.detection import Detection, ReferenceEvent, ScoredRecording
from schemas.errors import RequestError

SUFFIXES = (".png", ".svg")
"""Kinds of pictures that there are."""
_DET_ACCEPTS = np.array([0.1, 0.5, 2, 10, 50, 200, 1000]) / 3600
_DET_MISSES = np.array([0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95])
_BLUE, _ORANGE, _GREEN, _RED, _GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#777777"
_MARKS = {"hit": ("v", _GREEN), "miss": ("x", _RED), "false accept": ("^", _RED)}
_SPANS: dict[bool, dict[str, Any]] = {
    True: {"facecolor": _GREEN, "edgecolor": _GREEN, "alpha": 0.45},
    False: {"facecolor": "none", "edgecolor": _GREY, "hatch": "////", "alpha": 0.6},
}
"""How what sounded is drawn: keywords, and others."""
_TIME_UNITS = (("hours", 3600), ("minutes", 60), ("seconds", 1))


def picture_suffix(place: Path) -> str:
    """Return which kind of picture a file is to be.

    Raises:
        RequestError: its name says neither.
    """
    suffix = place.suffix.lower()
    if suffix not in SUFFIXES or place.is_dir():
        raise RequestError(
            f"{place} as a picture", expected=f"a file's name with {' or '.join(SUFFIXES)}"
        )
    return suffix


def write_picture(place: Path, content: bytes) -> None:
    """Write a picture; folders on the way are made.

    Raises:
        RequestError: it can't be written.
    """
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        replace_bytes(place, content)
    except OSError as error:
        raise RequestError(f"{place} can't be written ({error})") from error


def miss_curve(points: Sequence[OperatingPoint], chosen: OperatingPoint, title: str) -> bytes:
    """Return a PNG: miss rate against false accepts per hour, the operating point marked."""
    figure = Figure(figsize=(6, 4.2), layout="constrained")
    _draw_misses(figure.add_subplot(), points, chosen, title)
    return _saved(figure)


def det_curve(points: Sequence[OperatingPoint], chosen: OperatingPoint, title: str) -> bytes:
    """Return a PNG of the detection error trade-off: both rates on normal-deviate axes.

    The probability of a false accept is by second of audio without a keyword's onset, as in NIST's
    evaluation of spoken term detection (2006), where every second is a trial. Rates of 0 and 1 lie
    at the edges. Source of the axes: Martin et al., Eurospeech 1997.
    """
    figure = Figure(figsize=(6, 4.2), layout="constrained")
    _draw_det(figure.add_subplot(), points, chosen, f"DET, {title}")
    return _saved(figure)


def both_curves(
    points: Sequence[OperatingPoint], chosen: OperatingPoint, title: str, suffix: str = ".png"
) -> bytes:
    """Return a picture of `miss_curve` and `det_curve` side by side."""
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw_misses(left, points, chosen, title)
    _draw_det(right, points, chosen, "DET")
    return _saved(figure, suffix)


def _draw_misses(
    axes: Axes, points: Sequence[OperatingPoint], chosen: OperatingPoint, title: str
) -> None:
    rates = np.array([p.false_accepts_per_hour for p in points])
    misses = 100 * np.array([p.miss_rate for p in points])
    axes.step(rates, misses, where="post", color=_BLUE, label="thresholds")
    axes.plot(
        chosen.false_accepts_per_hour,
        100 * chosen.miss_rate,
        "o",
        color=_RED,
        label=f"threshold {threshold_text(chosen.threshold)}, chosen on validation",
    )
    axes.set_xscale("symlog", linthresh=0.5)
    axes.set_xlim(0, None)
    axes.set_ylim(0, 100)
    axes.set_xlabel("false accepts per hour")
    axes.set_ylabel("keywords missed, %")
    _titled(axes, title)
    axes.grid(color="#dddddd")
    axes.legend()


def _draw_det(
    axes: Axes, points: Sequence[OperatingPoint], chosen: OperatingPoint, title: str
) -> None:
    trials = max(1.0, 3600.0 * chosen.hours - chosen.num_keywords)

    def places(of: Sequence[OperatingPoint]) -> tuple[np.ndarray, np.ndarray]:
        accepts = np.array([p.num_false_accepts for p in of]) / trials
        misses = np.array([p.miss_rate for p in of])
        return (
            norm.ppf(np.clip(accepts, _DET_ACCEPTS[0], _DET_ACCEPTS[-1])),
            norm.ppf(np.clip(misses, _DET_MISSES[0], _DET_MISSES[-1])),
        )

    axes.step(*places(points), where="post", color=_BLUE)
    name = f"threshold {threshold_text(chosen.threshold)}"
    axes.plot(*places([chosen]), "o", color=_RED, label=name)
    axes.set_xticks(norm.ppf(_DET_ACCEPTS), [f"{3600 * p:g}" for p in _DET_ACCEPTS])
    axes.set_yticks(norm.ppf(_DET_MISSES), [f"{100 * p:g}" for p in _DET_MISSES])
    axes.set_xlabel("false accepts per hour, by seconds without a keyword")
    axes.set_ylabel("keywords missed, %")
    _titled(axes, title)
    axes.grid(color="#dddddd")
    axes.legend()


def detector_output(
    audio: np.ndarray,
    sample_rate_hz: int,
    *,
    times_s: np.ndarray,
    scores: np.ndarray,
    threshold: float,
    title: str,
    events: Sequence[ReferenceEvent] = (),
    matching: Matching | None = None,
    detections: Sequence[Detection] = (),
    suffix: str = ".png",
) -> bytes:
    """Return a picture of a stretch of sound: spectrogram, score over time, what was and was found.

    Args:
        audio: (num_samples,) float32 in ±1.
        sample_rate_hz: its rate.
        times_s: (steps,) when each score is known.
        scores: (steps,) of one label.
        threshold: as used for `matching` or `detections`.
        title: above the picture.
        events: true events, keywords and others, where they are known.
        matching: of the detections with the events.
        detections: where the truth isn't known.
        suffix: .png or .svg.
    """
    figure = Figure(figsize=(11, 4.8), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[1, 1.3])
    size = 512
    frames = np.lib.stride_tricks.sliding_window_view(audio, size)[:: size // 2]
    power = np.abs(np.fft.rfft(frames * np.hanning(size), axis=1)) ** 2
    top.imshow(
        10 * np.log10(power.T + 1e-6),
        origin="lower",
        aspect="auto",
        cmap="gray_r",
        extent=(0, len(audio) / sample_rate_hz, 0, sample_rate_hz / 2000),
    )
    top.set_ylabel("kHz")
    _titled(top, title)
    for event in events:
        bottom.axvspan(event.onset_s, event.offset_s, **_SPANS[event.kind == "keyword"])
    bottom.plot(times_s, scores, color=_BLUE, linewidth=1.0)
    bottom.axhline(threshold, color=_ORANGE, linestyle="--", linewidth=1.0)
    marks = [([d.time_s for d in detections], "v", _BLUE)]
    if matching is not None:
        marks += [(times, *_MARKS[name]) for name, times in _times_of(matching).items()]
    for places, marker, colour in marks:
        bottom.plot(places, [1.08] * len(places), marker, color=colour, clip_on=False)
    bottom.set_ylim(0, 1.15)
    bottom.set_xlim(0, len(audio) / sample_rate_hz)
    bottom.set_ylabel("score")
    known = "plain span: keyword, hatched: other sound, ▾ hit, x miss, ▴ false accept"
    bottom.set_xlabel(f"seconds    dashes: threshold, {known if matching else '▾ detection'}")
    return _saved(figure, suffix)


def stream_picture(
    recordings: Sequence[ScoredRecording],
    found: Sequence[Matching],
    *,
    points: Sequence[OperatingPoint],
    chosen: OperatingPoint,
    highest: Sequence[float],
    title: str,
    suffix: str = ".png",
) -> bytes:
    """Return a picture of long recordings: curves, and score, events and what was found over time.

    Args:
        recordings: one after the other.
        found: the matching of each at the threshold of `chosen`.
        points: of a sweep.
        chosen: the detector's own.
        highest: the highest score in each of some equal parts of all, as log odds.
        title: above the picture.
        suffix: .png or .svg.
    """
    figure = Figure(figsize=(11, 8), layout="constrained")
    grid = figure.add_gridspec(3, 2, height_ratios=[2.4, 0.9, 1.2])
    _draw_misses(figure.add_subplot(grid[0, 0]), points, chosen, title)
    _draw_det(figure.add_subplot(grid[0, 1]), points, chosen, "DET")
    begins_s = np.cumsum([0.0] + [r.duration_s for r in recordings])
    unit, unit_s = next(u for u in _TIME_UNITS if begins_s[-1] >= 2 * u[1] or u[1] == 1)
    rows = figure.add_subplot(grid[1, :])
    names = []
    for y, (name, keyword) in enumerate((("keyword", True), ("other sound", False))):
        spans = [
            ((begin + e.onset_s) / unit_s, (e.offset_s - e.onset_s) / unit_s)
            for begin, r in zip(begins_s, recordings, strict=False)
            for e in r.events
            if (e.kind == "keyword") == keyword
        ]
        rows.broken_barh(spans, (-y - 0.35, 0.7), linewidth=1, **_SPANS[keyword])
        names.append(f"{name} ({len(spans)})")
    for y, (name, (marker, colour)) in enumerate(_MARKS.items(), start=2):
        times = [
            (begin + time_s) / unit_s
            for begin, matching in zip(begins_s, found, strict=False)
            for time_s in _times_of(matching)[name]
        ]
        rows.plot(times, [-y] * len(times), marker, color=colour, gid=name.replace(" ", "-"))
        names.append(f"{name} ({len(times)})")
    rows.set_yticks([-y for y in range(len(names))], names)
    rows.set_ylim(0.6 - len(names), 0.6)
    score = figure.add_subplot(grid[2, :], sharex=rows)
    edges = np.linspace(0.0, begins_s[-1] / unit_s, len(highest) + 1)
    score.stairs(highest, edges, baseline=min(highest), fill=True, color=_BLUE)
    level = float(np.log(chosen.threshold / max(1e-9, 1.0 - chosen.threshold)))
    score.axhline(level, color="black", linestyle="--", linewidth=1.0)
    score.set_xlim(0.0, edges[-1])
    score.set_ylabel("score, log odds")
    score.set_xlabel(f"{unit}    dashes: threshold {threshold_text(chosen.threshold)}")
    return _saved(figure, suffix)


def histograms(charts: Sequence[Mapping[str, Any]], title: str, suffix: str = ".png") -> bytes:
    """Return a picture of histograms.

    Args:
        charts: `title`, `unit`, `bars` of (left edge, count) and, where it is known, `law`: what is
            expected of each bar.
        title: above the picture.
        suffix: .png or .svg.
    """
    lines = -(-len(charts) // 2)
    figure = Figure(figsize=(10, 0.5 + 2.8 * lines), layout="constrained")
    figure.suptitle(printable(title), parse_math=False)
    for axes, chart in zip(figure.subplots(lines, 2, squeeze=False).flat, charts, strict=False):
        edges, counts = np.array(chart["bars"], float).T
        width = edges[1] - edges[0] if len(edges) > 1 else 1.0
        axes.bar(edges, counts, width, align="edge", color=_BLUE, edgecolor="white", linewidth=0.3)
        if "law" in chart:
            axes.plot(edges + width / 2, chart["law"], color=_ORANGE, marker="o", markersize=3)
        axes.set_xlabel(chart["unit"])
        axes.set_title(textwrap.fill(printable(chart["title"]), 60), fontsize=10, parse_math=False)
    for axes in figure.axes[len(charts) :]:
        axes.set_axis_off()
    return _saved(figure, suffix)


def class_scores(shares: dict[str, float], title: str, suffix: str = ".png") -> bytes:
    """Return a picture: a bar for each class, `shares` in [0, 1]."""
    figure = Figure(figsize=(6, 1.0 + 0.3 * len(shares)), layout="constrained")
    axes = figure.add_subplot()
    axes.barh(list(shares), [100 * share for share in shares.values()], color=_BLUE)
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("%")
    _titled(axes, title)
    axes.grid(axis="x", color="#dddddd")
    return _saved(figure, suffix)


def attention_map(weights: np.ndarray, text: str, answer: str, title: str) -> bytes:
    """Return a PNG of attention.

    Args:
        weights: (len(answer), len(text)) how much each position counted.
        text: what was read.
        answer: what was written.
        title: above the picture.
    """
    figure = Figure(figsize=(1.2 + 0.28 * len(text), 4.2), layout="constrained")
    axes = figure.add_subplot()
    shown = axes.imshow(weights, cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto")
    axes.set_xticks(range(len(text)), ["␣" if c == " " else c for c in text])
    axes.set_yticks(range(len(answer)), list(answer))
    axes.set_xlabel("read")
    axes.set_ylabel("written")
    _titled(axes, title)
    figure.colorbar(shown, ax=axes, label="weight")
    return _saved(figure)


def _times_of(matching: Matching) -> dict[str, list[float]]:
    """When each kind of mark is to be set, in seconds."""
    return {
        "hit": [d.time_s for _, d in matching.hits],
        "miss": [e.offset_s for e in matching.misses],
        "false accept": [d.time_s for d in matching.false_accepts],
    }


def _titled(axes: Axes, title: str) -> None:
    axes.set_title(printable(title), parse_math=False)


def _saved(figure: Figure, suffix: str = ".png") -> bytes:
    buffer = io.BytesIO()
    if suffix == ".svg":
        with matplotlib.rc_context({"svg.hashsalt": "wakebeam", "svg.fonttype": "none"}):
            FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None})
    else:
        FigureCanvasAgg(figure).print_png(buffer)
    return buffer.getvalue()
