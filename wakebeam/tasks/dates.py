"""The task `dates` at the front door."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.material import path_from
from schemas.recipe_dates import DatesRecipe
from wakebeam.console import progress

if TYPE_CHECKING:
    from wakebeam.tasks import TaskPlace


def make_data(
    place: TaskPlace, beam_arguments: list[str], num_workers: int, overwrite: bool
) -> str:
    """Write the pairs with Beam; return what was made, for people."""
    from beam_jobs.date_pairs import write_date_pairs

    out = _data(place)
    with progress("synth", "pairs") as update:
        manifest, already_complete = write_date_pairs(
            _recipe(place),
            out,
            beam_arguments=beam_arguments,
            num_workers=num_workers,
            overwrite=overwrite,
            progress=update,
        )
    made = "already complete" if already_complete else f"{len(manifest.shards)} shards"
    total = sum(shard.num_examples for shard in manifest.shards)
    return f"{out}: {made}; {total} pairs; identity {manifest.identity()[:16]}"


def make_task(place: TaskPlace) -> Any:
    """Return models.task.Task."""
    from models.dates_task import DatesTask

    return DatesTask(_recipe(place), _data(place))


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


def _data(place: TaskPlace) -> str:
    return path_from(place.folder, _recipe(place).dataset.out)
