"""Labels that people give to stretches of recordings, whatever file they come from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Label:
    """A stretch [onset_s, offset_s] of a recording and what it holds; of length 0, a point.

    Attributes:
        onset_s, offset_s: from the recording's start, in seconds.
        label: what it is; any text, also none.
        low_hz, high_hz: of a spectral selection; a bound that isn't there is None.
        confidence: of whoever labelled, or None.
    """

    onset_s: float
    offset_s: float
    label: str
    low_hz: float | None = None
    high_hz: float | None = None
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class LabelledRecording:
    """The labels of one recording.

    Attributes:
        name: of the recording's file, as a table gives it, else after the file of labels.
        labels: sorted by onset.
        duration_s: of the recording, where the file says so.
    """

    name: str
    labels: tuple[Label, ...]
    duration_s: float | None = None
