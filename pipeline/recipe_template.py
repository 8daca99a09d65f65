"""Presets: the commented recipes that `wakebeam init` fills in."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources

import yaml

from schemas.errors import RequestError

MaterialEntry = tuple[str, str, str | None]
DEFAULT_PRESET = "wake-word"
_SHARED_BACKGROUNDS = ("ten-second-activate",)  # the exercise has two recordings of them
_NUM_NEGATIVES = {"ten-second-activate": "[0, 2]", "commands": "[0, 1]"}


def preset_names() -> list[str]:
    """Return the names of the presets."""
    folder = resources.files("pipeline") / "presets"
    return sorted(f.name.removesuffix(".yaml") for f in folder.iterdir() if ".yaml" in f.name)


def recipe_template(
    *,
    name: str,
    keyword: Sequence[MaterialEntry],
    negative: Sequence[MaterialEntry],
    background: Sequence[tuple[str, str | None]],
    preset: str = DEFAULT_PRESET,
) -> str:
    """Return the commented YAML of a recipe.

    Args:
        name: of the recipe.
        keyword: (path, label, speaker pattern) of each folder.
        negative: (path, kind, speaker pattern) of each folder.
        background: (path, source pattern) of each folder.
        preset: which one to fill in.

    Raises:
        RequestError: there is no preset of that name.
    """
    if preset not in preset_names():
        raise RequestError(
            f"there is no preset {preset!r}", expected=f"one of {', '.join(preset_names())}"
        )

    def entry(path: str, pattern: str | None, ending: str = "", **more: str) -> str:
        fields = {"path": path} | more | ({"speaker_pattern": pattern} if pattern else {})
        inside = ", ".join(f"{key}: {_scalar(value)}" for key, value in fields.items())
        return "    - {" + inside + ending + "}"

    shared = ", shared: true" if preset in _SHARED_BACKGROUNDS else ""

    values = {
        "name": _scalar(name),
        "keyword": "\n".join(entry(path, pattern, label=label) for path, label, pattern in keyword),
        "negative": "\n".join(entry(path, pattern, kind=kind) for path, kind, pattern in negative)
        or "    []",
        "background": "\n".join(entry(path, pattern, shared) for path, pattern in background),
        "num_negatives": _NUM_NEGATIVES.get(preset, "[0, 3]") if negative else "[0, 0]",
    }
    text = (resources.files("pipeline") / "presets" / f"{preset}.yaml").read_text(encoding="utf-8")
    parts = text.split("@")  # text and names of blanks in turn; a user's own @ is never looked at
    parts[1::2] = [values[blank] for blank in parts[1::2]]
    return "".join(parts)


def _scalar(text: str) -> str:
    """A YAML double-quoted scalar that reads back as `text`, whatever it holds."""
    quoted: str = yaml.safe_dump(text, default_style='"', width=10**6)
    return quoted.strip()
