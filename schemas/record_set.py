"""What a job for small records has made: shards by split, closed by a manifest.

The manifest is written last. Its identity is that of the content: it stands for the checksums of
the shards, whoever made them, wherever they lie.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from schemas.canonical import digest
from schemas.dataset import MANIFEST_NAME, ShardEntry, located_shards
from schemas.errors import DatasetError

_VERSION = 1


@dataclass(frozen=True)
class RecordSet:
    """A complete set.

    Attributes:
        location: folder or URI.
        entries: all shards, by split and number; shards without a record aren't there.
        counts: {split: {what: how many}}.
        rejects: {reason: records that were left out}.
        about: what else its task wants to know.
    """

    location: str
    entries: tuple[ShardEntry, ...]
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    rejects: Mapping[str, int] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, location: str, read_text: Callable[[str], str | None]) -> RecordSet:
        """Read the manifest in a folder or at a URI.

        Args:
            location: of the set.
            read_text: path → contents, or None where there is no such file.

        Raises:
            DatasetError: it isn't complete, or the manifest is damaged.
        """
        path = f"{location.rstrip('/')}/{MANIFEST_NAME}"
        text = read_text(path)
        if text is None:
            raise DatasetError(
                f"{location} has no {MANIFEST_NAME}",
                expected="a complete data set",
                fix="run `wakebeam synth` to make or finish it",
            )
        try:
            values = json.loads(text)
            entries = tuple(ShardEntry(**entry) for entry in values.pop("shards"))
            if values.pop("version") != _VERSION:
                raise ValueError("another version")
            return cls(location=location, entries=entries, **values)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise DatasetError(
                f"{path} is no manifest of records ({error})",
                fix="run `wakebeam synth --overwrite` to make the data set anew",
            ) from error

    def to_json(self) -> str:
        """Return what the manifest holds: the same text for the same content, wherever it lies."""
        values = asdict(self) | {"version": _VERSION}
        del values["location"]
        values["shards"] = values.pop("entries")
        return json.dumps(values, indent=1, sort_keys=True, allow_nan=False) + "\n"

    def identity(self) -> str:
        """Return a SHA-256 that is equal for equal content."""
        return digest([[entry.name, entry.crc32c, entry.num_bytes] for entry in self.entries])

    def num_examples(self, split: str) -> int:
        """Return the number of records of `split`."""
        return sum(entry.num_examples for _, entry in self.shards(split))

    def shards(self, split: str) -> tuple[tuple[str, ShardEntry], ...]:
        """Return (path or URI, entry) of each shard of `split`."""
        return located_shards(self.location, self.entries, split)
