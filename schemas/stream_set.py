"""A stream set: long recordings made from one split, and all that is known of what sounds in them.

A folder holds `stream-000.wav` and on (16-bit mono), for each the keywords as Audacity labels
(`.txt`) and the other events (`.others.txt`), and `stream-set.json`, written last: there is a
stream set only where it lies. Times are integer samples of the file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from schemas.canonical import digest
from schemas.errors import DatasetError, RequestError
from schemas.recipe import SPLITS

STREAM_SET_NAME = "stream-set.json"
STREAM_SET_VERSION = 1
"""Raised whenever the same options make other bytes."""

MOST_KEYWORDS_PER_HOUR = 500.0
_MOST_HOURS = 900.0


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """What a stream set shall be like.

    Attributes:
        hours: of all files together.
        seed: of every choice.
        split: whose clips are heard.
        snr_db: range of the events' active level over the background under them.
        keywords_per_hour: on average; 0 for a stream in which every detection is wrong.
        background_dbfs: level of the backgrounds, around which they drift.
        file_s: length of each file but the last, seconds.
    """

    hours: float
    seed: int
    split: str = "test"
    snr_db: tuple[float, float] = (10.0, 10.0)
    keywords_per_hour: float = 80.0
    background_dbfs: float = -35.0
    file_s: float = 3600.0

    def __post_init__(self) -> None:
        bounds = (
            ("hours", self.hours, 0.01, _MOST_HOURS),
            ("seed", self.seed, 0, 2**63 - 1),
            ("snr, low", self.snr_db[0], -20.0, 60.0),
            ("snr, high", self.snr_db[1], self.snr_db[0], 60.0),
            ("keywords-per-hour", self.keywords_per_hour, 0.0, MOST_KEYWORDS_PER_HOUR),
            ("level", self.background_dbfs, -90.0, -20.0),
            ("file length", self.file_s, 30.0, 3600.0),
        )
        for name, value, low, high in bounds:
            if not low <= value <= high:
                raise RequestError(f"{name} {value:g}", expected=f"{low:g} to {high:g}")
        if self.split not in SPLITS:
            raise RequestError(f"split {self.split!r}", expected=" or ".join(SPLITS))


@dataclass(frozen=True, slots=True)
class UsedClip:
    """A clip that is heard in a stream set, as the check for leaks needs it.

    Attributes:
        clip_id, role, kind, label, num_samples, peak, content_sha256, shared: as in Clip.
        speaker: its group: speaker or source.
        samples_sha256: of its int16 samples, so that a copy in another file is known.
        uses: how often it is heard.
    """

    clip_id: str
    role: str
    kind: str
    label: str
    speaker: str
    num_samples: int
    peak: int
    content_sha256: str
    samples_sha256: str
    shared: bool
    uses: int


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """An event as it was rendered: [onset, onset + length) in samples of its file.

    `clip` is the clip's id; `gain_db` what it was scaled by; `snr_db` what it reached.
    """

    onset_samples: int
    num_samples: int
    clip: str
    gain_db: float
    snr_db: float


@dataclass(frozen=True, slots=True)
class StreamFile:
    """One recording of a stream set; `sha256` is of the whole WAV file."""

    name: str
    num_samples: int
    sha256: str
    events: tuple[StreamEvent, ...]


@dataclass(frozen=True, slots=True)
class StreamSet:
    """`stream-set.json`. All but `software` is a function of options, recipe and bank.

    Attributes:
        name: of the recipe.
        made_from: all that decides the bytes: options, splits, labels, bank.
        recipe_digest: of recipe and bank, as examples carry it; its scenes play no part here.
        labels, sample_rate_hz: the keywords, and the rate of the files.
        counts: what is in it; pipeline/stream_writer.py says what is counted.
        leak_check: against which splits, and how many clips of each; none of them is heard here.
        clips: every clip that is heard, sorted by id.
        files: in order.
        software: versions that made it.
    """

    name: str
    made_from: Mapping[str, Any]
    recipe_digest: str
    labels: tuple[str, ...]
    sample_rate_hz: int
    counts: Mapping[str, Any]
    leak_check: Mapping[str, Any]
    clips: tuple[UsedClip, ...]
    files: tuple[StreamFile, ...]
    software: Mapping[str, str]
    version: int = STREAM_SET_VERSION

    @property
    def hours(self) -> float:
        """Of all files together."""
        return sum(file.num_samples for file in self.files) / self.sample_rate_hz / 3600.0

    def identity(self) -> str:
        """Return a SHA-256 that is equal for equal stream sets; the bytes of all files count."""
        value = asdict(self)
        del value["software"], value["name"], value["recipe_digest"]
        return digest(value)

    def to_json(self) -> str:
        """Return the file's contents: sorted keys, a line for each event and clip."""
        value = asdict(self)
        rows = {"clips": value.pop("clips"), "files": value.pop("files")}
        head = json.dumps(value, indent=1, sort_keys=True)[:-2]
        clips = ",\n".join(f"  {json.dumps(row, sort_keys=True)}" for row in rows["clips"])
        files = ",\n".join(_file_json(row) for row in rows["files"])
        return f'{head},\n "clips": [\n{clips}\n ],\n "files": [\n{files}\n ]\n}}\n'

    @classmethod
    def from_json(cls, text: str, *, where: str) -> StreamSet:
        """Parse `stream-set.json`.

        Raises:
            DatasetError: not JSON, fields missing or of another version.
        """
        try:
            value = json.loads(text)
            if value["version"] != STREAM_SET_VERSION:
                raise ValueError(f"version {value['version']!r} is not known")
            value["labels"] = tuple(value["labels"])
            value["clips"] = tuple(UsedClip(**row) for row in value["clips"])
            value["files"] = tuple(stream_file(row) for row in value["files"])
            return cls(**value)
        except (ValueError, KeyError, TypeError) as error:
            raise DatasetError(
                f"{where} is not a stream set that this release can read ({error})",
                fix="make it again with `wakebeam stream-set --overwrite`",
            ) from error


def stream_file(row: Mapping[str, Any]) -> StreamFile:
    """Rebuild a file's entry from parsed JSON."""
    events = tuple(StreamEvent(**event) for event in row["events"])
    return StreamFile(**{**row, "events": events})


def _file_json(row: Mapping[str, Any]) -> str:
    events = ",\n".join(f"    {json.dumps(event, sort_keys=True)}" for event in row["events"])
    rest = json.dumps({k: v for k, v in row.items() if k != "events"}, sort_keys=True)[:-1]
    return f'  {rest}, "events": [\n{events}\n   ]}}'
