"""What an engine loses, repeats or lets others write over never ends in a manifest."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

import beam_jobs.shard_line as shard_line
from beam_jobs import files, output_state
from beam_jobs.job import SynthesisJob
from beam_jobs.synthesize import synthesize
from beam_jobs.transforms import CloseDataset, MakeShard
from beam_jobs.verification import verify
from schemas.dataset import ShardReport
from tests.beam_jobs.small_job import job_recipe, shard_digests


@pytest.fixture
def made(bank, tmp_path) -> tuple[SynthesisJob, list[ShardReport], Path]:
    """All shards of a job and their reports, before the data set is closed."""
    out = tmp_path / "data"
    text = job_recipe().model_dump_json(by_alias=True)
    job = SynthesisJob(text, bank.location, bank.digest, str(out))
    output_state.begin(job)
    maker = MakeShard(job)
    maker.setup()
    return job, [report for spec in job.shards for report in maker.process(spec)], out


def _closed(job: SynthesisJob, reports: list[ShardReport]) -> dict[str, str]:
    """Close a data set; return the failures, none where it is complete."""
    list(CloseDataset(job).process(reports))
    failures = Path(job.out, "failures.json")
    assert failures.exists() != Path(job.out, "manifest.json").exists()
    return json.loads(failures.read_text()) if failures.exists() else {}


def test_a_report_that_was_lost_fails_the_job_by_the_shards_name(made) -> None:
    job, reports, out = made
    failures = _closed(job, reports[1:])
    assert failures == {reports[0].name: "the engine brought no report of it"}
    assert _closed(job, reports) == {}, "a second closing, with all of them, is complete"
    assert verify(str(out), deep=True).problems == ()
    assert _closed(job, reports[1:]), "and a third, without one, is not"


def test_a_report_that_comes_twice_counts_once(made) -> None:
    job, reports, out = made
    lost = dataclasses.replace(reports[2], status="failed", error="a worker was lost", crc32c="")
    assert _closed(job, [lost, *reports, reports[0]]) == {}
    manifest = json.loads((out / "manifest.json").read_text())
    assert [shard["name"] for shard in manifest["shards"]] == [report.name for report in reports]
    assert verify(str(out), deep=True).problems == ()


def test_a_shard_of_too_few_examples_or_of_no_plan_fails_the_job(made) -> None:
    job, reports, _ = made
    short = dataclasses.replace(reports[1], num_examples=reports[1].num_examples - 1)
    stray = dataclasses.replace(reports[1], name="train/train-00099-of-00005.tfrecord")
    failures = _closed(job, [reports[0], short, *reports[2:], stray])
    assert set(failures) == {short.name, stray.name}
    assert "planned for" in failures[short.name]
    assert "isn't planned" in failures[stray.name]


def test_a_shard_that_something_else_wrote_over_fails_the_job_and_is_made_again(made, bank) -> None:
    job, reports, out = made
    whole = shard_digests(out)
    (out / reports[0].name).write_bytes(b"an older job's")
    (out / reports[1].name).unlink()
    failures = _closed(job, reports)
    assert set(failures) == {reports[0].name, reports[1].name}
    assert "something else wrote there" in failures[reports[0].name]
    result = synthesize(job_recipe(), bank.directory, str(out), num_workers=1)
    assert result.num_made == 2
    assert shard_digests(out) == whole


@pytest.mark.parametrize("taken", ["by another job", "away"])
def test_a_job_that_is_replaced_while_it_renders_names_no_shard(made, taken, monkeypatch) -> None:
    job, _, out = made
    first = job.shards[0]
    (out / first.name).unlink()
    maker = MakeShard(job)
    maker.setup()
    real = MakeShard.source

    def source(self, split):  # by when the first look at job.json is over
        if taken == "away":
            (out / "job.json").unlink()
        else:
            other = dataclasses.replace(job, first_example={"train": 100})
            files.write_text(str(out / "job.json"), json.dumps(other.identity))
        return real(self, split)

    monkeypatch.setattr(MakeShard, "source", source)
    (report,) = maker.process(first)
    assert report.status == "failed"
    assert "another job has taken over" in report.error
    assert not (out / first.name).exists()
    assert not list(out.rglob("*.tmp-*"))


def test_what_one_worker_failed_at_is_made_by_the_next(bank, tmp_path, monkeypatch) -> None:
    """Three tries fail, as on a machine whose disk is full; the fourth is the second step's."""
    real, tries = shard_line.write_shard, []

    def failing(spec, **more):
        if spec.split == "validation":
            tries.append(spec.name)
            if len(tries) <= 3:
                raise OSError("no space left on device")
        return real(spec, **more)

    monkeypatch.setattr(shard_line, "write_shard", failing)
    out = tmp_path / "data"
    synthesize(job_recipe(), bank.directory, str(out), num_workers=1)
    assert len(tries) == 4
    assert verify(str(out), deep=True).problems == ()
