"""Real processes, killed: nothing lost, nothing left behind, nobody waits for ever."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.wakebeam.conftest import make_workplace

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="finds processes through /proc"
)


def test_chaos_in_short() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/chaos", "--kills", "4", "--seed", "5", "--scenes", "600"],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 kills" in done.stdout
    assert "all as the calm one" in done.stdout


def _workers(session: int) -> list[int]:
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            fields = (place / "stat").read_text().rpartition(")")[2].split()
            line = (place / "cmdline").read_bytes()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z" and b"beam_jobs.worker" in line:
            found.append(int(place.name))
    return found


def _until(condition, limit_s: float = 60.0) -> bool:
    end_s = time.monotonic() + limit_s
    while time.monotonic() < end_s:
        if condition():
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("whom", ["worker as it starts", "main"])
def test_one_process_killed_ends_the_job_and_leaves_no_other(tmp_path, whom: str) -> None:
    place = make_workplace(tmp_path)
    counts = "dataset.num_examples={train: 3000, validation: 0, test: 0}"
    job = subprocess.Popen(
        [sys.executable, "-m", "wakebeam.cli", "synth", "w", "--set", counts],
        cwd=place.folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert _until(lambda: _workers(job.pid))
    os.kill(_workers(job.pid)[0] if whom != "main" else job.pid, signal.SIGKILL)
    _, said = job.communicate(timeout=150)
    if whom == "main":
        assert job.returncode == -signal.SIGKILL
    else:
        assert job.returncode == 1
        assert "the same command keeps the shards that are done and goes on" in said
    assert _until(lambda: not _workers(job.pid), 15.0), "a worker outlived its job"
    place("synth", "w", "--set", counts)
    place("verify", "w/data", "--deep")


_END_BEFORE_THE_WORKER_CONNECTS = """
from apache_beam.portability.api import beam_provision_api_pb2
from apache_beam.runners.pipeline_context import PipelineContext
from apache_beam.runners.portability.fn_api_runner.fn_runner import ExtendedProvisionInfo
from apache_beam.runners.portability.fn_api_runner.worker_handlers import WorkerHandlerManager
from beam_jobs.local_workers import watched_subprocesses

environment = watched_subprocesses().to_runner_api(PipelineContext())
information = ExtendedProvisionInfo(beam_provision_api_pb2.ProvisionInfo())
manager = WorkerHandlerManager({"ours": environment}, information)
manager.get_worker_handlers("ours", 1)
manager.close_all()
"""


def test_a_worker_that_connects_after_its_job_has_ended_ends_too() -> None:
    script = [sys.executable, "-c", _END_BEFORE_THE_WORKER_CONNECTS]
    subprocess.run(script, cwd=ROOT, timeout=150, check=True, capture_output=True)
