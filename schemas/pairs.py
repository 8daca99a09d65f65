"""A data set of text pairs: what a record holds, and the manifest that closes the folder.

Records are `tf.train.Example`; their features' names are a contract with every reader.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from schemas.dataset import (
    ShardEntry,
    changes_between,
    located_shards,
    manifest_identity,
    manifest_json,
)
from schemas.errors import DatasetError
from schemas.recipe_dates import DatesRecipe

PAIRS_VERSION = 1
EXAMPLE_ID, TEXT, DATE, LOCALE, FORMAT = "example_id", "text", "date", "locale", "format"
RECIPE_DIGEST = "recipe_digest"


@dataclass(frozen=True, slots=True)
class DatePair:
    """One record.

    Attributes:
        example_id: `split/000000123`.
        text: as a model reads it: lower case, no commas.
        date: `YYYY-MM-DD`.
        locale, format: how it was written.
        recipe_digest: SHA-256 of the recipe's content, hexadecimal.
    """

    example_id: str
    text: str
    date: str
    locale: str
    format: str
    recipe_digest: str


@dataclass(frozen=True, slots=True)
class PairManifest:
    """`manifest.json` of pairs. All but `run` is a pure function of the recipe and Babel's data.

    Attributes:
        recipe_digest: of `content`, also in every record.
        content: what decides the pairs.
        name: of the recipe.
        shards: in order of split and index.
        counts: by split: `characters`, `lengths`, `writings` → key → how often.
        software: versions that made the bytes.
        run: when and how; the only part that may differ between equal data sets.
    """

    recipe_digest: str
    content: Mapping[str, Any]
    name: str
    shards: tuple[ShardEntry, ...]
    counts: Mapping[str, Mapping[str, Mapping[str, int]]]
    software: Mapping[str, str]
    run: Mapping[str, Any]
    kind: str = "text_pairs"
    version: int = PAIRS_VERSION

    def changes(self, recipe: DatesRecipe) -> list[str]:
        """Name what in `recipe` differs from what these pairs were made from."""
        return changes_between(self.content, recipe.content(str(self.content.get("babel"))))

    def identity(self) -> str:
        """Return the SHA-256 of all but `run`, `software` and `name`."""
        return manifest_identity(self)

    def to_json(self) -> str:
        """Return indented JSON with sorted keys."""
        return manifest_json(self)

    @classmethod
    def from_json(cls, text: str, *, where: str) -> PairManifest:
        """Parse a manifest; `where` is its path, for messages.

        Raises:
            DatasetError: not JSON, of something else or of another version.
        """
        try:
            value = json.loads(text)
            if (value["kind"], value["version"]) != ("text_pairs", PAIRS_VERSION):
                raise ValueError(f"kind {value['kind']!r}, version {value['version']!r}")
            value["shards"] = tuple(ShardEntry(**entry) for entry in value["shards"])
            return cls(**value)
        except (ValueError, KeyError, TypeError) as error:
            raise DatasetError(
                f"{where} is not a manifest of text pairs that this release can read ({error})",
                expected=f"text_pairs of version {PAIRS_VERSION}",
                fix="make the data again with `wakebeam synth RECIPE --overwrite`",
            ) from error


@dataclass(frozen=True, slots=True)
class StoredPairs:
    """A complete data set of pairs and where it lies."""

    location: str
    manifest: PairManifest

    def num_examples(self, split: str) -> int:
        """Return how many pairs a split has."""
        return sum(shard.num_examples for _, shard in self.shards(split))

    def shards(self, split: str) -> tuple[tuple[str, ShardEntry], ...]:
        """Return a split's shards, each with its path."""
        return located_shards(self.location, self.manifest.shards, split)

    def characters(self) -> str:
        """Return all characters of the training texts, sorted."""
        return "".join(sorted(self.manifest.counts["train"]["characters"]))
