"""Recipe files: YAML in, one checked Recipe out.

Nothing is guessed: an unknown key is refused with the nearest known name, a repeated key is
refused, and all problems are listed at once, each with its dotted place.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from schemas.errors import RecipeError
from schemas.recipe import Recipe
from schemas.recipe_tasks import TASK_RECIPES, TaskRecipe


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read, override and check a recipe.

    Args:
        path: a YAML file.
        overrides: `section.key=value`, the value in YAML.

    Raises:
        RecipeError: unreadable, not YAML, or wrong; every problem is named with its place.
    """
    recipe = load_any_recipe(path, overrides)
    if isinstance(recipe, TaskRecipe):
        raise RecipeError(
            f"{path} is a recipe of the task {recipe.task}",
            expected="a detector's recipe here, which has no key `task`",
            fix="the verbs synth, train, evaluate and export take recipes of any task",
        )
    return recipe


def load_any_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe | TaskRecipe:
    """Read, override and check a recipe: that of the task that it names, or a detector's.

    Raises:
        RecipeError: unreadable, not YAML, or wrong.
    """
    values = _read(path, overrides)
    made: type[Recipe | TaskRecipe] | None = Recipe
    if "task" in values:
        made = TASK_RECIPES.get(str(values["task"]))
    if made is None:
        raise RecipeError(
            f"{path}: no task is called {values['task']!r}",
            expected=f"{', '.join(sorted(TASK_RECIPES))}, or no key `task` for a detector",
        )
    if made is Recipe:
        _refuse_contradictions(values.get("scene"), str(path))
    try:
        return made.model_validate(values)
    except ValidationError as error:
        raise RecipeError(f"{path} is not a valid recipe: {problems(error, made)}") from error


def _read(path: Path, overrides: Sequence[str]) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(
            f"{path} can't be read ({error})",
            expected="a recipe in YAML",
            fix="write one with `wakebeam init DIR --keyword … --background …`",
        ) from error
    values = _parse(text, str(path))
    for override in overrides:
        _apply(values, override)
    return values


def problems(error: ValidationError, recipe: type[BaseModel] = Recipe) -> str:
    """Say what pydantic found wrong, each with its place in the recipe."""
    return "; ".join(_explain(item, recipe) for item in error.errors())


def _refuse_contradictions(scene: Any, where: str) -> None:
    """Refuse two keys of which only one can count; what is left out has a default and may stay."""
    for new, old in (("level_lufs", "level_dbfs"), ("event_level", "snr_db")):
        if isinstance(scene, dict) and scene.get(new) is not None and old in scene:
            raise RecipeError(
                f"{where}: scene.{new} and scene.{old} are both given",
                expected=f"one of them: {new} stands instead of {old}",
                fix=f"delete scene.{old}",
            )


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader that refuses a repeated key instead of keeping the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=deep) for key, _ in node.value]
        for i, ((key_node, _), key) in enumerate(zip(node.value, keys, strict=True)):
            if key in keys[:i]:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is given twice", key_node.start_mark
                )
        return super().construct_mapping(node, deep=deep)


def _parse(text: str, where: str) -> dict[str, Any]:
    try:
        # _StrictLoader is a SafeLoader: it makes plain values only.
        values = yaml.load(text, Loader=_StrictLoader)  # noqa: S506
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or str(error)
        raise RecipeError(f"{where}{line}: {problem}", expected="a recipe in YAML") from error
    if not isinstance(values, dict):
        raise RecipeError(
            f"{where} holds {type(values).__name__}, not sections",
            expected="a mapping with name, material, scene, …",
            fix="write one with `wakebeam init`",
        )
    return values


def _apply(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    places = key.strip().split(".")
    if not equals or not all(places):
        raise RecipeError(
            f"--set {override!r} is not of the form section.key=value",
            fix="for example --set dataset.num_examples.train=200",
        )
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"--set {override!r}: the value is not YAML") from error
    target = values
    for place in places[:-1]:
        if target.get(place) is None:
            target[place] = {}
        target = target[place]
        if not isinstance(target, dict):
            raise RecipeError(f"--set {override!r}: {place} is a value, not a section")
    target[places[-1]] = value


def _explain(item: ErrorDetails, recipe: type[BaseModel]) -> str:
    families = _families(recipe)  # pydantic puts the chosen one into the place
    location = [part for part in item["loc"] if part not in families]
    place = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in location).lstrip(".")
    if item["type"] == "extra_forbidden":
        known = list(_known_names(item["loc"][:-1], recipe))
        near = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
        return f"{place} is not a known key ({hint})"
    if item["type"] == "missing":
        return f"{place} is missing"
    message = item["msg"].removeprefix("Value error, ")
    received = item.get("input")
    shown = "" if isinstance(received, dict) else f", got {received!r}"
    return f"{place or 'recipe'}: {message}{'' if ', got' in message else shown}"


def _families(model: type[BaseModel]) -> set[str]:
    """All values of `family` and `measure` in a recipe's sections."""
    found = set()
    for name, field in model.model_fields.items():
        if name in ("family", "measure"):
            found |= set(get_args(field.annotation))
        for nested in _nested_models(field.annotation):
            found |= _families(nested)
    return found


def _known_names(location: tuple[int | str, ...], recipe: type[BaseModel]) -> Iterator[str]:
    """Names of the keys of the section at `location`."""
    models: list[type[BaseModel]] = [recipe]
    for part in location:
        found = [
            nested
            for model in models
            for name, field in model.model_fields.items()
            if part in (name, field.alias)
            for nested in _nested_models(field.annotation)
        ]
        models = found or models
    for model in models:
        for name, field in model.model_fields.items():
            yield field.alias or name


def _nested_models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for arg in get_args(annotation) for model in _nested_models(arg)]


_PATTERNS = (
    r"__([^/]+?)__r\d+__p\d+\.",  # wakebeam speak: the voice
    r"(?:^|/)([^/]+?)__\d{4}\.wav$",  # wakebeam record: the speaker
    r"__([0-9a-f]{12})__t\d{9}",  # wakebeam cut and mine: the recording
    r"(?:^|/)([0-9a-f]{6,10})_nohash_\d+\.",  # Speech Commands: the speaker
    r"(?:^|/)\d_([A-Za-z]+)_\d+\.",  # Free Spoken Digit Dataset: the speaker
    r"(?:^|/)\d-(\d+)-[A-Z]-\d+\.",  # ESC-50 and ESC-10: the recording that clips were cut from
    r"(?:^|/)(\d+)-\d+-\d{4}\.",  # LibriSpeech: the speaker
)


def guess_speaker_pattern(file_names: Sequence[str]) -> str | None:
    """Return the pattern of a well-known naming scheme, or None.

    A scheme is taken for real if at least nine in ten names match and there are two groups.
    """
    for pattern in _PATTERNS:
        matches = [match for name in file_names if (match := re.search(pattern, name))]
        if len(matches) >= 0.9 * len(file_names) and len({m[1] for m in matches}) >= 2:
            return pattern
    return None
