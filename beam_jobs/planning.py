"""A recipe's scenes planned and summed up, none rendered: what a data set would hold.

    shard specs → Reshuffle → PlanCounts of a shard → their sum → a file that is read and removed

The same shards, the same straight line and the same engines as the job that makes the data set
(transforms.py). Nothing is written where the data set will be. What the last worker knows comes
back through a small file in a temporary folder of this machine, or in the `--temp_location` that
Beam is given, which workers elsewhere need.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions

from beam_jobs import files
from beam_jobs.bank_store import open_bank
from beam_jobs.job import SynthesisJob
from beam_jobs.runners import DEFAULT_NUM_WORKERS, Engine
from pipeline.clip_bank import ClipBank
from pipeline.plan_counts import PlanCounts, count_plans, summed_plans
from pipeline.scene_planner import ScenePlanner
from pipeline.splits import split_clips
from schemas.dataset import ShardSpec
from schemas.errors import RequestError
from schemas.recipe import SPLITS, Recipe

_S_IN_HOUR = 3600.0


def plan_only(
    recipe: Recipe,
    bank: str | Path,
    *,
    beam_arguments: list[str] | None = None,
    num_workers: int = DEFAULT_NUM_WORKERS,
) -> dict[str, Any]:
    """Plan every scene of a recipe and return what they hold.

    Args:
        recipe: what to plan.
        bank: folder or URI of a clip bank that all workers can read.
        beam_arguments: options for Beam.
        num_workers: local processes, where no runner is named.

    Returns:
        Plain values: `scenes`, `seconds` and `scenes_per_s` of the whole call, and by split its
        scenes, `hours` of sound, `event_hours_by_label`, `backgrounds_used` (how many different
        clips), `level_unit` of events, `rejected` scenes and the first `rejects`, and `counts`
        (pipeline/plan_counts.py).

    Raises:
        RequestError, MaterialError, InfeasibleScene: the recipe can't be met.
        DatasetError: the engine gave up.
    """
    began_s = time.monotonic()
    location = files.absolute(str(bank))
    clips = open_bank(location)
    job = SynthesisJob(recipe.model_dump_json(by_alias=True), location, clips.digest, "")
    engine = Engine(
        beam_arguments or [],
        num_workers=num_workers,
        num_shards=len(job.shards),
        places=(location,),
    )
    splits = {shard.split for shard in job.shards}
    planners = {split: _planner(recipe, clips, split) for split in splits}  # refuses what can't be
    with _exchange(engine.options) as path:
        engine.run(engine.pipeline(PlanScenes(job, path)))
        rows = _handed_over(path) if job.shards else []
    seconds = time.monotonic() - began_s
    found = {row["split"]: _described(row, planners[row["split"]], clips) for row in rows}
    scenes = sum(values["scenes"] for values in found.values())
    return {
        "scenes": scenes,
        "seconds": seconds,
        "scenes_per_s": scenes / seconds,
        "splits": {split: found[split] for split in SPLITS if split in found},
    }


class PlanScenes(beam.PTransform):
    """A pipeline's beginning → the path of the summary."""

    def __init__(self, job: SynthesisJob, path: str) -> None:
        super().__init__()
        self._job = job
        self._path = path

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:
        """Add the line of steps."""
        return (
            begin
            | "Shard specs" >> beam.Create(self._job.shards)  # ShardSpec
            | "Spread" >> beam.Reshuffle()
            | "Plan shards" >> beam.ParDo(CountPlans(self._job))  # PlanCounts
            | "Sum up" >> beam.CombineGlobally(_sum).without_defaults()  # list[PlanCounts]
            | "Hand over" >> beam.Map(_hand_over, self._path)  # path
        )


class CountPlans(beam.DoFn):
    """ShardSpec → PlanCounts. Reads the bank's index, no audio."""

    def __init__(self, job: SynthesisJob) -> None:
        self._job = job
        self._planners: dict[str, ScenePlanner] = {}

    def setup(self) -> None:
        """Open what all shards of this worker share."""
        self._bank = open_bank(self._job.bank, self._job.bank_digest)

    def process(self, spec: ShardSpec) -> Iterator[PlanCounts]:
        """Plan one shard."""
        if spec.split not in self._planners:
            self._planners[spec.split] = _planner(self._job.recipe, self._bank, spec.split)
        yield count_plans(spec, self._planners[spec.split])


def _planner(recipe: Recipe, bank: ClipBank, split: str) -> ScenePlanner:
    return ScenePlanner(recipe, split_clips(bank.clips, recipe.splits)[split], split)


def _sum(parts: Iterable[PlanCounts | list[PlanCounts]]) -> list[PlanCounts]:
    flat: list[PlanCounts] = []
    for part in parts:
        flat.extend(part) if isinstance(part, list) else flat.append(part)
    return summed_plans(flat)


def _hand_over(sums: list[PlanCounts], path: str) -> str:
    files.write_text(path, json.dumps([asdict(part) for part in sums]))
    return path


@contextlib.contextmanager
def _exchange(options: PipelineOptions) -> Iterator[str]:
    """A path that the worker which sums up can write and this process can read."""
    shared = options.view_as(GoogleCloudOptions).temp_location
    with tempfile.TemporaryDirectory() as local:
        path = files.join(shared or local, f"wakebeam-plans-{uuid.uuid4().hex}.json")
        try:
            yield path
        finally:
            files.delete([path])


def _handed_over(path: str) -> list[dict[str, Any]]:
    if not files.exists(path):
        raise RequestError(
            f"the workers wrote their sum to {path}, and it isn't here",
            expected="a folder that this machine and all workers share",
            fix="name one, or a URI, by --temp_location=…",
        )
    rows: list[dict[str, Any]] = json.loads(files.read_text(path))
    return rows


def _described(row: dict[str, Any], planner: ScenePlanner, bank: ClipBank) -> dict[str, Any]:
    counts, spec = row["counts"], planner.spec
    second = spec.sample_rate_hz
    return {
        "scenes": row["num_scenes"],
        "hours": row["num_scenes"] * spec.num_samples / second / _S_IN_HOUR,
        "event_hours_by_label": {
            label: number / second / _S_IN_HOUR
            for label, number in counts["samples_by_label"].items()
        },
        "backgrounds_used": sum(
            bank.clip(source).role == "background" for source in counts["backgrounds"]
        ),
        "level_unit": planner.event_unit,
        "rejected": row["num_rejected"],
        "rejects": row["rejects"],
        "counts": counts,
    }
