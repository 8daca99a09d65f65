"""Detections and reference events, the two sides of every judgement."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from schemas.errors import RequestError


@dataclass(frozen=True, slots=True)
class Detection:
    """A detector fired: `time_s` is when, `score` the event's peak in [0, 1]."""

    time_s: float
    label: str
    score: float


@dataclass(frozen=True, slots=True)
class ReferenceEvent:
    """What was really there: [onset_s, offset_s) with its class; used for matching only.

    `source` is the clip's id and `speaker` who or what made it; empty where that isn't known.
    """

    onset_s: float
    offset_s: float
    label: str
    kind: str = "keyword"
    snr_db: float = float("nan")
    source: str = ""
    speaker: str = ""


@dataclass(frozen=True, slots=True)
class SoundEvent:
    """A stretch [onset_s, offset_s) of one class: said to be there, or found with a peak `score`.

    Raises:
        RequestError: not 0 ≤ onset < offset < ∞.
    """

    onset_s: float
    offset_s: float
    label: str
    score: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.onset_s < self.offset_s < float("inf"):
            raise RequestError(
                f"an event {self.label} from {self.onset_s} to {self.offset_s} s",
                expected="0 <= onset < offset, both finite",
            )


@dataclass(frozen=True, slots=True)
class ScoredRecording:
    """A recording with its reference events and the detector's outputs, ready to judge.

    Attributes:
        name: example id or file name.
        duration_s: length of the audio judged.
        times_s: for output step j, when it is known (end of the audio that it has seen).
        scores: (num_steps, num_labels) float32 in [0, 1].
        events: everything placed in it, keywords and others, sorted by onset.
    """

    name: str
    duration_s: float
    times_s: npt.NDArray[np.float64] = field(repr=False)
    scores: npt.NDArray[np.float32] = field(repr=False)
    events: tuple[ReferenceEvent, ...] = ()
