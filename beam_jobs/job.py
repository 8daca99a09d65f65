"""What one run of the synthesis job makes: a generation of a data set; all that workers must know.

It is small, made of plain values and the same for every worker; from it and the clip bank alone
each of them derives the same shards.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from schemas.canonical import digest
from schemas.dataset import Manifest, ShardEntry, ShardSpec, plan_shards
from schemas.recipe import Recipe


class ClosingManifest(Protocol):
    """What any manifest can say."""

    @property
    def shards(self) -> Sequence[ShardEntry]:
        """All of them."""
        ...

    def to_json(self) -> str:
        """Return the file's text."""
        ...


class ShardJob(Protocol):
    """A job that fills a folder with shards, whatever is in them."""

    @property
    def out(self) -> str:
        """Folder or URI."""
        ...

    @property
    def recipe_digest(self) -> str:
        """Digest of all that decides the records."""
        ...

    @property
    def shards(self) -> tuple[ShardSpec, ...]:
        """All shards, in order of split and index."""
        ...

    @property
    def num_examples(self) -> int:
        """Examples in all shards; 0 where nobody knows before they are made."""
        ...

    @property
    def max_reject_fraction(self) -> float:
        """Share of the examples that may be left out."""
        ...

    @property
    def how_to_replace(self) -> str:
        """What to do where the folder holds something else."""
        ...

    @property
    def identity(self) -> dict[str, Any]:
        """What `job.json` holds; asked for once a shard."""
        ...

    def manifest(self, text: str, *, where: str) -> ClosingManifest:
        """Parse the text of a manifest that lies at `where`."""
        ...

    def changes_since(self, text: str, *, where: str) -> list[str]:
        """Name what in the recipe differs from what that manifest's data set was made from."""
        ...


def layout_digest(shards: Sequence[ShardSpec]) -> str:
    """Return a digest of which examples lie in which shard."""
    return digest([[shard.name, shard.start, shard.stop] for shard in shards])


@dataclass(frozen=True)
class SynthesisJob:
    """One generation in the making.

    Attributes:
        recipe_json: the recipe.
        bank: folder or URI of the clip bank.
        bank_digest: what it must hold.
        out: folder or URI of the generation.
        first_example: by split, the index of the first example; empty: 0.
        follows: identity of the generation before it; empty for the first.
        started_unix_s: for the manifest's `run`.
    """

    recipe_json: str
    bank: str
    bank_digest: str
    out: str
    first_example: Mapping[str, int] = field(default_factory=dict)
    follows: str = ""
    started_unix_s: float = field(default_factory=time.time)

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe."""
        return Recipe.model_validate_json(self.recipe_json)

    @cached_property
    def recipe_digest(self) -> str:
        """Content digest of recipe and bank, which every record carries."""
        return self.recipe.content_digest(self.bank_digest)

    @cached_property
    def shards(self) -> tuple[ShardSpec, ...]:
        """All shards, in order of split and index."""
        return plan_shards(self.recipe, self.first_example)

    @property
    def num_examples(self) -> int:
        """Examples in all shards."""
        return sum(shard.stop - shard.start for shard in self.shards)

    @property
    def max_reject_fraction(self) -> float:
        """Share of the scenes that may be left out."""
        return self.recipe.dataset.max_reject_fraction

    @property
    def how_to_replace(self) -> str:
        """What to do where the folder holds something else."""
        if self.follows:
            return "give the same command again that began it"
        return (
            "give the same --set again that it was made with; or --append N adds scenes of new "
            "material to it, --overwrite replaces it, dataset.out names another folder"
        )

    def manifest(self, text: str, *, where: str) -> Manifest:
        """Parse a manifest of scenes."""
        return Manifest.from_json(text, where=where)

    def changes_since(self, text: str, *, where: str) -> list[str]:
        """Name what in the recipe differs, its bank aside."""
        return self.manifest(text, where=where).changes(self.recipe)

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What `job.json` holds: digests of content and layout, scenes asked for."""
        values = {
            "recipe_digest": self.recipe_digest,
            "shards_digest": layout_digest(self.shards),
            "num_examples": self.recipe.dataset.num_examples.model_dump(),
        }
        return values | ({"follows": self.follows} if self.follows else {})
