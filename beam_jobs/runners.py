"""Which Beam runner does the work, and with which options.

Our default is Beam's own local engine by its own name, with two processes (local_workers.py):
`DirectRunner` would first look for Prism and try to download it.
"""

from __future__ import annotations

from apache_beam.options.pipeline_options import (
    DirectOptions,
    PipelineOptions,
    StandardOptions,
)
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.runner import PipelineRunner, create_runner

from beam_jobs.local_workers import watched_subprocesses
from schemas.errors import RequestError

DEFAULT_RUNNER = "FnApiRunner"
DEFAULT_NUM_WORKERS = 2


def beam_options(arguments: list[str], *, num_workers: int) -> PipelineOptions:
    """Parse the options meant for Beam; ours are only defaults.

    Args:
        arguments: such as `["--runner=DataflowRunner", "--region=…"]`.
        num_workers: local processes, where no runner is named.

    Raises:
        RequestError: an option is malformed, unknown to Beam, or the runner can't do the job.
    """
    names = {argument.split("=", 1)[0] for argument in arguments}
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
    runner = options.view_as(StandardOptions).runner or DEFAULT_RUNNER
    if "dask" in runner.lower() and "--dask_npartitions" not in names:
        raise RequestError(
            "DaskRunner without --dask_npartitions gives the whole job to one worker",
            expected="--dask_npartitions of at least the number of shards",
            fix="add --dask_npartitions=N",
        )
    return options


def make_runner(options: PipelineOptions) -> PipelineRunner:
    """Create the runner that `options` name.

    Raises:
        RequestError: Beam has no runner of that name.
    """
    name = options.view_as(StandardOptions).runner or DEFAULT_RUNNER
    direct = options.view_as(DirectOptions)
    if name == "FnApiRunner" and direct.direct_running_mode == "multi_processing":
        direct.direct_running_mode = "in_memory"  # else Beam puts its own environment back
        return FnApiRunner(watched_subprocesses())
    try:
        return create_runner(name)
    except (ValueError, ImportError, AttributeError) as error:
        raise RequestError(
            f"Beam has no runner {name!r} here ({str(error).splitlines()[0][:200]})",
            expected="FnApiRunner, DirectRunner, DataflowRunner, … or a class by its full name",
        ) from error


def _unknown_options(options: PipelineOptions, arguments: list[str]) -> list[str]:
    known = set(options.get_all_options(retain_unknown_options=False))
    given = [a.split("=", 1)[0] for a in arguments if a.startswith("--")]
    return [
        name
        for name in given
        if name[2:] not in known and name[2:].removeprefix("no_") not in known
    ]
