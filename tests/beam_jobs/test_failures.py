"""Killed, full, read-only, refused, out of clock: nothing is lost, and the same command goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from beam_jobs.job import SynthesisJob
from beam_jobs.synthesize import synthesize
from beam_jobs.transforms import MakeShard
from beam_jobs.verification import verify
from schemas.dataset import plan_shards
from schemas.errors import AudioError, DatasetError, RequestError
from tests.beam_jobs.small_disk import mounted
from tests.beam_jobs.small_job import job_recipe, shard_digests


def test_killed_in_mid_job_resumes_to_the_same_bytes(bank, tmp_path) -> None:
    made = job_recipe(train=400)
    calm = synthesize(made, bank.directory, str(tmp_path / "calm"), num_workers=2)
    out = tmp_path / "killed"
    recipe_json = tmp_path / "recipe.json"
    recipe_json.write_text(made.model_dump_json(by_alias=True))
    code = (
        "import sys; from pathlib import Path; from schemas.recipe import Recipe\n"
        "from beam_jobs.synthesize import synthesize\n"
        "synthesize(Recipe.model_validate_json(Path(sys.argv[1]).read_text()), "
        "Path(sys.argv[2]), sys.argv[3])"
    )
    command = [sys.executable, "-c", code, str(recipe_json), str(bank.directory), str(out)]
    process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(list(out.rglob("*.tfrecord"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (out / "manifest.json").exists(), "killed too late to show anything"
    with pytest.raises(DatasetError, match=r"manifest\.json"):
        verify(str(out))
    result = synthesize(made, bank.directory, str(out), num_workers=2)
    assert result.num_reused >= 3
    assert shard_digests(out) == shard_digests(tmp_path / "calm")
    assert result.manifest.identity() == calm.manifest.identity()
    assert not list(out.rglob("*.tmp-*"))
    assert verify(str(out)).problems == ()


def test_a_shard_that_fails_is_named_and_the_rest_is_kept(bank, tmp_path, monkeypatch) -> None:
    import beam_jobs.shard_line as job

    real = job.write_shard

    def failing(spec, **more):
        if spec.split == "validation":
            raise OSError("no space left on device")
        return real(spec, **more)

    monkeypatch.setattr(job, "write_shard", failing)
    out = tmp_path / "data"
    with pytest.raises(DatasetError, match=r"validation/validation-00000.*no space left"):
        synthesize(job_recipe(), bank.directory, str(out), num_workers=1)
    assert not (out / "manifest.json").exists()
    assert json.loads((out / "failures.json").read_text())
    monkeypatch.undo()
    assert synthesize(job_recipe(), bank.directory, str(out), num_workers=1).num_reused >= 4


def _with_bad_scenes(monkeypatch, bad: set[int]) -> None:
    from pipeline.scene_source import SceneSource

    real = SceneSource.__getitem__

    def getitem(self, index: int):
        if index in bad and self.planner._split == "train":
            raise AudioError("a clip went bad")
        return real(self, index)

    monkeypatch.setattr(SceneSource, "__getitem__", getitem)


def test_scenes_that_can_not_be_made_fail_the_job_by_address(bank, tmp_path, monkeypatch) -> None:
    _with_bad_scenes(monkeypatch, {3, 17})
    out = tmp_path / "data"
    with pytest.raises(DatasetError, match=r"train/000000003: a clip went bad \(2 of 34 examples"):
        synthesize(job_recipe(), bank.directory, str(out), num_workers=1)
    rows = [json.loads(line) for line in (out / "rejects.jsonl").open()]
    assert [row["example_id"] for row in rows] == ["train/000000003", "train/000000017"]
    assert not (out / "manifest.json").exists()
    monkeypatch.undo()
    result = synthesize(job_recipe(), bank.directory, str(out), num_workers=1)
    assert result.num_made == 2, "the shards that lack an example are made again"
    calm = synthesize(job_recipe(), bank.directory, str(tmp_path / "calm"), num_workers=1)
    assert result.manifest.identity() == calm.manifest.identity()
    assert shard_digests(out) == shard_digests(tmp_path / "calm")
    assert not (out / "rejects.jsonl").exists()


def test_a_recipe_may_allow_some_scenes_to_fail(bank, tmp_path, monkeypatch) -> None:
    _with_bad_scenes(monkeypatch, {3, 17})
    out = tmp_path / "data"
    some = job_recipe(dataset={"max_reject_fraction": 0.1})
    manifest = synthesize(some, bank.directory, str(out), num_workers=1).manifest
    assert manifest.num_rejected == {"train": 2, "validation": 0, "test": 0}
    assert manifest.num_examples("train") == 22
    rejects = (out / "rejects.jsonl").read_text()
    assert len(rejects.splitlines()) == 2
    assert verify(str(out)).problems == ()
    (out / "manifest.json").unlink()
    again = synthesize(some, bank.directory, str(out), num_workers=1)
    assert (again.num_made, again.manifest.identity()) == (0, manifest.identity())
    assert (out / "rejects.jsonl").read_text() == rejects, "no shard is made again for them"


def test_two_jobs_never_work_on_one_folder(bank, tmp_path) -> None:
    from beam_jobs import output_state

    out = tmp_path / "data"
    with output_state.alone(str(out)):
        with pytest.raises(RequestError, match="another job is at work"):
            synthesize(job_recipe(), bank.directory, str(out), num_workers=1)
        with pytest.raises(RequestError, match="another job is at work"):
            synthesize(job_recipe(seed=8), bank.directory, str(out), num_workers=1, overwrite=True)
    assert not list(out.rglob("*.tfrecord"))
    assert synthesize(job_recipe(), bank.directory, str(out), num_workers=1).num_made >= 6
    with output_state.alone(str(out)):
        assert synthesize(job_recipe(), bank.directory, str(out)).already_complete


def test_clocks_that_jump_change_nothing(bank, tmp_path, monkeypatch) -> None:
    calm = synthesize(job_recipe(), bank.directory, str(tmp_path / "calm"), num_workers=1)
    jumps = iter(np.tile([2e9, 1.0, -5.0, 1.7e9], 10_000).tolist())
    monkeypatch.setattr("beam_jobs.transforms.time.time", lambda: next(jumps))
    jumped = synthesize(job_recipe(), bank.directory, str(tmp_path / "jumped"), num_workers=1)
    assert jumped.manifest.identity() == calm.manifest.identity()
    assert shard_digests(tmp_path / "jumped") == shard_digests(tmp_path / "calm")


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """3 MiB."""
    with mounted(tmp_path / "disk", "3m") as disk:
        yield disk


def test_a_full_disk_fails_by_name_and_room_on_it_lets_the_job_go_on(bank, small_disk) -> None:
    """34 examples of 192 kB don't fit; what is whole stays, nothing half-written is left."""
    out = small_disk / "data"
    with pytest.raises(DatasetError, match="[Nn]o space left"):
        synthesize(job_recipe(), bank.directory, str(out), num_workers=2)
    assert not (out / "manifest.json").exists()
    assert not list(out.rglob("*.tmp-*"))
    kept = shard_digests(out)
    assert kept
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    result = synthesize(job_recipe(), bank.directory, str(out), num_workers=2)
    assert result.num_reused == len(kept)
    assert {name: shard_digests(out)[name] for name in kept} == kept
    assert verify(str(out), deep=True).problems == ()


def test_a_read_only_disk_is_named_and_a_complete_data_set_on_it_is_fine(bank, small_disk) -> None:
    out = small_disk / "data"
    few = job_recipe(train=2, dataset={"num_examples": {"train": 2, "validation": 1, "test": 1}})
    synthesize(few, bank.directory, str(out), num_workers=1)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert synthesize(few, bank.directory, str(out), num_workers=1).already_complete
    assert verify(str(out)).problems == ()
    with pytest.raises(OSError, match="[Rr]ead-only"):
        synthesize(few, bank.directory, str(small_disk / "other"), num_workers=1)


def _fails_first(monkeypatch, times: int, error: Exception) -> list[int]:
    """Let one scene fail so many times, then be made; return its failures as they come."""
    from pipeline.scene_source import SceneSource

    real, failed = SceneSource.__getitem__, []

    def getitem(self, index: int):
        if index == 3 and self.planner._split == "train" and len(failed) < times:
            failed.append(index)
            raise error
        return real(self, index)

    monkeypatch.setattr(SceneSource, "__getitem__", getitem)
    return failed


def test_a_failure_that_passes_costs_no_scene(bank, tmp_path, monkeypatch) -> None:
    """A store that doesn't answer once is tried again; no scene is called impossible for it."""
    calm = synthesize(job_recipe(), bank.directory, str(tmp_path / "calm"), num_workers=1)
    failed = _fails_first(monkeypatch, 2, OSError("connection reset"))
    some = job_recipe(dataset={"max_reject_fraction": 0.5})
    made = synthesize(some, bank.directory, str(tmp_path / "data"), num_workers=1)
    assert len(failed) == 2
    assert made.manifest.identity() == calm.manifest.identity()


@pytest.mark.parametrize("times, num_rejected", [(1, 0), (2, 1)])
def test_a_scene_is_tried_twice_before_it_is_a_reject(
    bank, tmp_path, monkeypatch, times: int, num_rejected: int
) -> None:
    _fails_first(monkeypatch, times, RuntimeError("what nobody has thought of"))
    some = job_recipe(dataset={"max_reject_fraction": 0.5})
    made = synthesize(some, bank.directory, str(tmp_path / "data"), num_workers=1)
    assert made.manifest.num_rejected["train"] == num_rejected


def test_an_error_of_a_stores_own_is_a_failure_to_read(tmp_path, monkeypatch) -> None:
    from beam_jobs import files

    class StoreError(Exception):
        """As those of S3's and Google's clients, which are no OSError."""

    def refused(path: str):
        raise StoreError("the token has expired")

    (tmp_path / "pack").write_bytes(b"1234")
    monkeypatch.setattr(files, "open_bytes", refused)
    with pytest.raises(OSError, match="the token has expired"):
        files.copy_to_local(str(tmp_path / "pack"), tmp_path / "copy")
    assert [path.name for path in tmp_path.iterdir()] == ["pack"]


def test_killed_while_the_very_first_file_is_written(bank, tmp_path) -> None:
    out = tmp_path / "data"
    out.mkdir()
    (out / "job.json.tmp-0123").write_text("{")
    (out / "job.lock").touch()
    synthesize(job_recipe(), bank.directory, str(out), num_workers=1)
    assert not list(out.rglob("*.tmp-*"))


def test_a_job_that_was_replaced_writes_nothing_more(bank, tmp_path) -> None:
    """As in an object store, where no lock keeps two jobs apart."""
    out = str(tmp_path / "data")
    synthesize(job_recipe(seed=8), bank.directory, out, num_workers=1)
    before = shard_digests(tmp_path / "data")
    text = job_recipe().model_dump_json(by_alias=True)
    outlived = MakeShard(SynthesisJob(text, bank.location, bank.digest, out))
    outlived.setup()
    (report,) = outlived.process(plan_shards(job_recipe())[0])
    assert report.status == "failed"
    assert "another job has taken over" in report.error
    assert shard_digests(tmp_path / "data") == before
