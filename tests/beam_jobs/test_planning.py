"""Plans alone: what is counted of them is what the data set made from them holds."""

from __future__ import annotations

import json
import math
from collections import Counter

import pytest

from beam_jobs.planning import plan_only
from beam_jobs.synthesize import synthesize
from pipeline.plan_counts import count_plans, summed_plans
from pipeline.scene_planner import ScenePlanner
from pipeline.shard_counts import PLANNED_NAMES
from pipeline.splits import split_clips
from schemas.dataset import SceneReject, ShardSpec, plan_shards
from schemas.errors import InfeasibleScene, RequestError
from schemas.recipe import SPLITS
from tests.beam_jobs.small_job import job_recipe
from wakebeam.plan_summary import histogram, summary_text


def _splits(found) -> dict:
    """What must not depend on who planned, nor when."""
    return json.loads(json.dumps(found["splits"]))


def test_counts_of_plans_are_those_of_the_data_set(bank, tmp_path) -> None:
    made = job_recipe(train=60)
    found = plan_only(made, bank.directory, num_workers=1)
    assert found["scenes"] == 70
    manifest = synthesize(made, bank.directory, str(tmp_path / "data"), num_workers=1).manifest
    for split in SPLITS:
        counts = found["splits"][split]["counts"]
        for name in PLANNED_NAMES:
            assert counts[name] == manifest.counts[split][name], (split, name)
        assert found["splits"][split]["scenes"] == manifest.num_examples(split)


def test_levels_and_backgrounds_are_those_of_the_plans(bank) -> None:
    made = job_recipe()
    values = plan_only(made, bank.directory, num_workers=1)["splits"]["train"]
    planner = ScenePlanner(made, split_clips(bank.clips, made.splits)["train"], "train")
    plans = [planner.plan(i) for i in range(24)]
    counts = values["counts"]
    levels = Counter(str(math.floor(e.level_db)) for plan in plans for e in plan.events)
    assert counts["level"] == levels
    assert values["level_unit"] == "snr_db"
    under = Counter(str(math.floor(plan.background_db)) for plan in plans)
    assert counts["background_level"] == under
    heard = Counter(s for plan in plans for s in {piece.source for piece in plan.backgrounds})
    assert counts["backgrounds"] == heard
    assert values["backgrounds_used"] == len(heard)


def test_one_worker_two_workers_and_threads_count_alike(bank) -> None:
    made = job_recipe(train=120)
    threads = ["--runner=FnApiRunner", "--direct_running_mode=multi_threading"]
    one = plan_only(made, bank.directory, num_workers=1)
    two = plan_only(made, bank.directory, num_workers=2)
    other = plan_only(made, bank.directory, beam_arguments=threads)
    assert _splits(one) == _splits(two) == _splits(other)
    assert sum(v["scenes"] for v in one["splits"].values()) == 130


def test_nothing_is_written(bank, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    shared = tmp_path / "shared"
    shared.mkdir()
    before = {path: path.stat().st_mtime_ns for path in bank.directory.rglob("*")}
    for arguments in ([], [f"--temp_location={shared}"]):
        plan_only(job_recipe(), bank.directory, beam_arguments=arguments)
        assert list(tmp_path.rglob("*")) == [shared]
    assert {path: path.stat().st_mtime_ns for path in bank.directory.rglob("*")} == before


def test_what_can_not_be_met_is_refused_as_by_synth(bank) -> None:
    with pytest.raises(InfeasibleScene, match="too few"):
        plan_only(job_recipe(scene={"duration_s": 2.0}), bank.directory)
    with pytest.raises(RequestError, match="--runer"):
        plan_only(job_recipe(), bank.directory, beam_arguments=["--runer=DirectRunner"])


def test_sums_do_not_depend_on_order_or_grouping(bank) -> None:
    made = job_recipe(train=60)
    clips = split_clips(bank.clips, made.splits)
    planners = {split: ScenePlanner(made, clips[split], split) for split in SPLITS}
    parts = [count_plans(spec, planners[spec.split]) for spec in plan_shards(made)]
    at_once = summed_plans(parts)
    in_pieces = summed_plans(summed_plans(parts[5:]) + summed_plans(parts[:5]))
    assert at_once == in_pieces == summed_plans(reversed(parts))


def test_scenes_that_can_not_be_planned_are_counted_and_the_first_named() -> None:
    class Planner:
        def plan(self, index: int) -> None:
            raise InfeasibleScene(f"scene {index} is too full")

    parts = [
        count_plans(ShardSpec("train", i, 3, 10 * i, 10 * i + 10), Planner())  # type: ignore[arg-type]
        for i in range(3)
    ]
    (total,) = summed_plans(reversed(parts))
    assert (total.num_scenes, total.num_rejected, len(total.rejects)) == (0, 30, 10)
    assert total.rejects[0] == SceneReject(
        "train/000000000", str(InfeasibleScene("scene 0 is too full"))
    )
    assert total.rejects[-1].example_id == "train/000000009"


def test_the_summary_for_people(bank) -> None:
    text = summary_text(plan_only(job_recipe(), bank.directory, num_workers=1))
    assert text.startswith("34 scenes planned in ")
    for expected in ("train: 24 scenes", "test: 5 scenes", "events by kind: ", "keyword", "snr_db"):
        assert expected in text
    assert histogram({"0": 8, "1": 4, "3": 1}, 1.0) == "0 █▄ ▁ 3"
    assert histogram({"0.5": 1, "0.6": 1}, 0.1) == "0.5 ██ 0.6"
    assert len(histogram({"-100": 1, "100": 1}, 1.0)) <= len("-100  100") + 40
