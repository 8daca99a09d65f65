"""Running a job that fills a folder with shards: examined, locked, begun, watched, and its outcome.

What is done is kept, what is foreign is never touched (output_state.py), and a shard that can't be
made is reported by name and fails the job.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import apache_beam as beam

from beam_jobs import files, output_state
from beam_jobs.job import ShardJob
from beam_jobs.runners import Engine
from beam_jobs.watching import Progress, watched
from schemas.errors import DatasetError, WakebeamError


def run_job(
    job: ShardJob,
    engine: Engine,
    step: beam.PTransform,
    *,
    lock: str,
    bytes_each: float,
    overwrite: bool = False,
    require: Callable[[], None] = lambda: None,
    prepare: Callable[[], None] = lambda: None,
    progress: Progress | None = None,
) -> bool:
    """Make what is missing of a job's shards; False where nothing was.

    Args:
        job: what to make and where.
        engine: what runs it.
        step: the job as a step of a pipeline.
        lock: the folder that other jobs are kept out of.
        bytes_each: about how long a record is, for progress: engines differ, bytes don't.
        overwrite: replace what the folder holds if it is of another recipe.
        require: called once nobody else can be at work; raises where the job is no longer wanted.
        prepare: called before the pipeline is run.
        progress: called with (examples done, examples in all).

    Raises:
        RequestError: the folder holds something else, or another job is at work there.
        JobNotStarted: a dry run or a template was asked for, and is done.
        DatasetError: shards failed; what was finished is kept and the same command goes on.
    """
    pipeline = engine.pipeline(step)
    if engine.is_dry_run:
        engine.run(pipeline)  # ends by JobNotStarted; nothing was written
    with output_state.alone(lock):
        require()
        try:
            state = output_state.examine(job)
        except WakebeamError:
            if not overwrite:
                raise
            output_state.clear(job.out)
            state = output_state.examine(job)
        if state == "complete":
            return False
        output_state.begin(job)
        prepare()

        def num_done() -> int:
            return int(output_state.bytes_written(job.out) / bytes_each)

        with watched(progress, job.num_examples, job.out, num_done):
            engine.run(pipeline)
        _require_whole(job.out)
    return True


def _require_whole(out: str) -> None:
    failures_path = files.join(out, output_state.FAILURES_NAME)
    if files.exists(failures_path):
        failures = json.loads(files.read_text(failures_path))
        name, reason = next(iter(failures.items()))
        more = f"; {len(failures) - 1} more failed" if len(failures) > 1 else ""
        raise DatasetError(
            f"the data set is not complete: {name}: {reason}{more}",
            fix=f"see {failures_path}; the same command keeps the shards that are done",
        )
