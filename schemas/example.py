"""The stored example: names of its features are a contract with every reader of the shards.

A record carries truth (audio, strong events, the plan), never derived tensors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

EXAMPLE_ID = "example_id"
AUDIO_ENCODED = "audio/encoded"
AUDIO_ENCODING = "audio/encoding"
AUDIO_SAMPLE_RATE_HZ = "audio/sample_rate_hz"
AUDIO_NUM_SAMPLES = "audio/num_samples"
EVENTS_ONSET_SAMPLES = "events/onset_samples"
EVENTS_OFFSET_SAMPLES = "events/offset_samples"
EVENTS_LABEL = "events/label"
EVENTS_KIND = "events/kind"
EVENTS_SOURCE = "events/source"
EVENTS_GAIN_DB = "events/gain_db"
EVENTS_SNR_DB = "events/snr_db"
BACKGROUND_SOURCE = "background/source"
BACKGROUND_OFFSET_SAMPLES = "background/offset_samples"
BACKGROUND_GAIN_DB = "background/gain_db"
PLAN = "plan"
RECIPE_DIGEST = "recipe_digest"

BYTES_FEATURES = (
    EXAMPLE_ID,
    AUDIO_ENCODED,
    AUDIO_ENCODING,
    EVENTS_LABEL,
    EVENTS_KIND,
    EVENTS_SOURCE,
    BACKGROUND_SOURCE,
    PLAN,
    RECIPE_DIGEST,
)
INT64_FEATURES = (
    AUDIO_SAMPLE_RATE_HZ,
    AUDIO_NUM_SAMPLES,
    EVENTS_ONSET_SAMPLES,
    EVENTS_OFFSET_SAMPLES,
    BACKGROUND_OFFSET_SAMPLES,
)
FLOAT_FEATURES = (EVENTS_GAIN_DB, EVENTS_SNR_DB, BACKGROUND_GAIN_DB)
ENCODINGS = ("pcm16", "flac")


@dataclass(frozen=True, slots=True)
class LabelledEvent:
    """A strong event: the half-open range [onset, offset) of a sound with its class."""

    onset_samples: int
    offset_samples: int
    label: str
    kind: str
    source: str
    gain_db: float
    snr_db: float


@dataclass(frozen=True, slots=True)
class StoredExample:
    """One decoded record.

    Attributes:
        example_id: `split/000000123`.
        audio: (num_samples,) int16.
        sample_rate_hz: rate of `audio`.
        events: sorted by onset.
        background_sources: clip ids, with `background_offsets_samples` and `background_gains_db`
            for each.
        plan: canonical JSON of the ScenePlan.
        recipe_digest: SHA-256, hexadecimal.
    """

    example_id: str
    audio: npt.NDArray[np.int16]
    sample_rate_hz: int
    events: tuple[LabelledEvent, ...]
    background_sources: tuple[str, ...]
    background_offsets_samples: tuple[int, ...]
    background_gains_db: tuple[float, ...]
    plan: bytes
    recipe_digest: str
