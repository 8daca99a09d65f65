"""Recipe files: YAML in, one checked Recipe out, and the commented YAML that `init` writes.

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

MaterialEntry = tuple[str, str, str | None]


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read, override and check a recipe.

    Args:
        path: a YAML file.
        overrides: `section.key=value`, the value in YAML.

    Raises:
        RecipeError: unreadable, not YAML, or wrong; every problem is named with its place.
    """
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
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(_explain(item) for item in error.errors())
        raise RecipeError(f"{path} is not a valid recipe: {problems}") from error


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


def _explain(item: ErrorDetails) -> str:
    location = [part for part in item["loc"] if part not in ("log_mel", "specgram")]
    location = [part for part in location if part not in ("stream_tcn", "trigger_gru")]
    place = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in location).lstrip(".")
    if item["type"] == "extra_forbidden":
        known = list(_known_names(item["loc"][:-1]))
        near = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
        return f"{place} is not a known key ({hint})"
    if item["type"] == "missing":
        return f"{place} is missing"
    message = item["msg"].removeprefix("Value error, ")
    received = item.get("input")
    shown = "" if isinstance(received, dict) else f", got {received!r}"
    return f"{place or 'recipe'}: {message}{'' if ', got' in message else shown}"


def _known_names(location: tuple[int | str, ...]) -> Iterator[str]:
    """Names of the keys of the section at `location`."""
    models: list[type[BaseModel]] = [Recipe]
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


def recipe_template(
    *,
    name: str,
    keyword: Sequence[MaterialEntry],
    negative: Sequence[MaterialEntry],
    background: Sequence[tuple[str, str | None]],
) -> str:
    """Return the commented YAML of a recipe for streaming wake-word detection.

    Args:
        name: of the recipe.
        keyword: (path, label, speaker pattern) of each folder.
        negative: (path, kind, speaker pattern) of each folder.
        background: (path, source pattern) of each folder.
    """

    def entry(path: str, pattern: str | None, **more: str) -> str:
        fields = {"path": path} | more | ({"speaker_pattern": pattern} if pattern else {})
        return "    - {" + ", ".join(f"{k}: {_scalar(v)}" for k, v in fields.items()) + "}"

    return _TEMPLATE.format(
        name=_scalar(name),
        keyword="\n".join(entry(path, pattern, label=label) for path, label, pattern in keyword),
        negative="\n".join(entry(path, pattern, kind=kind) for path, kind, pattern in negative)
        or "    []",
        background="\n".join(entry(path, pattern) for path, pattern in background),
        num_negatives="[0, 4]" if negative else "[0, 0]",
    )


def _scalar(text: str) -> str:
    """A YAML double-quoted scalar that reads back as `text`, whatever it holds."""
    quoted: str = yaml.safe_dump(text, default_style='"', width=10**6)
    return quoted.strip()


_TEMPLATE = """\
# A wakebeam recipe. Lengths are in seconds, levels in dB; ranges are inclusive.
# Next: `wakebeam check recipe.yaml`, then `wakebeam run recipe.yaml`.
schema: 1
name: {name}
seed: 7                    # same recipe, material and seed: same bytes
sample_rate_hz: 16000      # everything is converted to this rate, in mono

material:                  # paths are relative to this file; folders are searched recursively
  # speaker_pattern: a regular expression on the path whose group 1 is the speaker (or, for
  # backgrounds, the recording). One speaker never reaches two splits. Without it: the file.
  keyword:                 # takes of what shall be detected
{keyword}
  negative:                # what must not trigger; kind: speech, near_miss, hard or ambient
{negative}
  background:              # what lies under a whole scene
{background}

splits: {{train: 0.8, validation: 0.1, test: 0.1}}   # shares of speakers or sources

scene:
  duration_s: 10.0
  num_keywords: [0, 3]     # drawn uniformly; or {{range: [0, 3], weights: [1, 2, 2, 1]}}
  num_negatives: {num_negatives}
  min_gap_s: 0.1           # least silence between two clips
  margin_s: 0.5            # kept free at both ends: room to answer a keyword at the very end
  on_infeasible: condition # draw only what fits; `refuse` wants the worst case to fit
  snr_db: [0, 20]          # each clip against the background, active level against active level
  level_dbfs: [-35, -12]   # level of a clip at the highest SNR
  effects: {{speed: [0.9, 1.1]}}

dataset:
  out: data
  num_examples: {{train: 4000, validation: 400, test: 400}}
  encoding: pcm16          # or flac: smaller, slower
  shard_bytes: 64MiB

features: {{family: log_mel, window_s: 0.025, hop_s: 0.010, num_mels: 40}}

model: {{family: stream_tcn}}   # or trigger_gru with features: {{family: specgram}}

training:
  epochs: 10
  batch_size: 16
  learning_rate: 0.003
  early_stopping_epochs: 4 # epochs without a better event-level result on validation
  strategy: auto           # one, mirrored, multiworker

evaluation:
  debounce_s: 1.0          # one detection at most in this time
  hit_window_s: 1.0        # a detection counts until this long after the keyword's end
  max_false_accepts_per_hour: 0.5
"""
