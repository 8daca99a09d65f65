"""The task `dates` at the front door."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.material import path_from
from schemas.recipe_dates import DatesRecipe
from schemas.record_set import RecordSet
from wakebeam.console import progress
from wakebeam.tasks import TaskPlace


def data_folder(place: TaskPlace) -> str:
    """Return where the recipe wants its pairs."""
    return path_from(place.folder, _recipe(place).dataset.out)


def make_data(place: TaskPlace, out: str, **how: Any) -> tuple[RecordSet, bool]:
    """Write the pairs with Beam."""
    from beam_jobs.date_pairs import write_date_pairs

    with progress("synth", "pairs") as update:
        return write_date_pairs(_recipe(place), out, progress=update, **how)


def data_report(made: RecordSet) -> str:
    """Return how many there are."""
    return f"{sum(shard.num_examples for shard in made.manifest.shards)} pairs"


def make_task(place: TaskPlace) -> Any:
    """Return models.task.Task."""
    from models.dates_task import DatesTask

    return DatesTask(_recipe(place), data_folder(place))


def evaluate(model: Path) -> dict[str, Any]:
    """Judge a model on its data set's test days."""
    from models.date_evaluation import evaluate as evaluate_model

    return evaluate_model(model)


def report(values: dict[str, Any]) -> str:
    """Return the evaluation for people."""
    from models.date_evaluation import report_text

    return report_text(values)


def _recipe(place: TaskPlace) -> DatesRecipe:
    return DatesRecipe.model_validate(place.recipe)
