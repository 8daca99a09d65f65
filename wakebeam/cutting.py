"""Clips cut out of recordings: their names say recording, digest and time.

So cutting again makes nothing twice, and `SPEAKER_PATTERN` keeps the clips of one recording in one
split.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

from pipeline.audio_file import open_audio
from pipeline.audio_spans import cut_spans
from pipeline.labels.label_files import labels_of
from pipeline.wav_file import write_wav
from schemas.errors import AudioError, RequestError
from schemas.labels import Label

SPEAKER_PATTERN = r"__([0-9a-f]{12})__"
_ROUNDING_S = 0.01
"""A label may end so much later than its recording."""


class ClipNames:
    """Names of clips of one recording."""

    def __init__(self, recording: Path) -> None:
        """A clip of a clip carries the digest of the whole recording too, before its own."""
        whole = digests_in(recording.name)[:1]
        self._stem = plain(recording.stem.partition("__")[0] if whole else recording.stem)
        self._digest = "__".join([*whole, recording_digest(recording)])

    def of(self, time_s: float) -> str:
        """Return the name of what is at a time."""
        return f"{self._stem}__{self._ending(time_s)}"

    def new_in(self, folder: Path, times_s: Sequence[float]) -> list[bool]:
        """Return which clips a folder doesn't have, whatever the recording was called then."""
        there = {clip.name.partition("__")[2] for clip in folder.glob(f"*__{self._digest}__t*.wav")}
        return [self._ending(time_s) not in there for time_s in times_s]

    def _ending(self, time_s: float) -> str:
        return f"{self._digest}__t{round(1000 * time_s):09d}.wav"


def recording_digest(recording: Path) -> str:
    """Return as much of the SHA-256 of a file as names of clips carry.

    Raises:
        AudioError: it can't be read.
    """
    try:
        with recording.open("rb") as file:
            return short_digest(hashlib.file_digest(file, "sha256").hexdigest())
    except OSError as error:
        raise AudioError(f"{recording} can't be read ({error.strerror})") from error


def digests_in(name: str) -> list[str]:
    """Return the digests of recordings that a clip's name carries, the first recording first."""
    return re.findall(r"__([0-9a-f]{12})(?=__)", name)


def short_digest(sha256: str) -> str:
    """Return as much of a digest as names carry."""
    return sha256[:12]


def plain(text: str) -> str:
    """Return a text as a file's name may be everywhere, with at most 60 characters."""
    return re.sub(r"[^A-Za-z0-9]+", "_", text)[:60].strip("_")


def cut_labels(
    recording: Path, labels: Path, out: Path, only: Collection[str] | None = None
) -> tuple[Counter[str], int]:
    """Write each labelled stretch to `out/LABEL/`, mono, at the recording's own rate.

    Args:
        recording: a sound file of any length.
        labels: of any format that `wakebeam labels` reads.
        out: a folder.
        only: labels to cut; all if None.

    Returns:
        How many clips were written of each folder, and how many were there.

    Raises:
        AudioError: the recording can't be read, or ends before a label.
        RequestError: the labels are wrong, or of another recording.
    """
    wanted = [
        label
        for label in labels_of(labels, recording.name).labels
        if label.offset_s > label.onset_s and (not only or label.label.strip() in only)
    ]
    if not wanted:
        raise RequestError(
            f"{labels} has no stretch"
            + (f" called {' or '.join(only)}" if only else "")
            + " to cut"
        )
    try:
        names = ClipNames(recording)
    except OSError as error:
        raise AudioError(f"{recording}: can't be opened ({error.strerror})") from error
    with open_audio(recording) as (rate, _):
        pass
    new = []
    for folder in sorted({_folder(label) for label in wanted}):
        of = [label for label in wanted if _folder(label) == folder]
        fresh = names.new_in(out / folder, [label.onset_s for label in of])
        new += [(folder, label) for label, is_new in zip(of, fresh, strict=True) if is_new]
    spans = [(round(label.onset_s * rate), round(label.offset_s * rate)) for _, label in new]
    made: Counter[str] = Counter()
    for (folder, label), (start, stop), samples in zip(
        new, spans, cut_spans(recording, rate, spans), strict=True
    ):
        if len(samples) < stop - start - _ROUNDING_S * rate:
            raise AudioError(
                f"{recording} ends before the label {label.label!r} at {label.onset_s:g} s does"
            )
        write_wav(out / folder / names.of(label.onset_s), samples, rate)
        made[folder] += 1
    return made, len(wanted) - len(new)


def _folder(label: Label) -> str:
    return plain(label.label) or "unnamed"
