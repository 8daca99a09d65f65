"""`wakebeam synth` on a task's recipe: its data made with Beam, for people and programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from schemas.errors import RequestError
from schemas.record_set import RecordSet
from wakebeam.tasks import TaskPlace


@dataclass(frozen=True)
class TaskData:
    """A task's data set.

    Attributes:
        made: what is there now.
        already_complete: nothing was left to do.
        report: what it holds, for people.
    """

    made: RecordSet
    already_complete: bool
    report: str

    @property
    def num_reused(self) -> int:
        """Shards kept from an earlier run."""
        manifest = self.made.manifest
        return len(manifest.shards) if self.already_complete else manifest.run["shards_reused"]

    @property
    def num_made(self) -> int:
        """Shards made by this run."""
        return len(self.made.manifest.shards) - self.num_reused

    def values(self) -> dict[str, Any]:
        """Return what `synth --json` says of scenes too."""
        return {
            "out": self.made.location,
            "identity": self.made.identity(),
            "generations": 1,
            "recipe_digest": self.made.manifest.recipe_digest,
            "shards_made": self.num_made,
            "shards_reused": self.num_reused,
            "examples_rejected": sum(self.made.manifest.rejects.values()),
        }

    def text(self) -> str:
        """Return the same for people."""
        done = "already complete" if self.already_complete else f"{self.num_made} shards made"
        kept = f", {self.num_reused} kept" if self.num_reused and self.num_made else ""
        identity = self.made.identity()[:16]
        return f"{self.made.location}: {done}{kept}; identity {identity}; {self.report}"


def synthesize_task(place: TaskPlace, out: str | None, **how: Any) -> TaskData:
    """Make a task's data.

    Args:
        place: the recipe.
        out: folder or URI instead of the recipe's.
        how: beam_arguments, num_workers, overwrite.

    Raises:
        RequestError: the task makes no data.
    """
    where = out or place.verb("data_folder")(place)
    with place.alone():
        made, already_complete = place.verb("make_data")(place, where, **how)
    return TaskData(made, already_complete, place.verb("data_report")(made))


def refuse_options_of_scenes(place: TaskPlace, *, grows: bool, plan_only: bool) -> None:
    """Refuse what only a detector's data set can do.

    Args:
        place: the recipe.
        grows: --append or --add-recipe was given.
        plan_only: --plan-only was.

    Raises:
        RequestError: one of them was.
    """
    if grows:
        raise RequestError(
            f"--append or --add-recipe with a recipe of the task {place.recipe.task}",
            expected="a detector's recipe: only its data set grows by generations",
            fix="put more into the recipe itself, and run `wakebeam synth --overwrite`",
        )
    if plan_only:
        raise RequestError(
            f"--plan-only with a recipe of the task {place.recipe.task}",
            expected="a detector's recipe: only scenes are planned before they are made",
            fix="leave it out; --out makes the data in another folder, to look at them",
        )
