"""What sounds when in a stream set, decided before any audio is touched.

A file is a row of stretches of four kinds, each time the one that is furthest behind its share:

    conversation  keywords among other speech   K·20 s of an hour with K keywords, 0.8 of it at most
    talk          other speech alone            0.45 of what is left
    ambient       background alone              0.45 of what is left
    silence       digital zeros                 0.1 of what is left

Within conversation a keyword falls due after 0.5 … 1.5 of the mean spacing (20 s up to 144 keywords
an hour, so 10 … 30 s), on a clock that runs in conversation only; the time before it is filled with
other speech. Gaps between events are 0.2–0.8 s in eight cases of ten, else 0.1–0.2 s or 0.8–2 s;
events never overlap. Each take is heard once before any is heard again (clip_deck.py), negatives
in parts of 20 s at most. Backgrounds lie under all of it in pieces of 20–60 s that fade into
each other within a second, and their level drifts by ±4 dB around the one that is asked for.

The planner walks through the files once, in order; a plan holds places only, 200 kB an hour.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.clip_choice import between
from pipeline.clip_deck import ClipPart, Deck, parts_of, whole
from pipeline.randomness import Draws, Purpose, Streams
from schemas.clips import Clip
from schemas.errors import MaterialError
from schemas.stream_set import StreamOptions
from schemas.units import seconds_to_samples

DRIFT_DB, DRIFT_STEP_S = 4.0, 30.0
_LENGTHS_S = {
    "conversation": (40.0, 120.0),
    "talk": (40.0, 180.0),
    "ambient": (30.0, 180.0),
    "silence": (8.0, 20.0),
}
_WITHOUT_KEYWORDS = {"talk": 0.45, "ambient": 0.45, "silence": 0.1}
_SPACING_S, _MOST_CONVERSATION = 20.0, 0.8
_MARGIN_S = 1.5
_LONGEST_EVENT_S = 20.0
_PIECE_S, _CROSSFADE_S = (20.0, 60.0), 1.0
_GAPS_S = ((0.8, (0.2, 0.8)), (0.9, (0.1, 0.2)), (1.0, (0.8, 2.0)))
_NEGATIVES, _BACKGROUNDS, _KEYWORDS = 0, 1, 2


@dataclass(frozen=True, slots=True)
class PlannedSound:
    """A part of a clip at a place of a file; as loud as `snr_db` says."""

    onset_samples: int
    part: ClipPart
    snr_db: float

    @property
    def offset_samples(self) -> int:
        """Where it has ended."""
        return self.onset_samples + self.part.num_samples


@dataclass(frozen=True, slots=True)
class Stretch:
    """The samples [start, stop) of a file, of one kind, and what sounds in them."""

    kind: str
    start: int
    stop: int
    sounds: tuple[PlannedSound, ...]


@dataclass(frozen=True, slots=True)
class BackgroundPart:
    """A piece of background with its fades, at a place of a file."""

    onset_samples: int
    part: ClipPart
    fade_in_samples: int
    fade_out_samples: int


@dataclass(frozen=True, slots=True)
class StreamFilePlan:
    """One file. `drift_db` is the background's level, against the wanted one, every 30 s."""

    index: int
    num_samples: int
    stretches: tuple[Stretch, ...]
    backgrounds: tuple[BackgroundPart, ...]
    drift_db: tuple[float, ...]


class StreamPlanner:
    """Plans the files of a stream set.

    Args:
        options: what is asked for.
        clips: of the split, and no others.
        sample_rate_hz: of the bank.

    Attributes:
        seconds: {kind of stretch: how long}, of the files planned so far.

    Raises:
        MaterialError: no keyword, no background, or a take longer than 20 s.
    """

    def __init__(self, options: StreamOptions, clips: Sequence[Clip], sample_rate_hz: int) -> None:
        self._options, self._rate = options, sample_rate_hz
        longest = seconds_to_samples(_LONGEST_EVENT_S, sample_rate_hz)
        order = Streams(options.seed, Purpose.STREAM_ORDER, options.split)
        own = [c for c in clips if c.role == "background" and not c.shared]
        backgrounds = own or [c for c in clips if c.role == "background"]
        takes = {
            label: [c for c in clips if c.role == "keyword" and c.label == label]
            for label in sorted({c.label for c in clips if c.role == "keyword"})
        }
        _require(options, takes, backgrounds, longest)
        negatives = [p for c in clips if c.role == "negative" for p in parts_of(c, longest)]
        self._backgrounds = Deck([whole(c) for c in backgrounds], order, _BACKGROUNDS)
        self._negatives = Deck(negatives, order, _NEGATIVES) if negatives else None
        self._keywords = [
            Deck([whole(c) for c in clips_of_label], order, _KEYWORDS + i)
            for i, clips_of_label in enumerate(takes.values())
        ]
        self._streams = Streams(options.seed, Purpose.STREAM_FILE, options.split)
        self._shares, self._spacing_s = _shares(options.keywords_per_hour, bool(negatives))
        self._clock_s = self._due_s = 0.0
        self.seconds: dict[str, float] = {}

    def repeats(self) -> dict[str, dict[str, int]]:
        """Return, by role, how many there are, how many were heard, and how many of them again."""
        decks = {
            "keyword": self._keywords,
            "negative": [self._negatives] if self._negatives else [],
            "background": [self._backgrounds],
        }
        return {
            role: {
                "different": sum(len(deck) for deck in of),
                "heard": sum(deck.num_taken for deck in of),
                "repeats": sum(deck.num_repeats for deck in of),
            }
            for role, of in decks.items()
        }

    def files(self) -> Iterator[StreamFilePlan]:
        """Yield the plan of each file; to be called once."""
        left = seconds_to_samples(3600.0 * self._options.hours, self._rate)
        each = seconds_to_samples(self._options.file_s, self._rate)
        index = 0
        while left > 0:
            shortest_last = each // 20
            length = left if left <= each + shortest_last else each
            yield self._file(index, length)
            left -= length
            index += 1

    def _file(self, index: int, num_samples: int) -> StreamFilePlan:
        draws = self._streams.at(index)
        shares = self._shares
        behind = {kind: shares[kind] * between((-180.0, 0.0), draws.uniform()) for kind in shares}
        stretches: list[Stretch] = []
        start = 0
        while start < num_samples:
            kind = min(behind, key=lambda k: behind[k] / shares[k])
            length_s = between(_LENGTHS_S[kind], draws.uniform())
            stop = min(num_samples, start + seconds_to_samples(length_s, self._rate))
            if num_samples - stop < seconds_to_samples(_LENGTHS_S["silence"][0], self._rate):
                stop = num_samples
            stretches.append(
                Stretch(kind, start, stop, tuple(self._fill(draws, kind, start, stop)))
            )
            seconds = (stop - start) / self._rate
            behind[kind] += seconds
            self.seconds[kind] = self.seconds.get(kind, 0.0) + seconds
            start = stop
        knots = 2 + int(num_samples / self._rate / DRIFT_STEP_S)
        drift = tuple(
            round(between((-DRIFT_DB, DRIFT_DB), draws.uniform()), 3) for _ in range(knots)
        )
        backgrounds = tuple(self._chain(draws, num_samples))
        return StreamFilePlan(index, num_samples, tuple(stretches), backgrounds, drift)

    def _fill(self, draws: Draws, kind: str, start: int, stop: int) -> Iterator[PlannedSound]:
        """Events of one stretch, from left to right; what no longer fits waits for the next one."""
        if kind not in ("conversation", "talk"):
            return
        margin = seconds_to_samples(_MARGIN_S, self._rate)
        began_s, at, last = self._clock_s, start + margin, stop - margin
        while True:
            onset = at + seconds_to_samples(_gap_s(draws), self._rate)
            self._clock_s = began_s + (onset - start) / self._rate * (kind == "conversation")
            deck = self._negatives
            is_keyword = kind == "conversation" and (deck is None or self._clock_s >= self._due_s)
            if is_keyword:
                wait_s = max(0.0, self._due_s - self._clock_s)  # no other speech to fill it with
                onset += seconds_to_samples(wait_s, self._rate)
                deck = self._keywords[draws.below(len(self._keywords))]
            if deck is None or onset + deck.next().num_samples > last:
                break
            snr_db = round(between(self._options.snr_db, draws.uniform()), 3)
            sound = PlannedSound(onset, deck.take(), snr_db)
            if is_keyword:
                self._due_s += self._spacing_s * between((0.5, 1.5), draws.uniform())
            yield sound
            at = sound.offset_samples
        if kind == "conversation":
            self._clock_s = began_s + (stop - start) / self._rate

    def _chain(self, draws: Draws, num_samples: int) -> Iterator[BackgroundPart]:
        """Backgrounds from the beginning of a file to its end."""
        most = seconds_to_samples(_CROSSFADE_S, self._rate)
        piece = self._piece(draws)
        onset = fade_in = 0
        while True:
            left = num_samples - onset
            if piece.num_samples >= left:
                part = ClipPart(piece.clip, piece.offset_samples, left)
                yield BackgroundPart(onset, part, min(fade_in, left), 0)
                return
            following = self._piece(draws)
            fade_out = min(most, piece.num_samples // 3, following.num_samples // 3)
            yield BackgroundPart(onset, piece, fade_in, fade_out)
            onset += piece.num_samples - fade_out
            piece, fade_in = following, fade_out

    def _piece(self, draws: Draws) -> ClipPart:
        """A window of the next background, or all of it where it is short."""
        clip = self._backgrounds.take().clip
        length_s = between(_PIECE_S, draws.uniform())
        length = min(clip.num_samples, seconds_to_samples(length_s, self._rate))
        return ClipPart(clip, draws.below(clip.num_samples - length + 1), length)


def _shares(per_hour: float, other_speech: bool) -> tuple[dict[str, float], float]:
    """Share of each kind of stretch, and the mean spacing of keywords in conversation."""
    conversation = min(_MOST_CONVERSATION, per_hour * _SPACING_S / 3600.0)
    spacing_s = 3600.0 * conversation / per_hour if per_hour else _SPACING_S
    shares = {kind: (1.0 - conversation) * part for kind, part in _WITHOUT_KEYWORDS.items()}
    if not other_speech:
        shares["ambient"] += shares.pop("talk")
    return ({"conversation": conversation} if conversation else {}) | shares, spacing_s


def _gap_s(draws: Draws) -> float:
    number = draws.uniform()
    law = next(law for share, law in _GAPS_S if number < share)
    return between(law, draws.uniform())


def _require(
    options: StreamOptions,
    takes: dict[str, list[Clip]],
    backgrounds: Sequence[Clip],
    longest: int,
) -> None:
    for name, clips, needed in (
        ("keyword", [c for of in takes.values() for c in of], options.keywords_per_hour > 0),
        ("background", backgrounds, True),
    ):
        if needed and not clips:
            raise MaterialError(
                f"split {options.split!r} has no {name} clip",
                expected="at least one, to make a stream of",
                fix=f"add {name} recordings by more speakers or sources, or change the shares "
                "under splits",
            )
        if name == "keyword" and (long := [c for c in clips if c.num_samples > longest]):
            raise MaterialError(
                f"{long[0].clip_id} is longer than {_LONGEST_EVENT_S:g} s",
                expected="takes of a keyword",
                fix="cut it, or take it out of material.keyword",
            )
