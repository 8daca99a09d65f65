"""Files of labelled clips: which there are, and what their names tell of class and speaker.

Hidden files are passed over, files that aren't sound by their names are counted; the order is that
of the names, whatever the file system's.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.audio_file import AUDIO_SUFFIXES
from pipeline.material import path_from, printable
from pipeline.material_files import FoundFile, LocalFiles
from schemas.errors import MaterialError
from schemas.recipe_commands import LabelledClips


@dataclass(frozen=True, slots=True)
class ClipFile:
    """A sound file with what its name tells.

    Attributes:
        path: to open it.
        clip_id: printable path below its folder.
        label: its class.
        speaker: None where no pattern asks for one.
        for_test: it lies in the test folder.
        reject: why it can't be used, known before opening; else empty.
    """

    path: str
    clip_id: str
    label: str
    speaker: str | None
    for_test: bool
    reject: str = ""


def list_clip_files(config: LabelledClips, base_dir: Path) -> tuple[list[ClipFile], int]:
    """Return all sound files in order, and how many other files there are.

    Args:
        config: where they are and what their names mean.
        base_dir: where relative paths start.

    Raises:
        MaterialError: a folder can't be listed, or two classes' names look the same.
    """
    files: list[ClipFile] = []
    num_others = 0
    shown: dict[str, str] = {}
    for path, for_test in ((config.path, False), (config.test_path, True)):
        for found in _listing(path, base_dir) if path is not None else ():
            if os.path.splitext(found.relative)[1].lower() not in AUDIO_SUFFIXES:
                num_others += 1
                continue
            label = _label(found.relative, config.label_pattern)
            file = _named(found, label, for_test, config)
            if label is not None and shown.setdefault(file.label, label) != label:
                raise MaterialError(
                    f"clips: two classes would be shown as {file.label!r}",
                    fix="rename one of them",
                )
            if file.label in config.classes or not config.classes or label is None:
                files.append(file)
    return sorted(files, key=lambda f: (f.for_test, f.clip_id, os.fsencode(f.path))), num_others


def _listing(path: str, base_dir: Path) -> Sequence[FoundFile]:
    root = path_from(base_dir, path)
    try:
        return LocalFiles().listing(root)
    except OSError as error:
        raise MaterialError(
            f"clips: {path!r} can't be listed ({error.strerror or 'there is no such folder'}; "
            f"looked at {error.filename or root})",
            fix="correct the path; a relative one starts at the recipe's folder",
        ) from error


def _named(found: FoundFile, label: str | None, for_test: bool, config: LabelledClips) -> ClipFile:
    speaker, reject = None, ""
    if label is None:
        by_pattern = config.label_pattern is not None
        reject = (
            "label_pattern does not match its path" if by_pattern else "it is in no class's folder"
        )
    if config.speaker_pattern is not None:
        speaker = _first_group(config.speaker_pattern, found.relative)
        if speaker is None:
            reject = reject or "speaker_pattern does not match its path"
    return ClipFile(
        path=found.path,
        clip_id=printable(found.relative),
        label=printable(label or ""),
        speaker=None if speaker is None else printable(speaker),
        for_test=for_test,
        reject=reject,
    )


def _label(relative: str, pattern: str | None) -> str | None:
    if pattern is not None:
        return _first_group(pattern, relative)
    folder, slash, _ = relative.partition("/")
    return folder if slash else None


def _first_group(pattern: str, text: str) -> str | None:
    match = re.search(pattern, text)
    return match[1] if match and match[1] else None
