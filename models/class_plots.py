"""Pictures of a classifier's answers: every axis bears the class names, in the model's order."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

_BLUE, _ORANGE = "#0072B2", "#E69F00"


def draw_confusion(axes: Axes, matrix: np.ndarray, class_names: Sequence[str]) -> None:
    """Draw (classes, classes) counts: a row for each true class, a column for each predicted."""
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    for (i, j), count in np.ndenumerate(matrix):
        if count:
            colour = "white" if shares[i, j] > 0.5 else "black"
            axes.text(j, i, str(count), ha="center", va="center", color=colour, fontsize=8)
    places = range(len(class_names))
    axes.set_xticks(places, labels=_plain(class_names), rotation=45, ha="right")
    axes.set_yticks(places, labels=_plain(class_names))
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")


def draw_class_bars(
    axes: Axes, logits: np.ndarray, class_names: Sequence[str], true_class: int | None = None
) -> None:
    """Draw the softmax of (classes,) logits as bars, that of the true class in another colour."""
    powers = np.exp(logits - logits.max())
    colours = [_ORANGE if i == true_class else _BLUE for i in range(len(class_names))]
    axes.bar(range(len(class_names)), powers / powers.sum(), color=colours)
    axes.set_xticks(range(len(class_names)), labels=_plain(class_names), rotation=45, ha="right")
    axes.set_ylim(0, 1)
    axes.set_ylabel("softmax")


def confusion_picture(matrix: np.ndarray, class_names: Sequence[str], title: str) -> bytes:
    """Return a PNG of a confusion matrix."""
    figure = Figure(figsize=(6, 5.5), layout="constrained")
    axes = figure.add_subplot()
    draw_confusion(axes, matrix, class_names)
    axes.set_title(_plain([title])[0])
    return png(figure)


def report_picture(
    matrix: np.ndarray,
    class_names: Sequence[str],
    title: str,
    worst: tuple[str, int, np.ndarray] | None,
) -> bytes:
    """Return a PNG: the confusion matrix, and the answer to the clip that went most wrong.

    Args:
        matrix: (classes, classes) counts.
        class_names: in the model's order.
        title: above the matrix.
        worst: name, true class and (classes,) logits of a clip; None: all were right.
    """
    figure = Figure(figsize=(11, 5.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw_confusion(left, matrix, class_names)
    left.set_title(_plain([title])[0])
    if worst is None:
        right.set_axis_off()
    else:
        name, true_class, logits = worst
        draw_class_bars(right, logits, class_names, true_class)
        right.set_title(
            _plain([f"most wrong: {name}, truly {class_names[true_class]}"])[0], fontsize=9
        )
    return png(figure)


def png(figure: Figure) -> bytes:
    """Return a figure as PNG."""
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)
    return buffer.getvalue()


def _plain(texts: Sequence[str]) -> list[str]:
    """Keep matplotlib from taking a dollar in a name for mathematics."""
    return [text.replace("$", r"\$") for text in texts]
