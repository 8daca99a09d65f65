"""What a phrase is mistaken for: its own phonemes with one or two of them changed a little.

Phonemes are espeak-ng's mnemonics for English. The distance of two consonants is the weighted sum
of the features in which they differ: voice 0.4, place 0.3 and manner 0.7 for each step, two steps
at most; of two vowels, of height and backness (0.5 for each step) and length (0.3). A consonant is
never changed into a vowel. A near miss has one change or two, of a distance between 0.3 and 1.5
each; dropping the first or the last two phonemes of a word is a change too. The nearest are as
likely as the rest: all that qualify are put into an order by a hash of (seed, phrase, change).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from itertools import combinations

from schemas.errors import RequestError

Phonemes = tuple[str, ...]
_CONSONANTS: dict[str, tuple[int, int, int]] = {
    # place from the lips back, manner from closed to open, voice
    "p": (0, 0, 0), "b": (0, 0, 1), "t": (3, 0, 0), "d": (3, 0, 1), "k": (6, 0, 0), "g": (6, 0, 1),
    "tS": (4, 1, 0), "dZ": (4, 1, 1), "f": (1, 2, 0), "v": (1, 2, 1), "T": (2, 2, 0),
    "D": (2, 2, 1), "s": (3, 2, 0), "z": (3, 2, 1), "S": (4, 2, 0), "Z": (4, 2, 1), "h": (7, 2, 0),
    "m": (0, 3, 1), "n": (3, 3, 1), "N": (6, 3, 1), "l": (3, 4, 1), "r": (4, 4, 1), "w": (0, 4, 1),
    "j": (5, 4, 1),
}  # fmt: skip
_VOWELS: dict[str, tuple[float, float, int]] = {
    # height, backness, length (2: a glide)
    "i:": (0, 0, 1), "I": (1, 0, 0), "E": (2, 0, 0), "a": (3, 0, 0), "V": (2.5, 1, 0),
    "@": (2, 1, 0), "3:": (2, 1, 1), "A:": (3, 2, 1), "0": (3, 2, 0), "O:": (2, 2, 1),
    "U": (1, 2, 0), "u:": (0, 2, 1), "eI": (1.5, 0, 2), "aI": (2.5, 0.5, 2), "aU": (2.5, 1.5, 2),
    "OI": (2, 2, 2), "oU": (1.5, 2, 2),
}  # fmt: skip
_VOICE, _PLACE, _MANNER = 0.4, 0.3, 0.7
_HEIGHT, _BACK, _LENGTH = 0.5, 0.5, 0.3
_LEAST, _MOST = 0.3, 1.5
_OTHER_SPELLINGS = {"3": "@", "A@": "A:", "O@": "O:", "e@": "E", "i@": "I", "U@": "U", "i": "i:"}


def distance(one: str, other: str) -> float:
    """Return how far two phonemes are apart; infinite between a consonant and a vowel."""
    one, other = _plain(one), _plain(other)
    if one == other:
        return 0.0
    if one in _CONSONANTS and other in _CONSONANTS:
        a, b = _CONSONANTS[one], _CONSONANTS[other]
        place = min(2, abs(a[0] - b[0])) * _PLACE
        return place + min(2, abs(a[1] - b[1])) * _MANNER + abs(a[2] - b[2]) * _VOICE
    if one in _VOWELS and other in _VOWELS:
        c, d = _VOWELS[one], _VOWELS[other]
        shape = abs(c[0] - d[0]) * _HEIGHT + abs(c[1] - d[1]) * _BACK
        return shape + abs(c[2] - d[2]) * _LENGTH
    return float("inf")


def near_misses(words: Sequence[Phonemes], *, count: int, seed: int) -> list[tuple[Phonemes, ...]]:
    """Return `count` different near misses of a phrase.

    Args:
        words: the phonemes of each word, stress marks included.
        count: how many.
        seed: decides which.

    Raises:
        RequestError: the phrase has no phoneme that can be changed, or too few.
    """
    phrase = tuple(words)
    name = " ".join("_".join(word) for word in phrase)
    single = list(_single_changes(phrase))
    found: dict[tuple[Phonemes, ...], None] = {}
    for changes in ([(change,) for change in single], list(combinations(single, 2))):
        ordered = sorted(changes, key=lambda c: _hash(f"{seed}/{name}/{c}"))
        wanted = count - len(found) if changes and len(changes[0]) == 2 else -(-count // 2)
        for change in ordered:
            if wanted <= 0:
                break
            missed = _changed(phrase, change)
            if missed is not None and missed not in found and missed != phrase:
                found[missed] = None
                wanted -= 1
    if len(found) < count:
        raise RequestError(
            f"{name!r} has {len(found)} near misses", expected=f"{count}, as asked for"
        )
    return list(found)


Change = tuple[
    int, int, str
]  # word, place in it, new phoneme ("cut …" drops what is before or after)


def _single_changes(phrase: tuple[Phonemes, ...]) -> Iterator[Change]:
    for w, word in enumerate(phrase):
        for i, phoneme in enumerate(word):
            stress = re.match(r"[',]*", phoneme)
            mark = stress[0] if stress else ""
            table = _CONSONANTS if _plain(phoneme) in _CONSONANTS else _VOWELS
            for other in table:
                if _LEAST <= distance(phoneme, other) <= _MOST:
                    yield w, i, mark + other
        if len(word) > 3:
            yield w, 2, "cut before"
            yield w, len(word) - 2, "cut after"


def _changed(
    phrase: tuple[Phonemes, ...], changes: tuple[Change, ...]
) -> tuple[Phonemes, ...] | None:
    """The phrase with changes at different places of it; None where they are at one."""
    if len({change[:2] for change in changes}) < len(changes):
        return None
    words = [list(word) for word in phrase]
    cuts: dict[int, slice] = {}
    for w, i, new in changes:
        if new.startswith("cut"):
            if w in cuts:
                return None
            cuts[w] = slice(i, None) if new == "cut before" else slice(None, i)
        else:
            words[w][i] = new
    for w, cut in cuts.items():
        words[w] = words[w][cut]
    return tuple(tuple(word) for word in words)


def _plain(phoneme: str) -> str:
    """A mnemonic without stress and variant marks."""
    bare = re.sub(r"[',%=#]|(?<=[a-z@])2$", "", phoneme)
    bare = bare if bare in _CONSONANTS or bare in _VOWELS else bare.rstrip("0123456789")
    return _OTHER_SPELLINGS.get(bare, bare)


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
