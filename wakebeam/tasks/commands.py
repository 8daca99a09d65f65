"""The task `commands` at the front door: a classifier of one-second clips."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.inputs.clip_folder import load_clip_folder
from schemas.errors import RequestError
from schemas.recipe_commands import CommandsRecipe
from wakebeam.console import say
from wakebeam.tasks import TaskPlace


def make_task(place: TaskPlace) -> Any:
    """Return the recipe's classifier with its clips, a models.task.Task."""
    from models.commands_task import CommandsTask

    recipe = place.recipe
    if not isinstance(recipe, CommandsRecipe):
        raise RequestError(f"{place.recipe_path} is no recipe of the task commands")
    clips = load_clip_folder(recipe.clips, recipe.splits, place.folder)
    say(f"clips: {clips.describe()}")
    for reject in clips.rejects[:10]:
        say(f"  rejected {reject.path}: {reject.reason}")
    return CommandsTask(recipe, clips, place.folder)


def evaluate(model: Path) -> dict[str, Any]:
    """Judge a trained classifier on clips of speakers that it wasn't fitted to."""
    from models.commands_evaluation import evaluate as judge

    return judge(model)


def report(values: dict[str, Any]) -> str:
    """Return the judgement for people."""
    from models.commands_evaluation import report_text

    return report_text(values)


def export(model: Path, out: Path) -> str:
    """Write a SavedModel that takes files and waveforms."""
    from models.commands_export import export as export_classifier

    return export_classifier(model, out)
