"""Addresses: the same place gives the same numbers, other places other ones."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pipeline.randomness import Draws, Purpose, Streams

GOLDEN = [13360435467537624586, 5363149965351836743, 4360553163217740664, 2606984867114887339]


def _numbers(seed: int, split: str, index: int) -> tuple[float, ...]:
    draws = Streams(seed, Purpose.SCENE, split).at(index)
    return tuple(draws.uniform() for _ in range(4))


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


def test_words_are_pinned() -> None:
    """Golden: a change here changes every data set; say so under Generated data changes."""
    draws = Streams(7, Purpose.SCENE, "train").at(5)
    assert [draws.word() for _ in range(4)] == GOLDEN


@pytest.mark.parametrize("index", [0, 5, 2**62])
def test_the_stream_is_that_of_a_philox_made_for_the_address(index: int) -> None:
    """Resetting one generator is only a faster way to the same words, however many are taken."""
    key = (7, 0x77616B656265616D)
    fresh = np.random.Philox(key=key, counter=(0, index, 1, int(Purpose.SCENE)))
    streams = Streams(7, Purpose.SCENE, "validation")
    one, other = streams.at(index), streams.at(index + 1)
    words = []
    for _ in range(300):
        words.append(one.word())
        other.word()  # taken in turns: streams don't disturb each other
    assert words == fresh.random_raw(300).tolist()
    assert one.num_taken == 300


def test_neighbouring_streams_are_uncorrelated() -> None:
    streams = Streams(0, Purpose.SCENE, "train")
    numbers = np.array(
        [[draws.uniform() for _ in range(200)] for draws in map(streams.at, range(200))]
    )
    correlations = np.corrcoef(numbers)[np.triu_indices(200, 1)]
    assert abs(correlations).max() < 0.4
    assert abs(correlations.mean()) < 0.01


@given(st.integers(1, 2**200), st.integers(0, 1000))
def test_integers_are_below_their_bound_whatever_its_size(bound: int, seed: int) -> None:
    assert 0 <= Streams(seed, Purpose.SCENE, "train").at(0).below(bound) < bound


def test_integers_are_uniform_small_and_large() -> None:
    draws = Streams(1, Purpose.SCENE, "train").at(0)
    counts = np.bincount([draws.below(7) for _ in range(7000)], minlength=7)
    assert stats.chisquare(counts).pvalue > 0.001
    large = 3 * 2**130 + 12345
    shares = [draws.below(large) / large for _ in range(5000)]
    assert stats.kstest(shares, "uniform").pvalue > 0.001


def test_the_highest_word_stays_below() -> None:
    top = Draws(lambda position: [2**64 - 1] * 64)
    assert top.uniform() < 1.0
    assert top.below(10) == 9
    assert top.below(2**64 - 1) == 2**64 - 2
    assert top.below(2**70) == 2**70 - 1


@pytest.mark.parametrize(("seed", "index"), [(-1, 0), (2**63, 0), (0, -1)])
def test_out_of_range_is_refused(seed: int, index: int) -> None:
    with pytest.raises(ValueError, match=r"2\^63"):
        Streams(seed, Purpose.SCENE, "train").at(index)


def test_threads_that_draw_side_by_side_do_not_disturb_each_other() -> None:
    streams = Streams(1, Purpose.SCENE, "train")
    alone = [streams.at(i).word() for i in range(300)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            together = list(pool.map(lambda i: streams.at(i % 300).word(), range(6000)))
    finally:
        sys.setswitchinterval(before)
    assert together == alone * 20
