"""Labels beside a recording: an Audacity track, NAME.txt, replaced only by who has seen it.

Each save names the revision that it began from. What can't be saved, since another tab or program
has changed the file, is kept as a draft: `.NAME.draft-TAB.json`, one of each tab, until it is saved
or thrown away. Saves take turns, those of another studio too.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.audio_file import AUDIO_SUFFIXES
from pipeline.labels.label_files import read_labels, write_labels
from pipeline.text_file import replace_text
from schemas.errors import RequestError
from schemas.labels import Label, LabelledRecording
from wakebeam.studio.place import no_link

_TAB = re.compile(r"[0-9a-f]{8}")


def is_labelled(recording: Path) -> bool:
    """Whether there are labels beside a recording."""
    return any(path.exists() for path in _beside(recording))


def labelled(recording: Path) -> dict[str, Any]:
    """Return the labels of a recording and their revision, for a page.

    Raises:
        RequestError: the file of labels can't be read as such, or is a link.
    """
    revision, path = _revision(recording), _labels_path(recording)
    labels = read_labels(path, sort=True)[0].labels if revision else ()
    return {"revision": revision, "labels": _rows(labels)}


def save(recording: Path, revision: str, labels: tuple[Label, ...], tab: str) -> dict[str, Any]:
    """Write labels over the revision that they began from; the draft of the tab, if any, goes.

    Returns:
        The new revision; or, with `changed`, what is there instead, where the file has another:
        without labels and with `wrong`, where it can't be read.

    Raises:
        RequestError: they overlap, or the file of labels is a link.
    """
    draft = _draft(recording, tab) if tab else None
    with _alone(recording.parent):
        there = _revision(recording)
        if revision != there:
            try:
                return {"changed": True} | labelled(recording)
            except RequestError as error:
                return {"changed": True, "revision": there, "labels": [], "wrong": str(error)}
        made = LabelledRecording(recording.name, labels)
        text = write_labels([made], _labels_path(recording))
        if draft is not None:
            draft.unlink(missing_ok=True)
        return {"revision": _digest(text.encode())}


def keep_draft(recording: Path, labels: tuple[Label, ...], tab: str) -> None:
    """Keep a tab's labels that couldn't be saved."""
    with _alone(recording.parent):
        replace_text(_draft(recording, tab), json.dumps({"labels": _rows(labels)}))


def drop_draft(recording: Path, tab: str) -> None:
    """Throw a tab's draft away, if there is one."""
    _draft(recording, tab).unlink(missing_ok=True)


def drafts(recording: Path) -> list[dict[str, Any]]:
    """Return what tabs have left unsaved, the latest first: labels, tab, and when in seconds."""
    found = []
    for path in recording.parent.glob(f".{_literal(recording.name)}.draft-*.json"):
        tab = path.name[-len("01234567.json") : -len(".json")]
        try:
            if path.is_symlink() or path != _draft(recording, tab):
                continue
            rows = json.loads(path.read_text(encoding="utf-8"))["labels"]
            row = {"tab": tab, "at_s": path.stat().st_mtime, "labels": _rows(parsed(rows))}
        except (OSError, ValueError, KeyError, TypeError, RequestError):
            continue  # not ours, or just saved
        found.append(row)
    return sorted(found, key=lambda one: one["at_s"], reverse=True)


def parsed(rows: Any) -> tuple[Label, ...]:
    """Labels as a page sends them; they may reach beyond the recording, as Audacity's do.

    Raises:
        ValueError, TypeError: they are none.
    """
    labels = []
    for row in rows:
        label = Label(**row)
        numbers = [label.onset_s, label.offset_s, label.low_hz, label.high_hz, label.confidence]
        if not all(math.isfinite(float(n)) for n in numbers if n is not None):
            raise ValueError("a number isn't finite")
        if not 0.0 <= label.onset_s <= label.offset_s:
            raise ValueError(f"from {label.onset_s} to {label.offset_s} s")
        if not isinstance(label.label, str):
            raise ValueError("a label is a text")
        labels.append(label)
    return tuple(sorted(labels, key=lambda one: (one.onset_s, one.offset_s)))


def _rows(labels: tuple[Label, ...]) -> list[dict[str, Any]]:
    return [
        {name: getattr(label, name) for name in Label.__slots__ if getattr(label, name) is not None}
        for label in labels
    ]


def _draft(recording: Path, tab: str) -> Path:
    if not _TAB.fullmatch(tab):
        raise RequestError(f"a tab is called {tab[:20]!r}", expected="eight of 0-9, a-f")
    return recording.with_name(f".{recording.name}.draft-{tab}.json")


def _literal(name: str) -> str:
    """A name as a pattern that matches it alone."""
    return re.sub(r"[*?[]", r"[\g<0>]", name)


def _beside(recording: Path) -> tuple[Path, Path]:
    """Where its labels may lie: NAME.txt, and NAME.SUFFIX.txt where others are called NAME too."""
    return recording.with_suffix(".txt"), recording.with_name(f"{recording.name}.txt")


def _labels_path(recording: Path) -> Path:
    others = AUDIO_SUFFIXES - {recording.suffix.lower()}
    shared = any(recording.with_suffix(suffix).exists() for suffix in others)
    return no_link(_beside(recording)[shared])


def _revision(recording: Path) -> str:
    """Names what the file of labels holds now; empty where there is none."""
    try:
        return _digest(_labels_path(recording).read_bytes())
    except FileNotFoundError:
        return ""


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait for the other saves in a folder; where a file system has no locks, for none.

    The lock is on the folder itself: no file of it is left behind.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
