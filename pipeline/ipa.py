"""English in the International Phonetic Alphabet to espeak-ng's phoneme mnemonics.

A phrase between slashes is IPA: `/həˈloʊ ˈbiːkən/`. It becomes what the library reads between
double brackets, `[[h@l'oU b'i:k@n]]`. Stress marks stand before the syllable in IPA and before its
vowel in the mnemonics, so each is moved there. Tie bars, dots and length marks that English
doesn't need are passed over; a sign that isn't known is an error that names it.
"""

from __future__ import annotations

import unicodedata

from schemas.errors import RequestError

_VOWELS = {
    "aɪ": "aI", "aʊ": "aU", "eɪ": "eI", "ɔɪ": "OI", "oʊ": "oU", "əʊ": "oU", "ɪə": "i@",
    "eə": "e@", "ʊə": "U@", "iː": "i:", "ɑː": "A:", "ɔː": "O:", "uː": "u:", "ɜː": "3:", "ɛː": "e@",
    "ɑːɹ": "A@", "ɔːɹ": "O@", "ɚ": "3", "ɝ": "3:", "ɪ": "I", "i": "i", "ɛ": "E", "e": "E", "æ": "a",
    "a": "a", "ʌ": "V", "ə": "@", "ɐ": "@", "ɑ": "A:", "ɒ": "0", "ɔ": "O:", "ʊ": "U", "u": "u:",
    "ᵻ": "I2", "o": "oU",
}  # fmt: skip
_CONSONANTS = {
    "tʃ": "tS", "dʒ": "dZ", "p": "p", "b": "b", "t": "t", "d": "d", "k": "k", "g": "g", "ɡ": "g",
    "f": "f", "v": "v", "θ": "T", "ð": "D", "s": "s", "z": "z", "ʃ": "S", "ʒ": "Z", "h": "h",
    "m": "m", "n": "n", "ŋ": "N", "l": "l", "ɫ": "l", "r": "r", "ɹ": "r", "w": "w", "j": "j",
    "ɾ": "t#", "ʔ": "?", "x": "x",
}  # fmt: skip
_STRESS = {"ˈ": "'", "'": "'", "ˌ": ","}
_PASSED_OVER = frozenset("ː.‿͡ʰ̩̯")
_LONGEST = 3


def mnemonics(phrase: str) -> str:
    """Return a phrase in IPA as mnemonics in double brackets; any other phrase as it is.

    Raises:
        RequestError: a sign isn't one of English.
    """
    if len(phrase) < 3 or phrase[0] != "/" or phrase[-1] != "/":
        return phrase
    words = unicodedata.normalize("NFC", phrase[1:-1]).replace("͡", "").split()
    return "[[" + " ".join(_word(word, phrase) for word in words) + "]]"


def _word(word: str, phrase: str) -> str:
    spelt, stress, at = [], "", 0
    while at < len(word):
        for size in range(_LONGEST, 0, -1):
            sign = word[at : at + size]
            if sign in _VOWELS:
                spelt.append(stress + _VOWELS[sign])
                stress = ""
                break
            if sign in _CONSONANTS:
                spelt.append(_CONSONANTS[sign])
                break
            if sign in _STRESS:
                stress = _STRESS[sign]
                break
        else:
            size = 1
            if word[at] not in _PASSED_OVER:
                raise RequestError(
                    f"{word[at]!r} in {phrase} is not a sound of English",
                    expected="IPA between slashes, as in /həˈloʊ/",
                    fix="spell it in espeak-ng's phonemes instead: [[h@l'oU]]",
                )
        at += size
    return "".join(spelt)
