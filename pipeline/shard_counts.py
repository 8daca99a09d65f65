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
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from pipeline.mixing import integer_energy
from schemas.example import LabelledEvent
from schemas.units import FULL_SCALE

Pcm = npt.NDArray[np.int16]
Counts = Mapping[str, Mapping[str, int]]
NAMES = (
    "events_by_kind",
    "events_by_label",
    "samples_by_label",
    "events_per_scene",
    "snr_db",
    "position",
    "duration_s",
    "scene_dbfs",
)
NUM_POSITIONS = 20
_NUMBER = re.compile(r"-?\d{1,9}(\.\d)?")


class ShardCounts:
    """Counts of the examples that were added."""

    def __init__(self) -> None:
        self._counters: dict[str, Counter[str]] = {name: Counter() for name in NAMES}

    def add(self, audio: Pcm, sample_rate_hz: int, events: Iterable[LabelledEvent]) -> None:
        """Count one example; `audio` is (num_samples,) int16."""
        number = 0
        for event in events:
            number += 1
            num_samples = event.offset_samples - event.onset_samples
            self._counters["events_by_kind"][event.kind] += 1
            self._counters["events_by_label"][event.label] += 1
            self._counters["samples_by_label"][event.label] += num_samples
            # The record stores float32.
            snr_db = math.floor(float(np.float32(event.snr_db)))
            self._counters["snr_db"][str(snr_db)] += 1
            self._counters["position"][str(NUM_POSITIONS * event.onset_samples // len(audio))] += 1
            tenths = 10 * num_samples // sample_rate_hz
            self._counters["duration_s"][f"{tenths // 10}.{tenths % 10}"] += 1
        self._counters["events_per_scene"][str(number)] += 1
        energy = integer_energy(audio)
        level = "silent"
        if energy:
            power_dbfs = 10.0 * math.log10(energy / len(audio) / FULL_SCALE**2)
            level = str(math.floor(round(power_dbfs, 6)))
        self._counters["scene_dbfs"][level] += 1

    def to_json(self) -> dict[str, dict[str, int]]:
        """Return the counts, keys in the order of their values."""
        return {name: dict(sorted(c.items(), key=_order)) for name, c in self._counters.items()}


def summed(counts: Iterable[Counts]) -> dict[str, dict[str, int]]:
    """Return the sum of counts, whatever their order."""
    total: dict[str, Counter[str]] = {name: Counter() for name in NAMES}
    for one in counts:
        for name in NAMES:
            total[name].update(one.get(name, {}))
    return {name: dict(sorted(c.items(), key=_order)) for name, c in total.items()}


def _order(item: tuple[str, int]) -> tuple[float, str]:
    """Numbers by their value, then words."""
    return (float(item[0]), "") if _NUMBER.fullmatch(item[0]) else (math.inf, item[0])
