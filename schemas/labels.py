"""Labels that people give to stretches of recordings, whatever file they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Label:
    """A stretch [onset_s, offset_s] of a recording and what it holds; of length 0, a point.

    Attributes:
        onset_s, offset_s: from the recording's start, in seconds.
        label: what it is; any text, also none.
        low_hz, high_hz: of a spectral selection; a bound that isn't there is None.
        confidence: of whoever labelled, or None.
        more: what else a table says of it, (column, text) each; None where it says nothing.
    """

    onset_s: float
    offset_s: float
    label: str
    low_hz: float | None = None
    high_hz: float | None = None
    confidence: float | None = None
    more: tuple[tuple[str, str], ...] | None = None


@dataclass(frozen=True, slots=True)
class JamsRest:
    """What a file of JAMS says besides labels and length.

    Attributes:
        whole: the file, without its annotations.
        annotation: of the labels, without its data; empty where there are several.
        num_annotations: that the labels are of.
        num_reworded: of the labels, had more than a text; `num_left_out` are backgrounds.
    """

    whole: Mapping[str, Any]
    annotation: Mapping[str, Any]
    num_annotations: int
    num_reworded: int
    num_left_out: int


@dataclass(frozen=True, slots=True)
class LabelledRecording:
    """The labels of one recording.

    Attributes:
        name: of the recording's file, as a table gives it, else after the file of labels.
        labels: sorted by onset.
        duration_s: of the recording, where the file says so.
        jams: what else a file of JAMS said; None where it was nothing.
    """

    name: str
    labels: tuple[Label, ...]
    duration_s: float | None = None
    jams: JamsRest | None = field(default=None, compare=False)
