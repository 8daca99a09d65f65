"""The recordings that a recipe names: which files, under which names, in a stable order.

A folder is searched recursively; files whose names don't end like sound are not material. Order
is that of the path's bytes, never the file system's. A clip's id is `role/folder/relative path`
with everything unprintable escaped, and unique even so.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.audio_file import AUDIO_SUFFIXES
from schemas.canonical import digest
from schemas.clips import ROLES, Role
from schemas.errors import MaterialError
from schemas.recipe import KeywordMaterial, NegativeMaterial, Recipe
from schemas.recipe_speech import SPOKEN_PATTERN

_LICENCE_NAMES = ("LICENCE", "LICENSE", "LICENCE.txt", "LICENSE.txt")


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of the material, before it is opened.

    Attributes:
        path: where it is.
        clip_id, role, kind, label, licence: as in schemas.clips.Clip.
        group: the speaker, if a pattern found one; None: the file itself is its group.
        shared: heard in all splits.
        reject: why it can't be used, known before opening; else empty.
    """

    path: Path
    clip_id: str
    role: Role
    kind: str
    label: str
    licence: str | None
    group: str | None
    reject: str = ""
    shared: bool = False


def list_material(recipe: Recipe, base_dir: Path) -> list[SourceFile]:
    """Return all files of the recipe's material, sorted by clip id.

    Raises:
        MaterialError: a path doesn't exist.
    """
    material = recipe.material
    names: Counter[str] = Counter()
    files: list[SourceFile] = []
    for role in ROLES:
        for entry in getattr(material, role):
            root = base_dir / entry.path
            if not root.exists():
                raise MaterialError(
                    f"material.{role} {entry.path!r} does not exist (looked at {root})",
                    fix="correct the path (relative ones start at the recipe's folder), or run "
                    "`wakebeam speak --recipe` first if it is to be spoken",
                )
            name = f"{role}/{_printable(root.resolve().name) or 'root'}"
            names[name] += 1
            prefix = name if names[name] == 1 else f"{name}-{names[name]}"
            kind = entry.kind if isinstance(entry, NegativeMaterial) else role
            label: str = kind
            if isinstance(entry, KeywordMaterial | NegativeMaterial) and entry.label:
                label = entry.label
            licence = entry.licence or _licence_of(root)
            spoken = SPOKEN_PATTERN if _is_spoken(recipe, base_dir, root) else None
            for path, relative in _walk(root):
                group, reject = _group(relative, entry.speaker_pattern or spoken)
                clip_id = f"{prefix}/{_printable(relative)}"
                shared = getattr(entry, "shared", False)
                files.append(
                    SourceFile(path, clip_id, role, kind, label, licence, group, reject, shared)
                )
    return sorted(_unique(files), key=lambda file: file.clip_id)


def _is_spoken(recipe: Recipe, base_dir: Path, root: Path) -> bool:
    """Whether a folder is one that the recipe's `speech` fills: its file names tell the voices."""
    outs = [(base_dir / entry.out).resolve() for entry in recipe.speech]
    return any(root.resolve().is_relative_to(out) for out in outs)


def material_fingerprint(recipe: Recipe, base_dir: Path) -> str:
    """Return a digest that changes whenever a file or the way it is read changes.

    Made from names, sizes and modification times, so that unchanged material isn't decoded again.
    """
    rows = []
    for file in list_material(recipe, base_dir):
        stat = file.path.stat()
        row = [file.clip_id, file.kind, file.label, file.licence, file.group, file.reject]
        rows.append([*row, file.shared, stat.st_size, stat.st_mtime_ns])
    material = recipe.material
    how = [material.trim, material.channel, material.keyword_parts]
    return digest([recipe.sample_rate_hz, how, rows])


def walk(root: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """`os.walk` that follows links to folders, but into no folder twice."""
    seen: set[str] = set()
    for folder, folders, names in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        yield folder, folders, names


def _walk(root: Path) -> Iterator[tuple[Path, str]]:
    if root.is_file():
        yield root, root.name
        return
    for folder, folders, names in walk(root):
        folders[:] = [f for f in folders if not f.startswith(".")]
        for name in names:
            path = Path(folder, name)
            hidden = name.startswith(".")
            if not hidden and path.suffix.lower() in AUDIO_SUFFIXES and path.is_file():
                yield path, path.relative_to(root).as_posix()


def _group(relative: str, pattern: str | None) -> tuple[str | None, str]:
    if pattern is None:
        return None, ""
    match = re.search(pattern, relative)
    if match is None or not match[1]:
        return None, "speaker_pattern does not match its path"
    return _printable(match[1]), ""


def _printable(text: str) -> str:
    """Escape what a terminal, a log or UTF-8 can't carry."""
    plain = os.fsencode(text).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in plain)


def _unique(files: list[SourceFile]) -> Iterator[SourceFile]:
    seen: set[str] = set()
    for file in sorted(files, key=lambda f: (f.clip_id, os.fsencode(f.path))):
        clip_id, n = file.clip_id, 2
        while clip_id in seen:
            clip_id, n = f"{file.clip_id}~{n}", n + 1
        seen.add(clip_id)
        yield file if clip_id == file.clip_id else _renamed(file, clip_id)


def _renamed(file: SourceFile, clip_id: str) -> SourceFile:
    return replace(file, clip_id=clip_id)


def _licence_of(root: Path) -> str | None:
    folder = root if root.is_dir() else root.parent
    for name in _LICENCE_NAMES:
        path = folder / name
        if path.is_file():
            lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            return lines[0].strip()[:200] if lines else None
    return None
