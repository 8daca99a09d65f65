"""A data set's layout: which example lies in which shard, what a shard reports, the manifest.

Shard boundaries come from the recipe alone (target bytes), never from workers. A data set is
complete when its `manifest.json` exists, and only then.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeVar

from schemas.canonical import canonical_json, digest
from schemas.embedding import UNLABELLED
from schemas.errors import DatasetError
from schemas.recipe import SPLITS, Recipe
from schemas.units import seconds_to_samples

MANIFEST_NAME = "manifest.json"
MANIFEST_VERSION = 3
MOST_SHARDS = 10_000
FOLDERS = (*SPLITS, UNLABELLED)
"""Of shards: no data set has others."""

_Made = TypeVar("_Made")
_RECORD_OVERHEAD_BYTES = 4096


@dataclass(frozen=True, slots=True, order=True)
class ShardSpec:
    """The examples [start, stop) of a split that make up one shard."""

    split: str
    shard_index: int
    num_shards: int
    start: int
    stop: int

    @property
    def name(self) -> str:
        """Path inside the data set: `train/train-00000-of-00012.tfrecord`."""
        return f"{self.split}/{self.split}-{self.shard_index:05d}-of-{self.num_shards:05d}.tfrecord"


def plan_shards(
    recipe: Recipe, first_example: Mapping[str, int] | None = None
) -> tuple[ShardSpec, ...]:
    """Divide each split into shards of about `dataset.shard_bytes`, sizes differing by at most 1.

    The size of an example is taken as its PCM bytes plus a fixed allowance, whatever the encoding.
    A split has MOST_SHARDS at most, and larger ones instead: so the manifest, the list of shards
    and the reports stay small however many examples there are.

    Args:
        recipe: how many examples, how long, how large a shard.
        first_example: {split: index of its first example}, where earlier generations have others.
    """
    samples = seconds_to_samples(recipe.scene.duration_s, recipe.sample_rate_hz)
    per_shard = max(1, recipe.dataset.shard_bytes // (2 * samples + _RECORD_OVERHEAD_BYTES))
    return divided(recipe.dataset.num_examples.model_dump(), per_shard, first_example)


def divided(
    num_examples: Mapping[str, int],
    per_shard: int,
    first_example: Mapping[str, int] | None = None,
) -> tuple[ShardSpec, ...]:
    """Divide {split: examples} into shards of `per_shard` or less, MOST_SHARDS of them at most."""
    specs = []
    for split in SPLITS:
        total = num_examples[split]
        first = (first_example or {}).get(split, 0)
        num_shards = min(-(-total // per_shard), MOST_SHARDS)
        for i in range(num_shards):
            start, stop = i * total // num_shards, (i + 1) * total // num_shards
            specs.append(ShardSpec(split, i, num_shards, first + start, first + stop))
    return tuple(specs)


@dataclass(frozen=True, slots=True)
class SceneReject:
    """An example that could not be made, and why."""

    example_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class RecordReject:
    """A record that was left out.

    Attributes:
        place: file and number, or the id that was there before.
        reason: one of a few; they are counted.
        detail: what was found.
    """

    place: str
    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ShardReport:
    """What became of one shard; the only thing that travels between workers.

    Attributes:
        name, split, shard_index: which; without a split it is of something else that had to be
            made first.
        status: `failed` if it isn't there.
        num_examples, num_bytes, crc32c: of the file.
        counts_json: of what, says pipeline/shard_counts.py; as text, since a worker holds the
            reports of all its shards until the end, and as dicts they would fill it.
        rejects: examples that are left out.
        reused: kept from an earlier run.
        error: why it failed.
        seconds: that making it took.
    """

    name: str
    split: str
    shard_index: int
    status: Literal["done", "failed"]
    num_examples: int = 0
    num_bytes: int = 0
    crc32c: str = ""
    counts_json: str = "{}"
    rejects: tuple[SceneReject | RecordReject, ...] = ()
    reused: bool = False
    error: str = ""
    seconds: float = 0.0

    @property
    def counts(self) -> Mapping[str, Mapping[str, int]]:
        """{name: {key: number}}."""
        return dict(json.loads(self.counts_json))


@dataclass(frozen=True, slots=True)
class ShardEntry:
    """A shard as the manifest lists it. `crc32c` is of the whole file, eight hex digits."""

    name: str
    split: str
    num_examples: int
    num_bytes: int
    crc32c: str


@dataclass(frozen=True, slots=True)
class AnyManifest:
    """What manifests of any kind can do; each is a dataclass of its own."""

    def identity(self) -> str:
        """Return the SHA-256 of all but `run`, `software` and `name`: equal for equal data sets.

        Shards have their checksums in it, so which release made the same bytes is no matter.
        """
        value = asdict(self)
        for key in ("run", "software", "name"):
            del value[key]
        return digest(value)

    def to_json(self) -> str:
        """Return the manifest as indented JSON with sorted keys."""
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"


@dataclass(frozen=True, slots=True)
class Manifest(AnyManifest):
    """`manifest.json`. All but `run` is a pure function of recipe and bank.

    Attributes:
        recipe_digest: content digest, also in every record.
        content: what that digest covers.
        name, labels, sample_rate_hz, example_samples: what a trainer needs.
        shards: in order of split and index.
        counts: by split, what pipeline/shard_counts.py counts.
        num_rejected: by split, examples that could not be made; rejects.jsonl names them.
        first_example: by split, the index of its first example.
        follows: identity of the generation before this one; empty for the first.
        material: clips, groups and licences by role and split.
        software: versions that made the bytes.
        run: when and how it was made, and which files could not be used; the only part that may
            differ between equal data sets.
    """

    recipe_digest: str
    content: Mapping[str, Any]
    name: str
    labels: tuple[str, ...]
    sample_rate_hz: int
    example_samples: int
    encoding: str
    shards: tuple[ShardEntry, ...]
    counts: Mapping[str, Mapping[str, Mapping[str, int]]]
    num_rejected: Mapping[str, int]
    first_example: Mapping[str, int]
    follows: str
    material: Mapping[str, Any]
    software: Mapping[str, str]
    run: Mapping[str, Any]
    version: int = MANIFEST_VERSION

    def changes(self, recipe: Recipe) -> list[str]:
        """Name what in `recipe` differs from what this data set was made from; its bank aside."""
        return changes_between(self.content, recipe.content(str(self.content.get("bank"))))

    def num_examples(self, split: str) -> int:
        """Return the number of examples of `split`."""
        return sum(shard.num_examples for shard in self.shards if shard.split == split)

    def planned_examples(self, split: str) -> int:
        """Return how many examples of `split` were asked for, those that failed included."""
        return self.num_examples(split) + self.num_rejected[split]

    @classmethod
    def from_json(cls, text: str, *, where: str) -> Manifest:
        """Parse a manifest.

        Args:
            text: contents of the file.
            where: its path, for messages.

        Raises:
            DatasetError: not JSON, fields missing or of another version.
        """
        return parsed_manifest(
            lambda **value: cls(**value | {"labels": tuple(value["labels"])}),
            text,
            where=where,
            version=MANIFEST_VERSION,
        )


def parsed_manifest(make: Callable[..., _Made], text: str, *, where: str, version: int) -> _Made:
    """Parse any manifest; `make` takes its values by name, `shards` as entries.

    Raises:
        DatasetError: not JSON, fields missing or of another version.
    """
    try:
        value = json.loads(text)
        if value["version"] != version:
            raise ValueError(f"version {value['version']!r} is not known")
        value["shards"] = tuple(ShardEntry(**entry) for entry in value["shards"])
        return make(**value)
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            f"{where} is not a manifest that this release can read ({error})",
            expected=f"a data set manifest of version {version}",
            fix="make the data set again with `wakebeam synth --overwrite`",
        ) from error


def not_complete(location: str, instead: str = "") -> DatasetError:
    """Return the error of a data set that no manifest closes; `instead` is one that was meant."""
    return DatasetError(
        f"{location} has no {MANIFEST_NAME}",
        expected="a complete data set",
        fix=f"name {instead}" if instead else "run `wakebeam synth` to make or finish it",
    )


def located_shards(
    folder: str, shards: Iterable[ShardEntry], split: str
) -> tuple[tuple[str, ShardEntry], ...]:
    """Return (path or URI, entry) of each shard of `split` in a folder."""
    root = folder.rstrip("/")
    return tuple((f"{root}/{shard.name}", shard) for shard in shards if shard.split == split)


def changes_between(old: Any, new: Any) -> list[str]:
    """Name the places at which two JSON values differ, each with both values."""
    return list(_changes(old, new))


def _changes(old: Any, new: Any, place: str = "") -> Iterator[str]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            yield from _changes(old.get(key), new.get(key), f"{place}.{key}".lstrip("."))
    elif canonical_json(old) != canonical_json(new):
        yield f"{place}: {json.dumps(old)} → {json.dumps(new)}"
