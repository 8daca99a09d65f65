"""A data set as its readers see it: one or more generations, each whole.

Generation 0 lies in the data set's folder; each one that was appended lies in a folder of its own
in it, `generation-0001` and on, and is a data set in itself: shards, job.json, manifest.json last.
Its manifest names the identity of the one before it, so the last manifest's identity stands for
the whole chain. A generation that isn't closed by a manifest isn't there for readers, and a plain
`OUT/SPLIT/*.tfrecord` reads generation 0 whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from schemas.canonical import digest
from schemas.dataset import MANIFEST_NAME, Manifest, ShardEntry, located_shards, not_complete
from schemas.errors import DatasetError
from schemas.recipe import SPLITS


class ShardedSet(Protocol):
    """What a reader of shards must know of a set of records."""

    @property
    def location(self) -> str:
        """Folder or URI."""

    def num_examples(self, split: str) -> int:
        """Return the number of examples of `split`."""

    def shards(self, split: str) -> Sequence[tuple[str, ShardEntry]]:
        """Return (path or URI, entry) of each shard of `split`."""


def generation_folder(location: str, number: int) -> str:
    """Return the folder or URI of a generation of the data set at `location`."""
    location = location.rstrip("/") or "/"
    return location if number == 0 else f"{location}/generation-{number:04d}"


@dataclass(frozen=True)
class StoredDataset:
    """All complete generations of a data set.

    Attributes:
        location: folder or URI.
        manifests: one a generation, oldest first; never empty.
    """

    location: str
    manifests: tuple[Manifest, ...]

    @classmethod
    def read(cls, location: str, read_text: Callable[[str], str | None]) -> StoredDataset:
        """Read the manifests of a data set.

        Args:
            location: folder or URI.
            read_text: path → contents, or None where there is no such file.

        Raises:
            DatasetError: it isn't complete, or a generation belongs to another data set.
        """
        manifests: list[Manifest] = []
        while True:
            path = f"{generation_folder(location, len(manifests))}/{MANIFEST_NAME}"
            text = read_text(path)
            if text is None:
                after = f"{generation_folder(location, len(manifests) + 1)}/{MANIFEST_NAME}"
                if manifests and read_text(after) is not None:
                    raise DatasetError(
                        f"{path} is missing, and {after} follows it",
                        expected="an unbroken chain of generations",
                        fix="bring it back from a copy, or move the later generations away",
                    )
                break
            manifest = Manifest.from_json(text, where=path)
            before = manifests[-1].identity() if manifests else ""
            if manifest.follows != before:
                raise DatasetError(
                    f"{path} follows a data set {manifest.follows[:16] or '(none)'}",
                    expected=f"{before[:16] or 'the first generation'}",
                    fix="it was appended to another data set: move its folder away",
                )
            manifests.append(manifest)
        if not manifests:
            inside = f"{location.rstrip('/')}/data"  # of a recipe's folder
            there = read_text(f"{inside}/{MANIFEST_NAME}") is not None
            raise not_complete(location, inside if there else "")
        return cls(location, tuple(manifests))

    @property
    def first(self) -> Manifest:
        """The manifest of generation 0; later ones have its rate, length, encoding and labels."""
        return self.manifests[0]

    @property
    def labels(self) -> tuple[str, ...]:
        """The keywords."""
        return self.first.labels

    @property
    def sample_rate_hz(self) -> int:
        """Of every example."""
        return self.first.sample_rate_hz

    @property
    def example_samples(self) -> int:
        """Length of every example."""
        return self.first.example_samples

    @property
    def encoding(self) -> str:
        """`pcm16` or `flac`."""
        return self.first.encoding

    def generations(self) -> Iterator[tuple[str, Manifest]]:
        """Yield (folder or URI, manifest), oldest first."""
        for number, manifest in enumerate(self.manifests):
            yield generation_folder(self.location, number), manifest

    def num_examples(self, split: str) -> int:
        """Return the number of examples of `split`, in all generations."""
        return sum(manifest.num_examples(split) for manifest in self.manifests)

    def num_rejected(self) -> int:
        """Return how many examples could not be made, in all generations and splits."""
        return sum(sum(manifest.num_rejected.values()) for manifest in self.manifests)

    def shards(self, split: str) -> tuple[tuple[str, ShardEntry], ...]:
        """Return (path or URI, entry) of each shard of `split`, oldest generation first."""
        return tuple(
            shard
            for folder, manifest in self.generations()
            for shard in located_shards(folder, manifest.shards, split)
        )

    def next_example(self) -> dict[str, int]:
        """Return {split: index of the first example that doesn't exist yet}."""
        last = self.manifests[-1]
        return {split: last.first_example[split] + last.planned_examples(split) for split in SPLITS}

    def generation_of(self, split: str, index: int) -> int:
        """Return which generation has made, or would make, an example."""
        number = 0
        for later, manifest in enumerate(self.manifests):
            if manifest.planned_examples(split) and manifest.first_example[split] <= index:
                number = later
        return number

    def licences(self) -> Mapping[str, int]:
        """Return {licence: clips}; of clips that several generations share, once."""
        most: dict[str, int] = {}
        for manifest in self.manifests:
            for licence, clips in manifest.material["licences"].items():
                most[licence] = max(most.get(licence, 0), clips)
        return dict(sorted(most.items()))

    def identity(self) -> str:
        """Return a SHA-256 that is equal for equal data sets, generation by generation."""
        return self.manifests[-1].identity()

    def split_identity(self, split: str) -> str:
        """Return a SHA-256 of one split's shards: scenes appended to others don't change it."""
        return digest([[e.num_examples, e.crc32c] for _, e in StoredDataset.shards(self, split)])
