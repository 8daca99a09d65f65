"""Any pair of a recipe, any time, alone: `source[i]` is what a shard holds at i, byte for byte.

A day is in one split by a stable hash of its ISO form, whatever seed and writings, so no day is
ever in two, however it is written. Pair i draws its day and its writing at its own address.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property

from pipeline import tf_example_pb2
from pipeline.date_writing import writings_of
from pipeline.randomness import Purpose, Streams
from pipeline.splits import split_of
from schemas.errors import DatasetError, RequestError
from schemas.pairs import DatePair
from schemas.recipe import SPLITS
from schemas.recipe_dates import DatesRecipe
from schemas.scene import example_id


def days_of(recipe: DatesRecipe) -> dict[str, list[str]]:
    """Return {split: its days as YYYY-MM-DD}, in order."""
    days: dict[str, list[str]] = {split: [] for split in SPLITS}
    for number in range(recipe.dates.first.toordinal(), recipe.dates.last.toordinal() + 1):
        day = datetime.date.fromordinal(number).isoformat()
        days[split_of(day, recipe.splits)].append(day)
    return days


@dataclass(frozen=True)
class PairExample:
    """A pair and the record that stores it."""

    pair: DatePair

    @cached_property
    def record(self) -> bytes:
        """A `tf.train.Example`, always the same bytes."""
        return encode_pair(self.pair)

    @property
    def pieces(self) -> tuple[bytes]:
        """The record, as a shard's writer takes it."""
        return (self.record,)


class DatePairSource(Sequence[PairExample]):
    """The pairs of a split.

    Args:
        recipe: what to write.
        split: whose days.
        recipe_digest: goes into the records.

    Raises:
        RecipeError: a format or locale can't be used.
        RequestError: pairs are wanted and the split has no day.
    """

    def __init__(self, recipe: DatesRecipe, split: str, recipe_digest: str) -> None:
        self._split, self._digest = split, recipe_digest
        self._num = int(getattr(recipe.dataset.num_examples, split))
        self._days = days_of(recipe)[split]
        self._writings = writings_of(recipe.dates)
        self._streams = Streams(recipe.seed, Purpose.DATE_PAIR, split)
        if self._num and not self._days:
            raise RequestError(
                f"no day from {recipe.dates.first} to {recipe.dates.last} is in {split}",
                expected="some days for each split that has pairs",
                fix="take more days, raise splits.… or ask for no pairs of that split",
            )

    def __len__(self) -> int:
        """Pairs that the recipe asks for; any other can be made as well."""
        return self._num

    def __getitem__(self, index: int) -> PairExample:  # type: ignore[override]
        """Make pair `index`, which may lie beyond the end."""
        draws = self._streams.at(index)
        day = self._days[draws.below(len(self._days))]
        writing = self._writings[draws.below(len(self._writings))]
        return PairExample(
            DatePair(
                example_id=example_id(self._split, index),
                text=writing.text(datetime.date.fromisoformat(day)),
                date=day,
                locale=writing.locale,
                format=writing.name,
                recipe_digest=self._digest,
            )
        )


class PairCounts:
    """What a shard of pairs holds, in counts that add up."""

    _NAMES = ("characters", "lengths", "writings")

    def __init__(self) -> None:
        self._counters: dict[str, Counter[str]] = {name: Counter() for name in self._NAMES}

    def add(self, pair: DatePair) -> None:
        """Count a pair."""
        self._counters["characters"].update(pair.text)
        self._counters["lengths"][str(len(pair.text))] += 1
        self._counters["writings"][f"{pair.locale} {pair.format}"] += 1

    def to_json(self) -> dict[str, dict[str, int]]:
        """Return {name: {key: number}}."""
        return {name: dict(sorted(counter.items())) for name, counter in self._counters.items()}


def encode_pair(pair: DatePair) -> bytes:
    """Serialise a pair; map entries are sorted by name."""
    features = tf_example_pb2.Example()
    for name, text in asdict(pair).items():
        features.features.feature[name].bytes_list.value.append(text.encode())
    return features.SerializeToString(deterministic=True)


def decode_pair(record: bytes) -> DatePair:
    """Read a record.

    Raises:
        DatasetError: it isn't a pair.
    """
    try:
        found = tf_example_pb2.Example.FromString(record).features.feature
        texts = {f.name: found[f.name].bytes_list.value[0].decode() for f in fields(DatePair)}
    except Exception as error:
        raise DatasetError(f"a record is not a text pair ({error!r})") from error
    return DatePair(**texts)
