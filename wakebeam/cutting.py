"""Clips cut out of recordings: their names say recording, digest and time.

So cutting again makes nothing twice, and `SPEAKER_PATTERN` keeps the clips of one recording in one
split.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import soundfile

from pipeline.audio_file import open_audio
from pipeline.audio_spans import cut_spans
from pipeline.labels.label_files import labels_of
from pipeline.wav_file import write_wav
from schemas.canonical import file_digest
from schemas.errors import AudioError, RequestError
from schemas.labels import Label

_DIGEST = r"__([0-9a-f]{12})"
SPEAKER_PATTERN = f"{_DIGEST}__"
_ROUNDING_S = 0.01
"""A label may end so much later than its recording."""
_STEP = 2.0**-15
"""Of 16 bits: what stays below is digital silence."""


class ClipNames:
    """Names of clips of one recording.

    A clip of a clip carries the digest of the whole recording too, before its own.

    Attributes:
        digest: of the recording.

    Raises:
        AudioError: it can't be read.
    """

    def __init__(self, recording: Path) -> None:
        self.digest = recording_digest(recording)
        whole = digests_in(recording.name)[:1]
        self._stem = plain(recording.stem.partition("__")[0] if whole else recording.stem)
        self._digests = "__".join([*whole, self.digest])

    def of(self, time_s: float) -> str:
        """Return the name of what is at a time."""
        return f"{self._stem}__{self.ending(time_s)}"

    def there(self, folder: Path) -> dict[str, Path]:
        """Return {ending: clip} of this recording's clips, whatever it was called then."""
        clips = folder.glob(f"*__{self._digests}__t*.wav")
        return {clip.name.partition("__")[2]: clip for clip in clips}

    def ending(self, time_s: float) -> str:
        """Return what of a clip's name tells recording and time."""
        return f"{self._digests}__t{round(1000 * time_s):09d}.wav"


def recording_digest(recording: Path) -> str:
    """Return as much of the SHA-256 of a file as names of clips carry.

    Raises:
        AudioError: it can't be read.
    """
    try:
        return short_digest(file_digest(recording))
    except OSError as error:
        raise AudioError(f"{recording} can't be read ({error.strerror})") from error


def digests_in(name: str) -> list[str]:
    """Return the digests of recordings that a clip's name carries, the first recording first."""
    return re.findall(f"{_DIGEST}(?=__)", name)


def short_digest(sha256: str) -> str:
    """Return as much of a digest as names carry."""
    return sha256[:12]


def plain(text: str) -> str:
    """Return a text as a file's name may be everywhere, with at most 60 characters."""
    return re.sub(r"[^A-Za-z0-9]+", "_", text)[:60].strip("_")


@dataclass
class Cut:
    """What became of the labels of a recording.

    Attributes:
        made: how many clips were written, by folder; those too whose label has another length now.
        num_kept: clips that were there.
        silent: clips that were written and hold nothing but silence.
        left_over: clips of this recording that no label has.
    """

    made: Counter[str] = field(default_factory=Counter)
    num_kept: int = 0
    silent: list[Path] = field(default_factory=list)
    left_over: list[Path] = field(default_factory=list)


def cut_labels(
    recording: Path, labels: Path, out: Path, only: Collection[str] | None = None
) -> Cut:
    """Write each labelled stretch to `out/LABEL/`, all channels mixed, at the recording's own rate.

    Args:
        recording: a sound file of any length.
        labels: of any format that `wakebeam labels` reads.
        out: a folder.
        only: labels to cut; all if None.

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
    names = ClipNames(recording)
    with open_audio(recording) as (rate, _):
        pass
    cut = Cut()
    todo: list[tuple[Path, Label, tuple[int, int]]] = []
    for folder in sorted({_folder(label) for label in wanted}):
        there = names.there(out / folder)
        for label in (one for one in wanted if _folder(one) == folder):
            clip = there.pop(names.ending(label.onset_s), None)
            span = (round(label.onset_s * rate), round(label.offset_s * rate))
            if clip is not None and _is_long(clip, span[1] - span[0], rate):
                cut.num_kept += 1
            else:
                todo.append((clip or out / folder / names.of(label.onset_s), label, span))
        cut.left_over += sorted(there.values())
    spans = [span for *_, span in todo]
    for (clip, label, (start, stop)), samples in zip(
        todo, cut_spans(recording, rate, spans), strict=True
    ):
        if len(samples) < stop - start - _ROUNDING_S * rate:
            raise AudioError(
                f"{recording} ends before the label {label.label!r} at {label.onset_s:g} s does"
            )
        write_wav(clip, samples, rate)
        cut.made[clip.parent.name] += 1
        if not (abs(samples) > _STEP).any():
            cut.silent.append(clip)
    return cut


def _is_long(clip: Path, num_samples: int, rate: int) -> bool:
    """Whether a clip is as long as its label; one that ended with its recording is shorter."""
    try:
        found = soundfile.info(clip).frames
    except soundfile.LibsndfileError:
        return False
    return num_samples - _ROUNDING_S * rate <= found <= num_samples


def _folder(label: Label) -> str:
    return plain(label.label) or "unnamed"
