"""Whether a stream lets a model hear again what it was trained on: checked, not promised.

A clip of a stream leaks if training or validation material has the same file, the same samples (a
copy in another container, under another name) or the same speaker or source. Backgrounds that
the recipe shares among all splits are no leak, but are counted. Samples are compared by digest, and
only those clips of the other splits are read whose length and peak are a used clip's. What isn't
known so are recordings of one moment by two microphones, or a copy that was cut or encoded anew;
`wakebeam check` finds pairs that sound the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from schemas.clips import Clip
from schemas.errors import DatasetError
from schemas.stream_set import UsedClip

Pcm = npt.NDArray[np.int16]
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Leak:
    """`clip` of a stream and `other` of what was learnt from, and how they are alike: `why`."""

    clip: str
    other: str
    why: str


def samples_digest(samples: Pcm) -> str:
    """Return the SHA-256 of int16 samples."""
    return hashlib.sha256(np.ascontiguousarray(samples, "<i2").tobytes()).hexdigest()


def find_leaks(
    used: Sequence[UsedClip], heard: Iterable[Clip], samples: Callable[[Clip], Pcm]
) -> list[Leak]:
    """Return what of a stream was heard before, at most one reason for each of its clips.

    Args:
        used: the stream's clips.
        heard: training and validation material.
        samples: of a clip of `heard`.
    """
    wanted = [clip for clip in used if not clip.shared]
    shapes = {(clip.num_samples, clip.peak) for clip in wanted}
    by_content: dict[str, str] = {}
    by_samples: dict[str, str] = {}
    by_speaker: dict[str, str] = {}
    for clip in heard:
        by_content.setdefault(clip.content_sha256, clip.clip_id)
        by_speaker.setdefault(clip.group, clip.clip_id)
        if (clip.num_samples, clip.peak) in shapes:
            by_samples.setdefault(samples_digest(samples(clip)), clip.clip_id)
    leaks = []
    for one in wanted:
        for why, key, known in (
            ("is the same file as", one.content_sha256, by_content),
            ("has the same samples as", one.samples_sha256, by_samples),
            ("has the same speaker or source as", one.speaker, by_speaker),
        ):
            if key and key in known:
                leaks.append(Leak(one.clip_id, known[key], why))
                break
    return leaks


def require_no_leaks(leaks: Sequence[Leak], where: str, fix: str) -> None:
    """Refuse a stream with leaks, by name.

    Raises:
        DatasetError: there are some.
    """
    if not leaks:
        return
    leaks = sorted(leaks, key=lambda leak: leak.clip.startswith("background/"))
    named = "; ".join(f"{leak.clip} {leak.why} {leak.other}" for leak in leaks[:_MOST_NAMED])
    more = f"; and {len(leaks) - _MOST_NAMED} more" if len(leaks) > _MOST_NAMED else ""
    raise DatasetError(
        f"{len(leaks)} clips of the stream are in {where} too: {named}{more}",
        expected="a stream of material that was never learnt from",
        fix=fix,
    )
