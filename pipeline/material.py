"""The recordings that a recipe names: which files, under which names, in a stable order.

A folder is searched recursively; files whose names don't end like sound are not material. Order
is that of the path's bytes, never the file system's. A clip's id is `role/folder/relative path`
with everything unprintable escaped, and unique even so.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.audio_file import AUDIO_SUFFIXES
from pipeline.material_files import FoundFile, LocalFiles, MaterialFiles
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
        num_bytes, stamp: what tells that the file has changed.
    """

    path: str
    clip_id: str
    role: Role
    kind: str
    label: str
    licence: str | None
    group: str | None
    reject: str = ""
    shared: bool = False
    num_bytes: int = 0
    stamp: str = ""


def list_material(
    recipe: Recipe, base_dir: str | Path, files: MaterialFiles | None = None
) -> list[SourceFile]:
    """Return all files of the recipe's material, sorted by clip id.

    Args:
        recipe: names folders and files, by path or URI.
        base_dir: where relative paths start.
        files: the file system that they lie on; None: this machine's.

    Raises:
        MaterialError: a path doesn't exist.
    """
    system: MaterialFiles = files or LocalFiles()
    material = recipe.material
    names: Counter[str] = Counter()
    sources: list[SourceFile] = []
    for role in ROLES:
        for entry in getattr(material, role):
            root, listing = listed(
                entry.path,
                base_dir,
                system,
                what=f"material.{role}",
                fix=", or run `wakebeam speak --recipe` first if it is to be spoken",
            )
            name = f"{role}/{printable(system.true_name(root)) or 'root'}"
            names[name] += 1
            prefix = name if names[name] == 1 else f"{name}-{names[name]}"
            kind = entry.kind if isinstance(entry, NegativeMaterial) else role
            label: str = kind
            if isinstance(entry, KeywordMaterial | NegativeMaterial) and entry.label:
                label = entry.label
            licence = entry.licence or _licence_of(root, listing, system)
            spoken = SPOKEN_PATTERN if _is_spoken(recipe, base_dir, root) else None
            for found in listing:
                if _suffix(found.relative) not in AUDIO_SUFFIXES:
                    continue
                group, reject = _group(found.relative, entry.speaker_pattern or spoken)
                sources.append(
                    SourceFile(
                        path=found.path,
                        clip_id=f"{prefix}/{printable(found.relative)}",
                        role=role,
                        kind=kind,
                        label=label,
                        licence=licence,
                        group=group,
                        reject=reject,
                        shared=getattr(entry, "shared", False),
                        num_bytes=found.num_bytes,
                        stamp=found.stamp,
                    )
                )
    return sorted(_unique(sources), key=lambda file: file.clip_id)


def listed(
    path: str, base_dir: str | Path, system: MaterialFiles, *, what: str, fix: str = ""
) -> tuple[str, list[FoundFile]]:
    """Return where an entry of a recipe's material lies, and its files.

    Args:
        path: as the recipe says it.
        base_dir: where relative paths start.
        system: the file system that it lies on.
        what: the entry's name in messages.
        fix: what else to do where nothing is there.

    Raises:
        MaterialError: it doesn't exist or can't be listed.
    """
    root = path_from(base_dir, path)
    try:
        return root, system.listing(root)
    except FileNotFoundError as error:
        raise MaterialError(
            f"{what} {path!r} does not exist (looked at {root})",
            fix=f"correct the path (relative ones start at the recipe's folder){fix}",
        ) from error
    except PermissionError as error:
        raise MaterialError(
            f"{what} {path!r}: {error.filename} can't be read",
            expected="folders that may be listed",
            fix="change its permissions, or move it out of the material",
        ) from error


def path_from(base: str | Path, path: str) -> str:
    """Return `path` as seen from `base`, either of which may be a URI."""
    if "://" in path:
        return path
    return f"{str(base).rstrip('/')}/{path}" if "://" in str(base) else str(Path(base) / path)


def _is_spoken(recipe: Recipe, base_dir: str | Path, root: str) -> bool:
    """Whether a folder is one that the recipe's `speech` fills: its file names tell the voices."""
    if "://" in root:
        return False
    outs = [Path(base_dir, entry.out).resolve() for entry in recipe.speech]
    return any(Path(root).resolve().is_relative_to(out) for out in outs)


def material_fingerprint(recipe: Recipe, files: Sequence[SourceFile]) -> str:
    """Return a digest that changes whenever a file or the way it is read changes.

    Made from names, sizes and modification times, so that unchanged material isn't decoded again.
    """
    rows = []
    for file in files:
        row = [file.clip_id, file.kind, file.label, file.licence, file.group, file.reject]
        rows.append([*row, file.shared, file.num_bytes, file.stamp])
    material = recipe.material
    how = [material.trim, material.channel, material.keyword_parts]
    return digest([recipe.sample_rate_hz, how, rows])


def _group(relative: str, pattern: str | None) -> tuple[str | None, str]:
    if pattern is None:
        return None, ""
    match = re.search(pattern, relative)
    if match is None or not match[1]:
        return None, "speaker_pattern does not match its path"
    return printable(match[1]), ""


def printable(text: str) -> str:
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


def _licence_of(root: str, listing: Sequence[FoundFile], system: MaterialFiles) -> str | None:
    """The first line of a licence file in the folder, or beside the file, that `root` is."""
    alone = len(listing) == 1 and listing[0].path == root
    folder = root.rstrip("/").rpartition("/")[0] if alone else root.rstrip("/")
    names = _LICENCE_NAMES if alone else [n for n in _LICENCE_NAMES if _lists(listing, n)]
    for name in names:
        text = system.read_text(f"{folder}/{name}" if folder else name)
        if text is not None:
            lines = text.strip().splitlines()
            return lines[0].strip()[:200] if lines else None
    return None


def _lists(listing: Sequence[FoundFile], name: str) -> bool:
    return any(found.relative == name for found in listing)


def _suffix(relative: str) -> str:
    return os.path.splitext(relative)[1].lower()
