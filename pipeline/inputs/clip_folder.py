"""A folder of short labelled clips, decoded once: each of one class, all of one length.

    files (clip_files.py) → decode, mono, resample → cut or fill up at the end → int16
      → splits (clip_splits.py)

A sound file that can't be used (damaged, empty, silent, NaN, without a class or speaker) is a
Reject with its reason and stops nothing. All clips are held in memory; a folder that would not fit
is refused before a file is opened.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.audio_file import to_int16
from pipeline.audio_stream import stream_audio
from pipeline.inputs.clip_files import ClipFile, list_clip_files
from pipeline.inputs.clip_splits import Rows, deal_as_reference, split_by_speaker
from schemas.canonical import digest
from schemas.clips import Clip, Reject
from schemas.errors import AudioError, MaterialError
from schemas.recipe import SPLITS, Fractions
from schemas.recipe_commands import LabelledClips
from schemas.units import FULL_SCALE, db_to_gain

Pcm = npt.NDArray[np.int16]
Labels = npt.NDArray[np.int32]
_SILENT_DBFS = -60.0
_NUM_THREADS = 2


@dataclass(frozen=True)
class ClipFolder:
    """Labelled clips, ready to be drawn from.

    Attributes:
        class_names: sorted; a label is an index into them.
        sample_rate_hz: of all clips.
        samples: (n, clip_samples) int16.
        labels: (n,) int32.
        clip_ids: (n,) printable paths below the folder.
        speakers: (n,) by name; `file …` where none is known.
        rows: {split: which clips}.
        speakers_known: whether the files' names tell them.
        rejects: sound files that can't be used.
        num_other_files: files that aren't sound by their names.
        num_cut: clips that were longer.
    """

    class_names: tuple[str, ...]
    sample_rate_hz: int
    samples: Pcm
    labels: Labels
    clip_ids: tuple[str, ...]
    speakers: tuple[str, ...]
    rows: dict[str, Rows]
    speakers_known: bool
    rejects: tuple[Reject, ...]
    num_other_files: int
    num_cut: int

    @cached_property
    def identity(self) -> str:
        """A digest of all clips, their classes and splits."""
        names = [self.sample_rate_hz, *map(list, (self.class_names, self.clip_ids, self.speakers))]
        rows = {split: rows.tolist() for split, rows in self.rows.items()}
        audio = hashlib.sha256(self.samples.data).hexdigest()
        return digest([names, self.labels.tolist(), rows, audio])

    def speakers_in(self, split: str) -> tuple[str, ...]:
        """Return the speakers of a split, sorted; none where they aren't known."""
        known = {self.speakers[row] for row in self.rows[split]} if self.speakers_known else set()
        return tuple(sorted(known))

    def describe(self) -> str:
        """Return on one line what there is."""
        counts = ", ".join(f"{len(self.rows[split])} {split}" for split in SPLITS)
        num_used = sum(map(len, self.rows.values()))
        extra = {
            "clips left out, as the test folder has their speaker": len(self.labels) - num_used,
            "clips cut at the end": self.num_cut,
            "files rejected": len(self.rejects),
            "files that are no sound": self.num_other_files,
        }
        notes = [f"{count} {what}" for what, count in extra.items() if count]
        what = f"{len(self.labels)} clips of {len(self.class_names)} classes: {counts}"
        return "; ".join([what, *notes])


def load_clip_folder(config: LabelledClips, splits: Fractions, base_dir: Path) -> ClipFolder:
    """Decode a folder of labelled clips.

    Args:
        config: where it is and how it is read.
        splits: shares of the speakers; `keep` says of some where they belong.
        base_dir: where relative paths start.

    Raises:
        MaterialError: no such folder, too large for `max_bytes`, fewer than two classes, or a
            class without a clip to train on.
    """
    files, num_others = list_clip_files(config, base_dir)
    num_bytes = 2 * config.clip_samples * len(files)
    if num_bytes > config.max_bytes:
        raise MaterialError(
            f"{len(files)} clips of {config.clip_s:g} s take {num_bytes / 2**20:.0f} MiB of memory",
            expected=f"at most {config.max_bytes / 2**20:.0f} MiB (clips.max_bytes)",
            fix="name fewer clips.classes, lower clips.clip_s or raise clips.max_bytes",
        )
    samples = np.zeros((len(files), config.clip_samples), np.int16)
    used: list[ClipFile] = []
    rejects: list[Reject] = []
    num_cut = 0
    for file, result in zip(files, _decode_all(files, config), strict=True):
        if isinstance(result, str):
            rejects.append(Reject(file.clip_id, result))
        else:
            num_cut += len(result) > config.clip_samples
            samples[len(used)] = fit_length(result, config.clip_samples)
            used.append(file)
    samples = samples[: len(used)]
    names = tuple(sorted({file.label for file in used}))
    if len(names) < 2:
        why = "".join(f"; {reject.path}: {reject.reason}" for reject in rejects[:3])
        raise MaterialError(
            f"{config.path!r} holds usable clips of {len(names)} classes{why}",
            expected="two or more: a folder for each, or a clips.label_pattern that finds them",
        )
    labels = np.searchsorted(names, [file.label for file in used]).astype(np.int32)
    clips = [_clip(file, row) for file, row in zip(used, samples, strict=True)]
    if config.split_by == "reference":
        rows = deal_as_reference(len(clips))
    else:
        rows = split_by_speaker(clips, [file.for_test for file in used], splits)
    untaught = sorted(set(range(len(names))) - set(labels[rows["train"]].tolist()))
    if untaught:
        raise MaterialError(
            f"no clip of {', '.join(names[label] for label in untaught)} to train on",
            expected="clips of every class by speakers of the training split",
            fix="change splits, or name the other classes in clips.classes",
        )
    return ClipFolder(
        class_names=names,
        sample_rate_hz=config.sample_rate_hz,
        samples=samples,
        labels=labels,
        clip_ids=tuple(file.clip_id for file in used),
        speakers=tuple(clip.group for clip in clips),
        rows=rows,
        speakers_known=config.speaker_pattern is not None,
        rejects=tuple(rejects),
        num_other_files=num_others,
        num_cut=num_cut,
    )


def read_clip(path: Path, config: LabelledClips) -> Pcm:
    """Decode one file, no further than just beyond a clip's length.

    Returns:
        (num_samples,) int16 at the recipe's rate; more than `clip_samples` if the file has more.

    Raises:
        AudioError: damaged, empty, silent, or NaN in it.
    """
    blocks, length = [], 0
    for block in stream_audio(path, config.sample_rate_hz):
        blocks.append(block)
        length += len(block)
        if length > config.clip_samples:
            break
    if not length:
        raise AudioError("no samples in it")
    pcm = to_int16(np.concatenate(blocks))
    heard = pcm[: config.clip_samples].astype(np.int32)
    if np.abs(heard).max() < FULL_SCALE * db_to_gain(_SILENT_DBFS):
        raise AudioError(f"silent: no sample reaches {_SILENT_DBFS:.0f} dBFS")
    return pcm


def fit_length(x: Pcm, num_samples: int) -> Pcm:
    """Cut (n,) at its end, or fill it up with zeros there."""
    return np.pad(x[:num_samples], (0, max(0, num_samples - len(x))))


def _decode_all(files: Sequence[ClipFile], config: LabelledClips) -> Iterator[Pcm | str]:
    """Yield each file's samples, or why it can't be used."""

    def decode(file: ClipFile) -> Pcm | str:
        if file.reject:
            return file.reject
        try:
            return read_clip(Path(file.path), config)
        except AudioError as error:
            return error.received

    with ThreadPoolExecutor(_NUM_THREADS) as pool:
        yield from pool.map(decode, files)


def _clip(file: ClipFile, samples: Pcm) -> Clip:
    """What the project's splits look at."""
    content = hashlib.sha256(samples.data).hexdigest()
    return Clip(
        clip_id=file.clip_id,
        role="keyword",
        kind="keyword",
        label=file.label,
        group=file.speaker or f"file {content}",
        licence=None,
        pack="",
        first_sample=0,
        num_samples=len(samples),
        level_dbfs=0.0,
        peak=int(np.abs(samples.astype(np.int32)).max()),
        content_sha256=content,
    )
