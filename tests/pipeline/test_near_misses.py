"""Near misses: a metric that hears as people do, and changes that are small and all different."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.near_misses import _CONSONANTS, _VOWELS, distance, near_misses
from schemas.errors import RequestError

BEACON = [("h", "@", "l", "'oU"), ("b", "'i:", "k", "@", "n")]
PHONEMES = st.sampled_from([*_CONSONANTS, *_VOWELS])


@given(PHONEMES, PHONEMES)
def test_distance_is_symmetric_and_zero_for_the_same_alone(one: str, other: str) -> None:
    assert distance(one, other) == distance(other, one)
    assert (distance(one, other) == 0.0) == (one == other)
    assert (distance(one, other) == float("inf")) == ((one in _VOWELS) != (other in _VOWELS))


@pytest.mark.parametrize(
    ("one", "near", "far"),
    [("p", "b", "s"), ("s", "z", "m"), ("m", "n", "t"), ("I", "i:", "O:"), ("E", "a", "u:"),
     ("f", "T", "g"), ("'oU", "O:", "i:"), ("t2", "d", "w"), ("a#", "E", "u:")],
)  # fmt: skip
def test_what_sounds_alike_is_nearer(one: str, near: str, far: str) -> None:
    assert 0 < distance(one, near) < distance(one, far)


def test_near_misses_are_all_different_and_a_little_away() -> None:
    missed = near_misses(BEACON, count=60, seed=3)
    assert len(set(missed)) == 60
    assert tuple(BEACON) not in missed
    for words in missed:
        if all(len(a) == len(b) for a, b in zip(words, BEACON, strict=True)):
            pairs = [
                distance(x, y)
                for a, b in zip(words, BEACON, strict=True)
                for x, y in zip(a, b, strict=True)
                if x != y
            ]
            assert 1 <= len(pairs) <= 2
            assert all(0.3 <= d <= 1.5 for d in pairs)
    assert near_misses(BEACON, count=60, seed=3) == missed
    assert near_misses(BEACON, count=60, seed=4) != missed
    stressed = [word for words in missed for word in words[1:] if len(word) == 5]
    assert all(word[1].startswith("'") for word in stressed), "the stress stays"


def test_more_than_there_are_is_refused() -> None:
    with pytest.raises(RequestError, match="near misses"):
        near_misses([("h",)], count=1000, seed=0)


def test_they_are_spoken_each_in_a_folder_of_its_own(tmp_path) -> None:
    pytest.importorskip("espeakng_loader", reason="the extra `tts` is not installed")
    from pipeline.speech import speak_near_misses

    made = speak_near_misses("hello beacon", tmp_path, count=8, num_takes=3, seed=1)
    assert made == (24, 0)
    assert len(list(tmp_path.iterdir())) == 8
    sounds = {path.read_bytes() for path in tmp_path.rglob("*.wav")}
    assert len(sounds) == 24
