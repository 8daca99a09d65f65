"""What is counted of a classifier: right and wrong, overall, by class and by group.

Rows of a confusion matrix are true classes, columns predicted ones. A share always comes with its
counts and its interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from models.intervals import share, wilson_by_group


def confusion_matrix(true: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    """Return (num_classes, num_classes) int64: [i, j] counts class i taken for class j."""
    matrix = np.zeros((num_classes, num_classes), np.int64)
    np.add.at(matrix, (true, predicted), 1)
    return matrix


def classification_report(
    true: np.ndarray,
    predicted: np.ndarray,
    class_names: Sequence[str],
    groups: Sequence[str] = (),
) -> dict[str, Any]:
    """Return accuracies overall, by class and by group, and the confusion matrix, for JSON.

    Args:
        true: (n,) class of each example.
        predicted: (n,) what it was taken for.
        class_names: in the order of the classes.
        groups: (n,) e.g. the speaker of each; with two or more an interval by them is added, as
            examples of one group are alike.
    """
    matrix = confusion_matrix(true, predicted, len(class_names))
    right = np.diag(matrix)
    report: dict[str, Any] = {
        "accuracy": share(int(right.sum()), len(true)),
        "class_names": list(class_names),
        "by_class": [
            {"class": name} | share(int(right[i]), int(matrix[i].sum()))
            for i, name in enumerate(class_names)
        ],
        "confusion": {"rows": "true", "columns": "predicted", "counts": matrix.tolist()},
    }
    if groups:
        names = np.asarray(groups)
        counts = {
            name: (int((true == predicted)[names == name].sum()), int((names == name).sum()))
            for name in sorted(set(groups))
        }
        report["by_group"] = [{"group": name} | share(*count) for name, count in counts.items()]
        if len(counts) > 1:
            report["accuracy"]["interval_by_group"] = list(wilson_by_group(list(counts.values())))
    return report


def confusion_text(values: dict[str, Any]) -> str:
    """Return the confusion matrix as a table for people."""
    names = values["class_names"]
    counts = values["confusion"]["counts"]
    width = max(5, *(len(name) + 1 for name in names))
    head = "true \\ predicted".ljust(18) + "".join(name.rjust(width) for name in names)
    rows = [
        name.ljust(18) + "".join(str(count).rjust(width) for count in row)
        for name, row in zip(names, counts, strict=True)
    ]
    return "\n".join([head, *rows])
