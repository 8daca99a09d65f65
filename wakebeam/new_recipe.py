"""`wakebeam init`: from folders of recordings to a commented recipe."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from pipeline.audio_file import AUDIO_SUFFIXES
from pipeline.material_files import walk
from pipeline.recipe_file import guess_speaker_pattern, load_recipe
from pipeline.recipe_template import DEFAULT_PRESET, recipe_template
from schemas.errors import MaterialError, RequestError


def write_recipe(
    folder: Path,
    *,
    keywords: Sequence[Path],
    negatives: Sequence[Path],
    backgrounds: Sequence[Path],
    near_misses: Sequence[Path] = (),
    name: str | None = None,
    preset: str = DEFAULT_PRESET,
    overwrite: bool = False,
) -> Path:
    """Write `folder/recipe.yaml` for the material given and return its path.

    A keyword's label is the name of its folder. Relative paths are written relative to `folder`.

    Raises:
        RequestError: there is a recipe already, nothing to detect was given, or a folder has two
            roles.
        MaterialError: a path doesn't exist or holds no audio file.
    """
    path = folder / "recipe.yaml"
    if path.exists() and not overwrite:
        raise RequestError(
            f"{path} exists already",
            fix="edit it, choose another folder, or pass --overwrite to replace it",
        )
    if not keywords or not backgrounds:
        raise RequestError(
            f"{len(keywords)} keyword and {len(backgrounds)} background folders were given",
            expected="at least one of each",
            fix="wakebeam init DIR --keyword takes/hello --negative speech --background noise",
        )
    labels = [_label(path) for path in keywords]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise RequestError(
            f"two keyword folders are called {twice[0]!r}, and the name is the label",
            expected="a name for each keyword",
            fix="rename one, or put both into one folder if they are the same keyword",
        )
    for material in (*keywords, *negatives, *near_misses, *backgrounds):
        _require_audio(material)
    for keyword in keywords:
        _require_takes(keyword, [*negatives, *near_misses, *backgrounds])
    text = recipe_template(
        name=name or _label(keywords[0]),
        keyword=[(_from(folder, p), _label(p), _pattern(p)) for p in keywords],
        negative=[(_from(folder, p), "speech", _pattern(p)) for p in negatives]
        + [(_from(folder, p), "near_miss", _pattern(p)) for p in near_misses],
        background=[(_from(folder, p), _pattern(p)) for p in backgrounds],
        preset=preset,
    )
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    load_recipe(path)
    return path


def audio_names(material: Path) -> list[str]:
    """Return the relative names of the audio files that `material` holds."""
    if material.is_file():
        return [material.name]
    found = (
        Path(root, name).relative_to(material)
        for root, _, names in walk(material)
        for name in names
    )
    return sorted(str(path) for path in found if path.suffix.lower() in AUDIO_SUFFIXES)


def _require_audio(material: Path) -> None:
    if not material.exists():
        raise MaterialError(f"{material} does not exist", fix="check the spelling of the path")
    if not audio_names(material):
        raise MaterialError(
            f"{material} holds no audio file",
            expected=f"files that end in {', '.join(sorted(AUDIO_SUFFIXES)[:8])}, …",
            fix="name the folder that holds the recordings",
        )


def _require_takes(keyword: Path, others: Sequence[Path]) -> None:
    if keyword.is_file():
        raise RequestError(
            f"the keyword {keyword} is a file",
            expected="a folder with takes of one keyword; its name is the label",
        )
    if any(keyword.resolve() == other.resolve() for other in others):
        raise RequestError(
            f"{keyword} is given as a keyword and as something else",
            expected="a folder in one role only: what is to be detected can't be background too",
        )


def _from(folder: Path, material: Path) -> str:
    if material.is_absolute():
        return str(material)
    return os.path.relpath(material.resolve(), folder.resolve())


def _pattern(material: Path) -> str | None:
    return guess_speaker_pattern(audio_names(material))


def _label(material: Path) -> str:
    stem = material.resolve().stem if material.is_file() else material.resolve().name
    return re.sub(r"[^\w-]+", "_", stem).strip("_")[:100] or "keyword"


def write_text_once(path: Path, text: str) -> None:
    """Write a recipe unless there is one: a user's edits stay."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.write_text(text, encoding="utf-8")
