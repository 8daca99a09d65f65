"""The job on each engine: the same bytes, each shard rendered once, also if a worker is lost."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from beam_jobs.stored import read_dataset
from tests.audio_factory import material
from tests.beam_jobs.small_job import shard_digests
from tests.integration.services import environment, free_port, listens, service, until

SETTINGS = (
    "dataset.num_examples={train: 160, validation: 20, test: 20}",
    "dataset.shard_bytes=4MiB",
    "scene.duration_s=10.0",
    "scene.effects={speed: [0.9, 1.1]}",
)


@dataclass(frozen=True)
class Place:
    folder: Path

    def command(self, out: str, *options: str) -> list[str]:
        settings = [word for setting in SETTINGS for word in ("--set", setting)]
        synth = [sys.executable, "-m", "wakebeam.cli", "synth", "recipe.yaml", "--out", out]
        return [*synth, *settings, *options]

    def environment(self, out: str) -> dict[str, str]:
        return environment(AUDIT_RENAMES=str(self.folder / f"{out}.renames"))

    def renders(self, out: str) -> Counter[str]:
        lines = (self.folder / f"{out}.renames").read_text().splitlines()
        return Counter(line.split(" ", 1)[1] for line in lines)

    def synth(self, out: str, *options: str) -> None:
        done = subprocess.run(
            self.command(out, *options), cwd=self.folder, env=self.environment(out),
            capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    def check(self, out: str) -> None:
        """Complete, as the calm one, and each shard made once."""
        calm, made = self.folder / "calm", self.folder / out
        assert shard_digests(made) == shard_digests(calm)
        assert read_dataset(str(made)).identity() == read_dataset(str(calm)).identity()
        renders = self.renders(out)
        assert set(renders.values()) == {1}, renders
        assert len(renders) == len(shard_digests(calm)) >= 14


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Place:
    folder = tmp_path_factory.mktemp("engines of many kinds")
    material(folder)
    words = ("--keyword", "kw", "--negative", "other", "--background", "noise")
    init = [sys.executable, "-m", "wakebeam.cli", "init", ".", *words]
    subprocess.run(init, cwd=folder, env=environment(), check=True, capture_output=True)
    made = Place(folder)
    made.synth("calm")
    made.check("calm")
    return made


@pytest.mark.parametrize(
    ("out", "options"),
    [
        ("direct", ["--runner=DirectRunner"]),
        ("memory", ["--runner=FnApiRunner"]),
        ("threads", ["multi_threading"]),
        ("processes", ["multi_processing"]),
    ],
)
def test_engines_of_one_machine(place, out: str, options: list[str]) -> None:
    if not options[0].startswith("--"):
        mode = f"--direct_running_mode={options[0]}"
        options = ["--runner=FnApiRunner", mode, "--direct_num_workers=2"]
    place.synth(out, *options)
    place.check(out)


@pytest.mark.parametrize("kind", ["LOOPBACK", "EXTERNAL"])
def test_portable_runner_and_a_job_service(place, tmp_path, kind: str) -> None:
    out = kind.lower()
    env = place.environment(out)
    port_file = tmp_path / "port"
    main = "apache_beam.runners.portability.local_job_service_main"
    with contextlib.ExitStack() as stack:
        log = tmp_path / "service.log"
        stack.enter_context(service(log, main, "--port_file", port_file, env=env))
        until(lambda: port_file.exists() and port_file.read_text().strip(), log=log)
        options = [f"--job_endpoint=localhost:{port_file.read_text().strip()}"]
        if kind == "EXTERNAL":
            port = free_port()
            pool, log = "apache_beam.runners.worker.worker_pool_main", tmp_path / "pool.log"
            stack.enter_context(service(log, pool, "--service_port", port, env=env))
            until(lambda: listens(port), log=log)
            options.append(f"--environment_config=localhost:{port}")
        place.synth(out, "--runner=PortableRunner", f"--environment_type={kind}", *options)
    place.check(out)


def test_dask_with_two_workers_of_which_one_is_lost(place, tmp_path) -> None:
    """The other worker makes what the lost one had begun, and nothing else twice."""
    out = "dask"
    env = place.environment(out)
    scheduler_file = tmp_path / "scheduler.json"
    with contextlib.ExitStack() as stack:
        log = tmp_path / "scheduler.log"
        where = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        scheduler = "distributed.cli.dask_scheduler"
        stack.enter_context(
            service(log, scheduler, *where, "--scheduler-file", scheduler_file, env=env)
        )
        until(scheduler_file.exists, log=log)
        workers = []
        for i in range(2):
            words = ("--nthreads", 1, "--nworkers", 1, "--no-nanny", "--no-dashboard")
            logs = tmp_path / f"worker{i}.log"
            worker = service(
                logs, "distributed.cli.dask_worker", "--scheduler-file", scheduler_file, *words,
                "--local-directory", tmp_path / f"scratch{i}", env=env,
            )  # fmt: skip
            workers.append(stack.enter_context(worker))
            until(lambda logs=logs: "Registered to" in logs.read_text(), log=logs)
        address = json.loads(scheduler_file.read_text())["address"]
        options = ["--runner=dask", f"--dask_client_address={address}"]
        job = subprocess.Popen(
            place.command(out, *options), cwd=place.folder, env=env,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        renames = place.folder / f"{out}.renames"
        lost = workers[0].pid
        until(lambda: renames.exists() and f"{lost} " in renames.read_text())
        time.sleep(0.05)
        os.kill(lost, signal.SIGKILL)
        made_before = renames.read_text().count(f"{lost} ")
        _, said = job.communicate(timeout=300)
        assert job.returncode == 0, said
        assert not (place.folder / out / "failures.json").exists()
    pids = {line.split(" ", 1)[0] for line in renames.read_text().splitlines()}
    assert pids == {str(worker.pid) for worker in workers}, "both made some"
    calm = shard_digests(place.folder / "calm")
    assert shard_digests(place.folder / out) == calm
    renders = place.renders(out)
    twice = sum(count - 1 for count in renders.values())
    assert len(renders) == len(calm)
    assert twice == 0 <= made_before < len(calm), renders
    assert read_dataset(str(place.folder / out)).identity() == (
        read_dataset(str(place.folder / "calm")).identity()
    )


def test_dask_is_refused_where_it_would_do_wrong(place) -> None:
    for options, says in (
        (["--runner=dask"], "no Dask scheduler is named"),
        (["--runner=dask", "--dask_client_address=tcp://127.0.0.1:9", "--dask_npartitions=1"],
         "the number of shards"),
    ):  # fmt: skip
        done = subprocess.run(
            place.command("refused", *options), cwd=place.folder, env=environment(),
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 2
        assert says in done.stderr
    assert not (place.folder / "refused").exists()
