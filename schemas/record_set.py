"""A data set of a task other than detection: shards by split, closed by a manifest.

The manifest is written last. Its identity is that of the content: it stands for recipe, material
and the checksums of the shards, whoever made them, wherever they lie.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from schemas.dataset import (
    MANIFEST_NAME,
    AnyManifest,
    ShardEntry,
    changes_between,
    located_shards,
    not_complete,
    parsed_manifest,
)
from schemas.errors import DatasetError

RECORDS_VERSION = 2


@dataclass(frozen=True, slots=True)
class RecordManifest(AnyManifest):
    """`manifest.json` of a task. All but `run` is a pure function of recipe and material.

    Attributes:
        task: which.
        name: of the recipe.
        recipe_digest: of `content`.
        content: what decides the records: the recipe's part, and what else.
        shards: in order of split and index; those without a record aren't there.
        counts: by split: what is counted → key → how often.
        rejects: {reason: records that were left out}; rejects.jsonl names them.
        software: versions that made the bytes.
        run: when and how; the only part that may differ between equal data sets.
    """

    task: str
    name: str
    recipe_digest: str
    content: Mapping[str, Any]
    shards: tuple[ShardEntry, ...]
    counts: Mapping[str, Mapping[str, Mapping[str, int]]]
    rejects: Mapping[str, int]
    software: Mapping[str, str]
    run: Mapping[str, Any]
    version: int = RECORDS_VERSION

    def changes(self, wanted: Mapping[str, Any]) -> list[str]:
        """Name what differs in the recipe's part of the content, `wanted` being the new one."""
        return changes_between({key: self.content.get(key) for key in wanted}, wanted)

    @classmethod
    def from_json(cls, text: str, *, where: str) -> RecordManifest:
        """Parse a manifest; `where` is its path, for messages.

        Raises:
            DatasetError: not JSON, of something else or of another version.
        """
        return parsed_manifest(cls, text, where=where, version=RECORDS_VERSION)


@dataclass(frozen=True, slots=True)
class RecordSet:
    """A complete set of records and where it lies."""

    location: str
    manifest: RecordManifest

    @classmethod
    def read(cls, location: str, read_text: Callable[[str], str | None], *, task: str) -> RecordSet:
        """Read the manifest in a folder or at a URI.

        Args:
            location: of the set.
            read_text: path → contents, or None where there is no such file.
            task: whose set it must be.

        Raises:
            DatasetError: it isn't complete, its manifest is damaged, or it is another task's.
        """
        path = f"{location.rstrip('/')}/{MANIFEST_NAME}"
        text = read_text(path)
        if text is None:
            raise not_complete(location)
        manifest = RecordManifest.from_json(text, where=path)
        if manifest.task != task:
            raise DatasetError(
                f"{location} is a data set of the task {manifest.task}",
                expected=f"one of the task {task}",
            )
        return cls(location, manifest)

    @property
    def counts(self) -> Mapping[str, Mapping[str, Mapping[str, int]]]:
        """The manifest's."""
        return self.manifest.counts

    def require_made_from(self, wanted: Mapping[str, Any]) -> None:
        """Refuse a set whose recipe's part of the content isn't `wanted`.

        Raises:
            DatasetError: it was made from another recipe.
        """
        changes = self.manifest.changes(wanted)
        if changes:
            raise DatasetError(
                f"{self.location} was made from another recipe: {'; '.join(changes[:5])}",
                expected="a data set of this recipe",
                fix="run `wakebeam synth --overwrite` first, or change the recipe back",
            )

    def identity(self) -> str:
        """Return a SHA-256 that is equal for equal content."""
        return self.manifest.identity()

    def generations(self) -> Iterator[tuple[str, RecordManifest]]:
        """Yield (folder or URI, manifest) of all there is: one."""
        yield self.location, self.manifest

    def num_examples(self, split: str) -> int:
        """Return the number of records of `split`."""
        return sum(entry.num_examples for _, entry in self.shards(split))

    def shards(self, split: str) -> tuple[tuple[str, ShardEntry], ...]:
        """Return (path or URI, entry) of each shard of `split`."""
        return located_shards(self.location, self.manifest.shards, split)
