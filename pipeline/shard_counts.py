"""What a shard holds, in counts that add up: the summary of a data set is their sum.

Every count comes from what a record stores, so a shard that was kept from an earlier run is counted
as one that was just made. Their size does not grow with the number of examples.

| name | key | counts |
|---|---|---|
| `events_by_kind`, `events_by_label` | kind, label | events |
| `samples_by_label` | label | samples that lie within events |
| `events_per_scene` | number | scenes |
| `snr_db` | lower edge of 1 dB | events |
| `position` | 0 … 19, twentieth of the scene | onsets |
| `duration_s` | lower edge of 0.1 s | events |
| `scene_dbfs` | lower edge of 1 dB, `silent` | scenes, by the RMS of their audio |
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from pipeline.mixing import integer_energy
from schemas.example import LabelledEvent
from schemas.units import FULL_SCALE

Pcm = npt.NDArray[np.int16]
Counts = Mapping[str, Mapping[str, int]]
PLANNED_NAMES = (
    "events_by_kind",
    "events_by_label",
    "samples_by_label",
    "events_per_scene",
    "position",
    "duration_s",
)
"""What a plan decides: a plan's counts (plan_counts.py) have these too, and alike."""

NAMES = (*PLANNED_NAMES, "snr_db", "scene_dbfs")
NUM_POSITIONS = 20
_NUMBER = re.compile(r"-?\d{1,9}(\.\d)?")


class Event(Protocol):
    """What is counted of an event, planned or stored."""

    @property
    def label(self) -> str:
        """Class."""

    @property
    def kind(self) -> str:
        """Such as `keyword` or `speech`."""

    @property
    def onset_samples(self) -> int:
        """First sample."""

    @property
    def offset_samples(self) -> int:
        """First sample after it."""


def count_events(
    counters: Mapping[str, Counter[str]],
    events: Sequence[Event],
    num_samples: int,
    sample_rate_hz: int,
) -> None:
    """Add the events of one scene of `num_samples` to what counts PLANNED_NAMES."""
    by_kind, by_label = counters["events_by_kind"], counters["events_by_label"]
    samples, position = counters["samples_by_label"], counters["position"]
    duration_s = counters["duration_s"]
    for event in events:
        onset, label = event.onset_samples, event.label
        length = event.offset_samples - onset
        tenths = 10 * length // sample_rate_hz
        by_kind[event.kind] += 1
        by_label[label] += 1
        samples[label] += length
        position[str(NUM_POSITIONS * onset // num_samples)] += 1
        duration_s[f"{tenths // 10}.{tenths % 10}"] += 1
    counters["events_per_scene"][str(len(events))] += 1


class ShardCounts:
    """Counts of the examples that were added."""

    def __init__(self) -> None:
        self._counters: dict[str, Counter[str]] = {name: Counter() for name in NAMES}

    def add(self, audio: Pcm, sample_rate_hz: int, events: Sequence[LabelledEvent]) -> None:
        """Count one example; `audio` is (num_samples,) int16."""
        count_events(self._counters, events, len(audio), sample_rate_hz)
        for event in events:
            # The record stores float32.
            snr_db = math.floor(float(np.float32(event.snr_db)))
            self._counters["snr_db"][str(snr_db)] += 1
        energy = integer_energy(audio)
        level = "silent"
        if energy:
            power_dbfs = 10.0 * math.log10(energy / len(audio) / FULL_SCALE**2)
            level = str(math.floor(round(power_dbfs, 6)))
        self._counters["scene_dbfs"][level] += 1

    def to_json(self) -> dict[str, dict[str, int]]:
        """Return the counts, keys in the order of their values."""
        return in_order(self._counters)


def summed(counts: Iterable[Counts]) -> dict[str, dict[str, int]]:
    """Return the sum of counts, whatever their order."""
    return in_order(added(counts, NAMES))


def added(counts: Iterable[Counts], names: Sequence[str]) -> dict[str, Counter[str]]:
    """Return the sum of counts of those names, keys in any order."""
    total: dict[str, Counter[str]] = {name: Counter() for name in names}
    for one in counts:
        for name in names:
            total[name].update(one.get(name, {}))
    return total


def in_order(counts: Counts) -> dict[str, dict[str, int]]:
    """Return counts with their keys in the order of their values."""
    return {name: dict(sorted(c.items(), key=_order)) for name, c in counts.items()}


def _order(item: tuple[str, int]) -> tuple[float, str]:
    """Numbers by their value, then words."""
    return (float(item[0]), "") if _NUMBER.fullmatch(item[0]) else (math.inf, item[0])
