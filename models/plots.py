"""Pictures, without a display and without matplotlib's global state."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy.stats import norm

from models.event_matching import Matching
from models.operating_points import OperatingPoint, threshold_text
from schemas.detection import Detection, ReferenceEvent

_DET_ACCEPTS = np.array([0.1, 0.5, 2, 10, 50, 200, 1000]) / 3600
_DET_MISSES = np.array([0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95])
_BLUE, _ORANGE, _GREEN, _RED, _GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#777777"


def miss_curve(points: Sequence[OperatingPoint], chosen: OperatingPoint, title: str) -> bytes:
    """Return a PNG: miss rate against false accepts per hour, the operating point marked."""
    figure = Figure(figsize=(6, 4.2), layout="constrained")
    axes = figure.add_subplot()
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
    axes.set_title(title, parse_math=False)
    axes.grid(color="#dddddd")
    axes.legend()
    return _png(figure)


def det_curve(points: Sequence[OperatingPoint], chosen: OperatingPoint, title: str) -> bytes:
    """Return a PNG of the detection error trade-off: both rates on normal-deviate axes.

    The probability of a false accept is by second of audio without a keyword's onset, as in NIST's
    evaluation of spoken term detection (2006), where every second is a trial. Rates of 0 and 1 lie
    at the edges. Source of the axes: Martin et al., Eurospeech 1997.
    """
    figure = Figure(figsize=(6, 4.2), layout="constrained")
    axes = figure.add_subplot()
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
    axes.set_title(f"DET, {title}", parse_math=False)
    axes.grid(color="#dddddd")
    axes.legend()
    return _png(figure)


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
) -> bytes:
    """Return a PNG of a stretch of sound: spectrogram, score over time, what was and was found.

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
    top.set_title(title, parse_math=False)
    for event in events:
        keyword = event.kind == "keyword"
        colour = _GREEN if keyword else _GREY
        bottom.axvspan(event.onset_s, event.offset_s, color=colour, alpha=0.45 if keyword else 0.2)
    bottom.plot(times_s, scores, color=_BLUE, linewidth=1.0)
    bottom.axhline(threshold, color=_ORANGE, linestyle="--", linewidth=1.0)
    marks = [([d.time_s for d in detections], "v", _BLUE)]
    if matching is not None:
        marks += [
            ([d.time_s for _, d in matching.hits], "v", _GREEN),
            ([e.offset_s for e in matching.misses], "x", _RED),
            ([d.time_s for d in matching.false_accepts], "^", _RED),
        ]
    for places, marker, colour in marks:
        bottom.plot(places, [1.08] * len(places), marker, color=colour, clip_on=False)
    bottom.set_ylim(0, 1.15)
    bottom.set_xlim(0, len(audio) / sample_rate_hz)
    bottom.set_ylabel("score")
    known = "green span: keyword, grey: other speech, ▾ hit, x miss, ▴ false accept"
    bottom.set_xlabel(f"seconds    dashes: threshold, {known if matching else '▾ detection'}")
    return _png(figure)


def class_scores(shares: dict[str, float], title: str) -> bytes:
    """Return a PNG: a bar for each class, `shares` in [0, 1]."""
    figure = Figure(figsize=(6, 1.0 + 0.3 * len(shares)), layout="constrained")
    axes = figure.add_subplot()
    axes.barh(list(shares), [100 * share for share in shares.values()], color=_BLUE)
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("%")
    axes.set_title(title, parse_math=False)
    axes.grid(axis="x", color="#dddddd")
    return _png(figure)


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
    axes.set_title(title, parse_math=False)
    figure.colorbar(shown, ax=axes, label="weight")
    return _png(figure)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)
    return buffer.getvalue()
