"""The task `embeddings` at the front door: is a sound in a clip of embeddings?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from beam_jobs.embedding_set import make_embedding_set
from beam_jobs.record_set import read_record_set
from pipeline.material import path_from
from schemas.errors import RequestError
from schemas.recipe_embeddings import EmbeddingsRecipe
from schemas.record_set import RecordSet
from wakebeam.tasks import TaskPlace


def data_folder(place: TaskPlace) -> str:
    """Return where the recipe wants its clips."""
    return path_from(place.folder, _recipe(place).data.out)


def make_data(place: TaskPlace, out: str, **how: Any) -> tuple[RecordSet, bool]:
    """Make the shards of all clips with Beam."""
    return make_embedding_set(_recipe(place), out, base_dir=place.folder, **how)


def data_report(made: RecordSet) -> str:
    """Return how many clips each split has, and how many were left out."""
    total = sum(shard.num_examples for shard in made.manifest.shards)
    lines = [f"{total} clips"]
    rows = {split: counts["labels"] for split, counts in made.counts.items()}
    rows["no clips"] = made.manifest.rejects
    for name, counts in rows.items():
        if counts:
            what = ", ".join(f"{number} {key}" for key, number in counts.items())
            lines.append(f"  {name:10} {what}")
    return "\n".join(lines) + " (rejects.jsonl names them)" * bool(rows["no clips"])


def make_task(place: TaskPlace) -> Any:
    """Return the recipe's classifier with its clips, a models.task.Task.

    Raises:
        DatasetError: the clips' shards were made from another recipe, or not made.
    """
    recipe, location = _recipe(place), data_folder(place)
    read_record_set(location, recipe.task).require_made_from(recipe.content())
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
