"""Addresses: the same place gives the same numbers, other places other ones."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.randomness import Purpose, generator

GOLDEN = [1729900042, 3110718789, 1911675975, 1248705658]


def _numbers(seed: int, split: str, index: int) -> tuple[float, ...]:
    return tuple(generator(seed, Purpose.SCENE, split, index).random(4))


def test_same_address_same_numbers() -> None:
    assert _numbers(7, "train", 3) == _numbers(7, "train", 3)


def test_addresses_are_distinct() -> None:
    drawn = {
        _numbers(seed, split, index)
        for seed in (0, 1, 2**62)
        for split in ("train", "validation", "test")
        for index in (0, 1, 2, 10**9)
    }
    assert len(drawn) == 3 * 3 * 4


def test_seed_plus_index_is_not_the_address() -> None:
    assert _numbers(7, "train", 1) != _numbers(8, "train", 0)


def test_numbers_are_pinned() -> None:
    """Golden: a change here changes every data set; say so under Generated data changes."""
    integers = generator(7, Purpose.SCENE, "train", 5).integers(0, 2**32, 4)
    assert integers.tolist() == GOLDEN


def test_neighbouring_streams_are_uncorrelated() -> None:
    streams = np.array(
        [generator(0, Purpose.SCENE, "train", i).standard_normal(200) for i in range(200)]
    )
    correlations = np.corrcoef(streams)[np.triu_indices(200, 1)]
    assert abs(correlations).max() < 0.4
    assert abs(correlations.mean()) < 0.01


@pytest.mark.parametrize(("seed", "index"), [(-1, 0), (2**63, 0), (0, -1)])
def test_out_of_range_is_refused(seed: int, index: int) -> None:
    with pytest.raises(ValueError, match=r"2\^63"):
        generator(seed, Purpose.SCENE, "train", index)
