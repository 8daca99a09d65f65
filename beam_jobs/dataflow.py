"""Google Cloud Dataflow: what a job gets there where the user names nothing, and what is refused.

Refused is whatever would cost minutes of machines, or hang, before it fails: no call is made and
nothing is written until the options are whole. Workers see nothing of this machine, so material
and data set lie in buckets, and our own code travels as a wheel (worker_wheel.py). What the wheel
needs is in the image of `--sdk_container_image`; docs/dataflow.md says why each default is what it
is. Public addresses, networks and service accounts are left as Dataflow has them: which of them
work is a matter of the user's project.
"""

from __future__ import annotations

import atexit
import functools
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from apache_beam.options.pipeline_options import (
    DebugOptions,
    GoogleCloudOptions,
    PipelineOptions,
    SetupOptions,
    StandardOptions,
    TestOptions,
    WorkerOptions,
)

from beam_jobs.worker_wheel import write_worker_wheel
from schemas.canonical import digest
from schemas.errors import RequestError, WakebeamError

MACHINE_TYPE = "e2-standard-4"  # bytes don't depend on the CPU, so the cheapest kind will do
SHARDS_AT_ONCE = 4  # on such a machine: Beam starts a process for each vCPU
MOST_MACHINES = 16  # 64 vCPUs, within the quota of many projects
DISK_SIZE_GB = 50  # the image unpacked, a copy of the clip bank, and room

# What must be named: its form, and an example.
_REQUIRED = {
    "project": (r"[a-z][-a-z0-9:.]*[a-z0-9]", "my-project"),
    "region": (r"[a-z]+-[a-z]+\d+", "europe-west1"),
    "temp_location": (r"gs://.+", "gs://my-bucket/tmp"),
    "sdk_container_image": (r"\S+/\S+", "REGION-docker.pkg.dev/PROJECT/REPOSITORY/wakebeam:TAG"),
}
_JOB_NAME = r"[a-z]([-a-z0-9]*[a-z0-9])?"
_BUCKET = r"gs://[a-z0-9][-_.a-z0-9]{1,220}[a-z0-9](/.*)?"


class JobNotStarted(WakebeamError):
    """Not a failure: a dry run or a template ends where the job would begin."""

    exit_code = 0


def prepare(options: PipelineOptions, *, num_shards: int, places: Sequence[str]) -> None:
    """Check the options for Dataflow and fill in what they leave open.

    Args:
        options: changed in place; what the user named stays.
        num_shards: pieces of work that the job has.
        places: all that workers read and, last, where they write.

    Raises:
        RequestError: something is missing or malformed, or workers could not see a place.
    """
    _refuse(options, places)
    google = options.view_as(GoogleCloudOptions)
    # One name for one data set, since Dataflow refuses a second job of a name that is at work.
    google.job_name = google.job_name or f"wakebeam-{digest(places[-1])[:16]}"
    workers = options.view_as(WorkerOptions)
    machines = min(-(-num_shards // SHARDS_AT_ONCE), MOST_MACHINES)
    workers.machine_type = workers.machine_type or MACHINE_TYPE
    workers.disk_size_gb = workers.disk_size_gb or DISK_SIZE_GB
    workers.max_num_workers = workers.max_num_workers or max(machines, workers.num_workers or 0)
    # From the start, since the scaler judges by bytes waiting, and a shard's order has hardly any.
    workers.num_workers = workers.num_workers or workers.max_num_workers
    workers.autoscaling_algorithm = workers.autoscaling_algorithm or "THROUGHPUT_BASED"
    setup = options.view_as(SetupOptions)
    if setup.sdk_location == "default":
        setup.sdk_location = "container"
    setup.save_main_session = bool(setup.save_main_session)  # left open, it would be True
    setup.extra_packages = [*(setup.extra_packages or []), _wheel()]
    # Else a list of all that is installed here, with its paths, is staged too.
    options.view_as(DebugOptions).add_experiment("disable_logging_submission_environment")


def names_dataflow(arguments: Sequence[str]) -> bool:
    """Return whether options for Beam name Dataflow as the runner."""
    runner = PipelineOptions(list(arguments)).view_as(StandardOptions).runner
    return "dataflow" in str(runner).lower()


def is_dry_run(options: PipelineOptions) -> bool:
    """Return whether the job is to be described only, and nothing staged or written."""
    return bool(options.view_as(TestOptions).dry_run)


def makes_template(options: PipelineOptions) -> bool:
    """Return whether the job is to be staged for someone else to start, as a Flex Template's is."""
    return bool(options.view_as(GoogleCloudOptions).template_location)


def _refuse(options: PipelineOptions, places: Sequence[str]) -> None:
    given = options.get_all_options()
    missing = [name for name in _REQUIRED if not given[name]]
    if missing:
        raise RequestError(
            f"Dataflow needs {', '.join(f'--{name}' for name in missing)}",
            fix=" ".join(f"--{name}={_REQUIRED[name][1]}" for name in missing)
            + "; docs/dataflow.md says how to come by them",
        )
    for name, (pattern, example) in _REQUIRED.items():
        _match(f"--{name}", given[name], pattern, f"something like {example}")
    if given["job_name"]:
        expected = "small letters, digits and hyphens, a letter first"
        _match("--job_name", given["job_name"], _JOB_NAME, expected)
    for name in ("temp_location", "staging_location", "template_location"):
        if given[name]:
            _match_bucket(f"--{name}", given[name])
    for place in places:
        if not place.startswith("gs://"):
            raise RequestError(
                f"workers on Dataflow can't see {place}",
                expected="clip bank and data set at gs://BUCKET/…",
                fix="copy the clip bank to a bucket and name it there; docs/dataflow.md",
            )
        _match_bucket("the address", place)


def _match_bucket(what: str, value: str) -> None:
    expected = "gs://BUCKET/…, the bucket's name of 3 letters, digits, hyphens or more"
    _match(what, value, _BUCKET, expected)


def _match(what: str, value: str, pattern: str, expected: str) -> None:
    if not re.fullmatch(pattern, value):
        raise RequestError(f"{what} is {value!r}", expected=expected)


@functools.cache
def _wheel() -> str:
    """Write the wheel once; it must stay until the job is submitted, so until this process ends."""
    folder = tempfile.mkdtemp(prefix="wakebeam-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return str(write_worker_wheel(Path(folder)))
