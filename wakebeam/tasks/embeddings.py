"""The task `embeddings` at the front door: is a sound in a clip of embeddings?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from beam_jobs.embedding_set import make_embedding_set
from beam_jobs.record_set import read_record_set
from pipeline.material import path_from
from schemas.errors import DatasetError, RequestError
from schemas.recipe_embeddings import EmbeddingsRecipe
from wakebeam.tasks import TaskPlace


def make_data(
    place: TaskPlace, *, beam_arguments: list[str], num_workers: int, overwrite: bool
) -> str:
    """Make the shards of all clips with Beam."""
    recipe = _recipe(place)
    made, was_there = make_embedding_set(
        recipe.data,
        base_dir=place.folder,
        beam_arguments=beam_arguments,
        num_workers=num_workers,
        overwrite=overwrite,
    )
    lines = [f"{made.location}: {'already complete' if was_there else 'made'}; identity "]
    lines[0] += made.identity()[:16]
    for split, counts in made.counts.items():
        if counts:
            what = ", ".join(f"{number} {name}" for name, number in counts.items())
            lines.append(f"  {split:10} {what}")
    if made.rejects:
        what = ", ".join(f"{number} {reason}" for reason, number in made.rejects.items())
        lines.append(f"  no clips   {what} (rejects.jsonl names them)")
    return "\n".join(lines)


def make_task(place: TaskPlace) -> Any:
    """Return the recipe's classifier with its clips, a models.task.Task.

    Raises:
        DatasetError: the clips' shards were made from another recipe, or not made.
    """
    recipe = _recipe(place)
    location = path_from(place.folder, recipe.data.out)
    wanted = recipe.data.model_dump(mode="json", exclude={"out"})
    if read_record_set(location).about != {"data": wanted}:
        raise DatasetError(
            f"{location} was made from another recipe",
            expected="a data set of this recipe",
            fix="run `wakebeam synth --overwrite` first, or change the recipe back",
        )
    from models.embeddings_task import EmbeddingsTask

    return EmbeddingsTask(recipe, location)


def evaluate(model: Path) -> dict[str, Any]:
    """Judge a trained classifier on videos that it wasn't fitted to."""
    from models.clip_evaluation import evaluate_clips

    return evaluate_clips(model)


def report(values: dict[str, Any]) -> str:
    """Return the judgement for people."""
    from models.clip_evaluation import report_text

    return report_text(values)


def export(model: Path, out: Path) -> str:
    """Write a SavedModel that takes frames and gives probability and attention."""
    from models.clip_export import export_classifier

    return export_classifier(model, out)


def _recipe(place: TaskPlace) -> EmbeddingsRecipe:
    if not isinstance(place.recipe, EmbeddingsRecipe):
        raise RequestError(f"{place.recipe_path} is no recipe of the task embeddings")
    return place.recipe
