"""Which Beam runner does the work, with which options, and what it is kept from getting wrong.

Our default is Beam's own local engine by its own name, with two processes (local_workers.py):
`DirectRunner` would first look for Prism and try to download it. Any other is named by
`--runner`, such as `dask`, `portable` or `dataflow`, with its own options.

Dask, as of Beam 2.72, gives all work to one worker unless it is told the number of partitions,
and leaves its client open. Both are seen to here. What else it gets wrong (side inputs, branches)
our one straight line has none of.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence

import apache_beam as beam
from apache_beam.options.pipeline_options import (
    DirectOptions,
    PipelineOptions,
    StandardOptions,
)
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.runner import PipelineRunner, create_runner

from beam_jobs import dataflow, files, hdfs_files
from beam_jobs.local_workers import watched_subprocesses
from schemas.errors import DatasetError, RequestError

DEFAULT_RUNNER = "FnApiRunner"
DEFAULT_NUM_WORKERS = 2
_DASK_RUNNER = "apache_beam.runners.dask.dask_runner.DaskRunner"  # Beam has no short name for it


class Engine:
    """A runner and its options.

    Args:
        arguments: meant for Beam, such as `["--runner=DataflowRunner", "--region=…"]`.
        num_workers: local processes, where no runner is named.
        num_shards: pieces of work that the job has.
        places: all that workers read and, last, where they write.

    Attributes:
        options: ours are only defaults.
        runner: a fresh one.
        is_dry_run: Dataflow is to describe the job and not to run it.

    Raises:
        RequestError: an option is malformed, unknown to Beam, or the runner can't do the job.
    """

    def __init__(
        self,
        arguments: list[str],
        *,
        num_workers: int,
        num_shards: int,
        places: Sequence[str],
    ) -> None:
        self.options = _parsed(arguments, num_workers)
        files.use_options(self.options)
        self.name = (self.options.view_as(StandardOptions).runner or DEFAULT_RUNNER).lower()
        if self._is("dask"):
            _divide_for_dask(self.options, num_shards)
        self.is_dry_run = self._is("dataflow") and dataflow.is_dry_run(self.options)
        if self._is("dataflow"):
            dataflow.prepare(self.options, num_shards=num_shards, places=places)
        self.runner = self._make_runner()

    def pipeline(self, step: beam.PTransform) -> beam.Pipeline:
        """Return a pipeline of one step, for this engine."""
        pipeline = beam.Pipeline(runner=self.runner, options=self.options)
        _ = pipeline | step
        return pipeline

    def run(self, pipeline: beam.Pipeline) -> None:
        """Run a pipeline to its end.

        Raises:
            JobNotStarted: a dry run or a template was asked for, and is done.
            DatasetError: the engine gave up; shards that are done stay.
        """
        try:
            with contextlib.ExitStack() as stack:
                result = pipeline.run()
                client = getattr(result, "client", None)
                if client is not None:  # Dask's, which its runner leaves open
                    stack.callback(client.close)
                result.wait_until_finish()
        except (KeyboardInterrupt, SystemExit):
            raise
        except Exception as error:
            lines = str(error).strip().splitlines() or [repr(error)]
            why = "a worker may have been killed, as for want of memory; " if self._is_local else ""
            raise DatasetError(
                f"the job stopped: {lines[-1][:300]}",
                fix=f"{why}the same command keeps the shards that are done and goes on",
            ) from error
        if self.is_dry_run or self._is("dataflow") and dataflow.makes_template(self.options):
            raise dataflow.JobNotStarted("the job was prepared as asked, and not started")

    @property
    def _is_local(self) -> bool:
        return self._is("fnapirunner") or self._is("direct")

    def _is(self, name: str) -> bool:
        return name in self.name.rsplit(".", 1)[-1]

    def _make_runner(self) -> PipelineRunner:
        direct = self.options.view_as(DirectOptions)
        if self._is("fnapirunner") and direct.direct_running_mode == "multi_processing":
            direct.direct_running_mode = "in_memory"  # else Beam puts its own environment back
            return FnApiRunner(watched_subprocesses())
        name = self.options.view_as(StandardOptions).runner or DEFAULT_RUNNER
        try:
            return create_runner(_DASK_RUNNER if name.lower() in ("dask", "daskrunner") else name)
        except (ValueError, ImportError, AttributeError) as error:
            raise RequestError(
                f"Beam has no runner {name!r} here ({str(error).splitlines()[0][:200]})",
                expected="FnApiRunner, DirectRunner, dask, dataflow, … or a class's full name",
                fix="dask and dataflow need an extra: pip install 'wakebeam[dask]' or [gcp]",
            ) from error


def _parsed(arguments: list[str], num_workers: int) -> PipelineOptions:
    names = {argument.split("=", 1)[0] for argument in arguments}
    machines = sorted(names & {"--num_workers", "--max_num_workers"})
    if machines and not dataflow.names_dataflow(arguments):
        raise RequestError(
            f"{machines[0]} counts the machines of Dataflow, and the runner is another",
            expected="--num-workers=N, with a hyphen, for local processes",
            fix="other runners have options of their own: docs/scale.md",
        )
    named = sorted(name for name in names if name.startswith("--hdfs_"))
    if named:
        raise RequestError(
            f"{named[0]}: Beam tells its local workers no options",
            fix=f"name HDFS by {hdfs_files.WEB_SERVICE} in the environment: docs/scale.md",
        )
    stray = [
        argument
        for before, argument in zip(["", *arguments], arguments, strict=False)
        if not argument.startswith("-") and (not before.startswith("--") or "=" in before)
    ]
    if stray:
        raise RequestError(
            f"{stray[0]!r} is neither an option nor the value of one",
            expected="options like --runner=NAME after the recipe",
        )
    defaults = []
    if "--runner" not in names:
        mode = "multi_processing" if num_workers > 1 else "in_memory"
        defaults = [
            f"--runner={DEFAULT_RUNNER}",
            f"--direct_running_mode={mode}",
            f"--direct_num_workers={num_workers}",
        ]
    try:
        options = PipelineOptions([*defaults, *arguments])
        if "dask" in str(options.view_as(StandardOptions).runner).lower():
            import apache_beam.runners.dask.dask_runner  # noqa: F401  else its options are unknown
        unknown = _unknown_options(options, arguments)
    except SystemExit as error:
        raise RequestError(
            f"Beam does not accept {' '.join(arguments)}",
            fix="see `wakebeam synth --help` and Beam's list of pipeline options",
        ) from error
    if unknown:
        raise RequestError(
            f"neither wakebeam nor Beam knows {', '.join(unknown)}",
            fix="see `wakebeam synth --help`; Beam's own options look like --runner=NAME",
        )
    return options


def _divide_for_dask(options: PipelineOptions, num_shards: int) -> None:
    from apache_beam.runners.dask.dask_runner import DaskOptions

    dask = options.view_as(DaskOptions)
    if dask.partition_size or (dask.npartitions or num_shards) < num_shards:
        raise RequestError(
            "these partitions would give one Dask worker several shards at once, which it would "
            "all render again if it is lost",
            expected=f"--dask_npartitions of at least {num_shards}, the number of shards",
            fix="leave --dask_npartitions and --dask_partition_size out: that is the default",
        )
    dask.npartitions = dask.npartitions or num_shards
    if not (dask.address or dask.scheduler_file):
        raise RequestError(
            "no Dask scheduler is named",
            expected="--dask_client_address=tcp://HOST:8786, with scheduler and workers at work",
            fix="docs/scale.md says how to start them; on one machine leave --runner out",
        )


def _unknown_options(options: PipelineOptions, arguments: list[str]) -> list[str]:
    known: set[str] = set()
    options.get_all_options(add_extra_args_fn=lambda p: known.update(p._option_string_actions))
    given = [a.split("=", 1)[0] for a in arguments if re.match("--?[a-zA-Z]", a)]
    return [name for name in given if name not in known]
