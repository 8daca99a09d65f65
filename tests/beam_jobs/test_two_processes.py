"""Real processes in each other's way, and a folder that is taken from one: as on a shared disk."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from beam_jobs.synthesize import synthesize
from beam_jobs.verification import verify
from schemas.recipe import Recipe
from tests.beam_jobs.small_disk import mounted
from tests.beam_jobs.small_job import job_recipe, shard_digests

_DEADLINE_S = 90


class Job:
    """`python -m beam_jobs.synthesize` in a process group of its own."""

    def __init__(
        self, made: Recipe, bank, out: Path, where: Path, before: Sequence[str] = ()
    ) -> None:
        self.out = out
        recipe = where / f"recipe-{made.seed}.json"
        recipe.write_text(made.model_dump_json(by_alias=True))
        command = [*before, sys.executable, "-m", "beam_jobs.synthesize", "--recipe", str(recipe)]
        command += ["--bank", str(bank.directory), "--out", str(out)]
        self._said = where / f"said-{made.seed}.txt"
        with self._said.open("w") as said:
            self.process = subprocess.Popen(
                command, stderr=said, stdout=said, start_new_session=True
            )

    def wait_for_shards(self, count: int) -> None:
        """Until so many are whole."""
        deadline = time.monotonic() + _DEADLINE_S
        while len(shard_names(self.out)) < count and time.monotonic() < deadline:
            assert self.process.poll() is None, self.said()
            time.sleep(0.01)

    def said(self) -> str:
        return self._said.read_text()

    def end(self) -> int:
        return self.process.wait(timeout=_DEADLINE_S)

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def shard_names(out: Path) -> list[str]:
    return [path.name for path in out.glob("*/*.tfrecord")]


def test_a_second_job_on_the_folder_is_refused_and_the_first_ends_whole(bank, tmp_path) -> None:
    out = tmp_path / "data"
    first = Job(job_recipe(train=400), bank, out, tmp_path)
    first.wait_for_shards(1)
    os.killpg(first.process.pid, signal.SIGSTOP)  # it stays in the middle of its work
    second = Job(job_recipe(train=400, seed=8), bank, out, tmp_path)
    assert second.end() != 0
    assert "holds a data set made from something else" in second.said()
    third = Job(job_recipe(train=400), bank, out, tmp_path)
    assert third.end() != 0
    assert "another job is at work on" in third.said()
    os.killpg(first.process.pid, signal.SIGCONT)
    assert first.end() == 0
    assert verify(str(out), deep=True).problems == ()


@pytest.fixture
def bound_by_permissions() -> list[str]:
    """What goes before a command so that permissions count for it, which root looks over."""
    if os.geteuid() != 0:
        return []
    if not shutil.which("setpriv"):
        pytest.skip("permissions don't bind root, and there is no setpriv to change that")
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]


def test_permission_that_is_lost_is_named_and_given_back_lets_the_job_go_on(
    bank, tmp_path, bound_by_permissions
) -> None:
    out, made = tmp_path / "data", job_recipe(train=400)
    job = Job(made, bank, out, tmp_path, before=bound_by_permissions)
    job.wait_for_shards(2)
    (out / "train").chmod(0o500)
    assert job.end() != 0
    assert "Permission denied" in job.said()
    assert not (out / "manifest.json").exists()
    kept = shard_digests(out)
    assert 2 <= len(kept) < 80
    (out / "train").chmod(0o700)
    assert synthesize(made, bank.directory, str(out)).num_reused == len(kept)
    assert not list(out.rglob("*.tmp-*"))
    assert kept.items() <= shard_digests(out).items()
    calm = synthesize(made, bank.directory, str(tmp_path / "calm"))
    assert shard_digests(out) == shard_digests(tmp_path / "calm")
    assert verify(str(out)).stored.manifests[0].identity() == calm.manifest.identity()


def test_a_partial_data_set_on_a_disk_that_became_read_only(bank, tmp_path) -> None:
    made = job_recipe(train=400)
    with mounted(tmp_path / "disk", "200m") as disk:
        out = disk / "data"
        job = Job(made, bank, out, tmp_path)
        job.wait_for_shards(3)
        job.kill()
        kept = shard_digests(out)
        read_only = ["mount", "-o", "remount,ro", str(disk)]
        deadline = time.monotonic() + _DEADLINE_S
        while subprocess.run(read_only, capture_output=True).returncode:  # until workers are gone
            assert time.monotonic() < deadline
            time.sleep(0.05)
        refused = Job(made, bank, out, tmp_path)
        assert refused.end() != 0
        assert "Read-only" in refused.said()
        assert shard_digests(out) == kept
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
        result = synthesize(made, bank.directory, str(out))
        assert result.num_reused == len(kept)
        assert verify(str(out), deep=True).problems == ()
