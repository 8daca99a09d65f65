"""The job: same bytes whoever makes them, resumes when killed, refuses what isn't its own."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from beam_jobs.synthesize import synthesize
from beam_jobs.verification import verify
from pipeline.clip_bank import ClipBank, build_bank
from schemas.dataset import plan_shards
from schemas.effects import EFFECTS
from schemas.errors import DatasetError, InfeasibleScene, RequestError
from tests.audio_factory import material, write
from tests.fakes import recipe

MATERIAL = {
    "keyword": [{"path": "kw", "label": "kw"}],
    "negative": [{"path": "other"}],
    "background": [{"path": "noise"}],
}
SCENE = {"duration_s": 6.0, "effects": {"speed": [0.9, 1.1]}}


def _recipe(train: int = 24, **more):
    counts = {"train": train, "validation": 5, "test": 5}
    dataset = {"num_examples": counts, "shard_bytes": 1_200_000} | more.pop("dataset", {})
    return recipe(material=MATERIAL, scene=SCENE | more.pop("scene", {}), dataset=dataset, **more)


@pytest.fixture(scope="module")
def bank(tmp_path_factory) -> ClipBank:
    folder = tmp_path_factory.mktemp("material")
    material(folder)
    return build_bank(_recipe(), base_dir=folder, bank_root=folder / "bank")


def _bytes(out: Path) -> dict[str, str]:
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*.tfrecord"))
    }


def test_one_worker_two_workers_and_in_process_give_the_same_bytes(bank, tmp_path) -> None:
    results = {}
    for name, options in {
        "one": {"num_workers": 1},
        "two": {"num_workers": 2},
        "threads": {
            "beam_arguments": [
                "--runner=FnApiRunner", "--direct_running_mode=multi_threading",
                "--direct_num_workers=2",
            ]
        },
    }.items():  # fmt: skip
        result = synthesize(_recipe(), bank.directory, str(tmp_path / name), **options)
        results[name] = (_bytes(tmp_path / name), result.manifest.identity())
    assert results["one"] == results["two"] == results["threads"]
    assert len(results["one"][0]) == len(plan_shards(_recipe())) >= 6


def test_every_effect_gives_the_same_bytes_on_any_number_of_workers(tmp_path) -> None:
    """Also those of a room, of the channel and of babble; only the codecs are left out: slow."""
    material(tmp_path)
    for i in range(6):
        tail = np.random.default_rng(i).standard_normal(4000) * np.exp(-np.arange(4000) / 800) * 0.2
        write(tmp_path / "rooms" / f"{i}.wav", np.r_[0.9, tail])
    ranges = {
        name: {"range": [effect.low, effect.high], "probability": 0.5}
        for name, effect in EFFECTS.items()
        if not name.endswith("kbps")
    }
    scene = {
        "duration_s": 8.0,
        "on_infeasible": "condition",
        "effects": ranges | {"speed": [0.8, 1.2], "tempo": [0.8, 1.2]},
        "channel": {n: r for n, r in ranges.items() if not EFFECTS[n].changes_length},
        "babble": {"probability": 0.5},
        "num_backgrounds": [1, 2],
        "keyword_tail_s": 0.5,
        "polyphony": 1,
    }
    made = recipe(
        material=MATERIAL | {"room": [{"path": "rooms"}]},
        scene=scene,
        dataset={
            "num_examples": {"train": 30, "validation": 5, "test": 5}, "shard_bytes": 1_200_000
        },
    )  # fmt: skip
    bank = build_bank(made, base_dir=tmp_path, bank_root=tmp_path / "bank")
    for name, num_workers in (("one", 1), ("two", 2)):
        synthesize(made, bank.directory, str(tmp_path / name), num_workers=num_workers)
    assert _bytes(tmp_path / "one") == _bytes(tmp_path / "two")
    assert verify(str(tmp_path / "one")).problems == ()


def test_examples_do_not_depend_on_shards_or_counts(bank, tmp_path) -> None:
    from pipeline.tfrecord import RecordReader

    def records(name: str, made) -> dict[bytes, bytes]:
        synthesize(made, bank.directory, str(tmp_path / name), num_workers=1)
        paths = sorted((tmp_path / name / "train").glob("*.tfrecord"))
        found = [data for path in paths for data in RecordReader(path.open("rb"), path.name)]
        return dict(enumerate(found))

    few = records("few", _recipe(train=7))
    many = records("many", _recipe(train=11, dataset={"shard_bytes": 10**8}))
    assert [many[i] for i in range(7)] == [few[i] for i in range(7)]


def test_a_finished_data_set_is_left_alone_and_another_recipe_refused(bank, tmp_path) -> None:
    out = str(tmp_path / "data")
    synthesize(_recipe(), bank.directory, out, num_workers=1)
    before = _bytes(tmp_path / "data")
    assert synthesize(_recipe(), bank.directory, out, num_workers=1).already_complete
    other = _recipe(seed=8)
    with pytest.raises(RequestError, match="--overwrite"):
        synthesize(other, bank.directory, out, num_workers=1)
    assert _bytes(tmp_path / "data") == before
    result = synthesize(other, bank.directory, out, num_workers=1, overwrite=True)
    assert result.num_made == len(before)
    assert set(_bytes(tmp_path / "data").values()).isdisjoint(before.values())


def test_a_folder_with_strangers_is_refused(bank, tmp_path) -> None:
    (tmp_path / "thesis.txt").write_text("important")
    for overwrite in (False, True):
        with pytest.raises(RequestError, match=r"thesis\.txt"):
            synthesize(_recipe(), bank.directory, str(tmp_path), num_workers=1, overwrite=overwrite)
    assert (tmp_path / "thesis.txt").read_text() == "important"


def test_strangers_in_the_folder_of_a_split_are_refused_too(bank, tmp_path) -> None:
    name = plan_shards(_recipe())[0].name
    for stranger in (name, "train/notes.tmp-old", "more/deep/thesis.txt"):
        out = tmp_path / stranger.replace("/", "-")
        (out / stranger).parent.mkdir(parents=True)
        (out / stranger).write_text("my only copy")
        with pytest.raises(RequestError, match="isn't a data set of ours"):
            synthesize(_recipe(), bank.directory, str(out), num_workers=1)
        assert (out / stranger).read_text() == "my only copy"


def test_a_folder_name_is_never_a_pattern(bank, tmp_path) -> None:
    """`data[1]` as a glob means `data1`; deleting by it once deleted the neighbour."""
    neighbour, ours = tmp_path / "a b" / "data1", tmp_path / "a b" / "data[1]*?"
    synthesize(_recipe(), bank.directory, str(neighbour), num_workers=1)
    before = _bytes(neighbour)
    synthesize(_recipe(), bank.directory, str(ours), num_workers=1)
    assert verify(str(ours)).problems == ()
    assert synthesize(_recipe(), bank.directory, str(ours), num_workers=1).already_complete
    other = _recipe(seed=8)
    synthesize(other, bank.directory, str(ours), num_workers=1, overwrite=True)
    assert _bytes(neighbour) == before
    assert verify(str(neighbour)).problems == verify(str(ours)).problems == ()


def test_R13_an_infeasible_recipe_writes_nothing(bank, tmp_path) -> None:
    out = tmp_path / "data"
    with pytest.raises(InfeasibleScene, match="too few"):
        synthesize(_recipe(scene={"duration_s": 2.0}), bank.directory, str(out))
    assert not out.exists()


def test_killed_in_mid_job_resumes_to_the_same_bytes(bank, tmp_path) -> None:
    made = _recipe(train=400)
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
    assert _bytes(out) == _bytes(tmp_path / "calm")
    assert result.manifest.identity() == calm.manifest.identity()
    assert not list(out.rglob("*.tmp-*"))
    assert verify(str(out)).problems == ()


def test_verify_finds_every_kind_of_damage(bank, tmp_path) -> None:
    out = tmp_path / "data"
    synthesize(_recipe(), bank.directory, str(out), num_workers=1)
    shards = sorted((out / "train").glob("*.tfrecord"))
    whole = [shard.read_bytes() for shard in shards]
    flipped = bytearray(whole[0])
    flipped[len(flipped) // 2] ^= 1
    shards[0].write_bytes(flipped)
    shards[1].write_bytes(whole[1][:-100])
    shards[2].write_bytes(whole[3])
    shards[3].unlink()
    (out / "train" / "extra.tfrecord").write_bytes(whole[0])
    problems = "\n".join(verify(str(out)).problems)
    for name in (shards[0].name, shards[1].name, shards[2].name, shards[3].name, "extra.tfrecord"):
        assert name in problems
    assert re.search(rf"{shards[0].name}: bytes \d+ to \d+: a record fails", problems)
    assert f"to {len(whole[1]) - 100}: the file ends inside a record" in problems
    assert f"{shards[2].name}: is whole but another file" in problems
    deep = verify(str(out), deep=True)
    assert "repeats" in "\n".join(deep.problems) or shards[2].name in "\n".join(deep.problems)
    (out / "train" / "extra.tfrecord").unlink()
    result = synthesize(_recipe(), bank.directory, str(out), num_workers=1)
    assert [shard.read_bytes() for shard in shards] == whole, "damaged shards are made again"
    assert result.num_made == 4


def test_a_shard_that_fails_is_named_and_the_rest_is_kept(bank, tmp_path, monkeypatch) -> None:
    import beam_jobs.synthesize as job

    real = job.write_shard

    def failing(spec, **more):
        if spec.split == "validation":
            raise OSError("no space left on device")
        return real(spec, **more)

    monkeypatch.setattr(job, "write_shard", failing)
    out = tmp_path / "data"
    with pytest.raises(DatasetError, match=r"validation/validation-00000.*no space left"):
        synthesize(_recipe(), bank.directory, str(out), num_workers=1)
    assert not (out / "manifest.json").exists()
    assert json.loads((out / "failures.json").read_text())
    monkeypatch.undo()
    assert synthesize(_recipe(), bank.directory, str(out), num_workers=1).num_reused >= 4


def test_unknown_options_and_dask_without_partitions_are_refused(bank, tmp_path) -> None:
    for arguments, says in (
        (["--runer=DirectRunner"], "--runer"),
        (["--runner=NoSuchRunner"], "NoSuchRunner"),
        (["typo"], "typo"),
        (["--runner=apache_beam.runners.dask.dask_runner.DaskRunner"], "dask_npartitions"),
    ):
        with pytest.raises(RequestError, match=says):
            synthesize(_recipe(), bank.directory, str(tmp_path / "data"), beam_arguments=arguments)
    assert not (tmp_path / "data").exists()


def _with_bad_scenes(monkeypatch, bad: set[int]) -> None:
    from pipeline.scene_source import SceneSource

    real = SceneSource.__getitem__

    def getitem(self, index: int):
        if index in bad and self.planner._split == "train":
            raise DatasetError("a clip went bad")
        return real(self, index)

    monkeypatch.setattr(SceneSource, "__getitem__", getitem)


def test_scenes_that_can_not_be_made_fail_the_job_by_address(bank, tmp_path, monkeypatch) -> None:
    _with_bad_scenes(monkeypatch, {3, 17})
    out = tmp_path / "data"
    with pytest.raises(DatasetError, match=r"train/000000003: a clip went bad \(2 of 34 examples"):
        synthesize(_recipe(), bank.directory, str(out), num_workers=1)
    rows = [json.loads(line) for line in (out / "rejects.jsonl").open()]
    assert [row["example_id"] for row in rows] == ["train/000000003", "train/000000017"]
    assert not (out / "manifest.json").exists()
    monkeypatch.undo()
    result = synthesize(_recipe(), bank.directory, str(out), num_workers=1)
    assert result.num_made == 2, "the shards that lack an example are made again"
    calm = synthesize(_recipe(), bank.directory, str(tmp_path / "calm"), num_workers=1)
    assert result.manifest.identity() == calm.manifest.identity()
    assert _bytes(out) == _bytes(tmp_path / "calm")
    assert not (out / "rejects.jsonl").exists()


def test_a_recipe_may_allow_some_scenes_to_fail(bank, tmp_path, monkeypatch) -> None:
    _with_bad_scenes(monkeypatch, {3, 17})
    out = tmp_path / "data"
    some = _recipe(dataset={"max_reject_fraction": 0.1})
    manifest = synthesize(some, bank.directory, str(out), num_workers=1).manifest
    assert manifest.num_rejected == {"train": 2, "validation": 0, "test": 0}
    assert manifest.num_examples("train") == 22
    assert len((out / "rejects.jsonl").read_text().splitlines()) == 2
    assert verify(str(out)).problems == ()


def test_the_manifest_sums_up_what_the_records_hold(bank, tmp_path) -> None:
    from pipeline.example_codec import decode_example
    from pipeline.tfrecord import RecordReader

    out = tmp_path / "data"
    manifest = synthesize(_recipe(train=60), bank.directory, str(out), num_workers=2).manifest
    examples = [
        decode_example(record)
        for path in sorted((out / "train").glob("*.tfrecord"))
        for record in RecordReader(path.open("rb"), path.name)
    ]
    events = [event for example in examples for event in example.events]
    counts = manifest.counts["train"]
    assert sum(counts["events_per_scene"].values()) == sum(counts["scene_dbfs"].values()) == 60
    assert counts["events_by_kind"]["keyword"] == sum(e.kind == "keyword" for e in events)
    lasted = sum(e.offset_samples - e.onset_samples for e in events if e.label == "kw")
    assert counts["samples_by_label"]["kw"] == lasted
    for name in ("snr_db", "position", "duration_s"):
        assert sum(counts[name].values()) == len(events)
    late = sum(20 * e.onset_samples // len(examples[0].audio) == 19 for e in events)
    assert counts["position"].get("19", 0) == late
    quiet = sum(np.floor(e.snr_db) == 7 for e in events)
    assert counts["snr_db"].get("7", 0) == quiet
    again = synthesize(_recipe(train=60), bank.directory, str(tmp_path / "b"), num_workers=1)
    (tmp_path / "b" / "manifest.json").unlink()
    reread = synthesize(_recipe(train=60), bank.directory, str(tmp_path / "b"), num_workers=1)
    assert reread.num_reused == len(manifest.shards)
    assert reread.manifest.identity() == again.manifest.identity() == manifest.identity()


def test_verify_decodes_and_renders_again_when_asked(bank, tmp_path, monkeypatch) -> None:
    out = str(tmp_path / "data")
    synthesize(_recipe(), bank.directory, out, num_workers=1)
    found = verify(out, deep=True, render=12)
    assert (found.num_records, found.num_decoded, found.num_rendered) == (34, 34, 12)
    assert found.problems == ()
    assert verify(out, render=100).num_rendered == 34
    import pipeline.scene_renderer as renderer

    monkeypatch.setattr(renderer, "_PAUSE_DB", 9.0)
    monkeypatch.setattr(renderer, "_DECIMALS", 1)
    differing = verify(out, render=34).problems
    assert differing
    assert all("has other bytes than this release makes" in text for text in differing)
    with pytest.raises(DatasetError, match="--bank"):
        other = tmp_path / "other"
        material(other, keywords=3)
        where = {"base_dir": other, "bank_root": other / "bank"}
        verify(out, render=1, bank=build_bank(_recipe(), **where).directory)


def test_two_jobs_never_work_on_one_folder(bank, tmp_path) -> None:
    from beam_jobs import output_state

    out = tmp_path / "data"
    with output_state.alone(str(out)):
        with pytest.raises(RequestError, match="another job is at work"):
            synthesize(_recipe(), bank.directory, str(out), num_workers=1)
        with pytest.raises(RequestError, match="another job is at work"):
            synthesize(_recipe(seed=8), bank.directory, str(out), num_workers=1, overwrite=True)
    assert not list(out.rglob("*.tfrecord"))
    assert synthesize(_recipe(), bank.directory, str(out), num_workers=1).num_made >= 6
    with output_state.alone(str(out)):
        assert synthesize(_recipe(), bank.directory, str(out)).already_complete


def test_clocks_that_jump_change_nothing(bank, tmp_path, monkeypatch) -> None:
    calm = synthesize(_recipe(), bank.directory, str(tmp_path / "calm"), num_workers=1)
    jumps = iter(np.tile([2e9, 1.0, -5.0, 1.7e9], 10_000).tolist())
    monkeypatch.setattr("beam_jobs.synthesize.time.time", lambda: next(jumps))
    jumped = synthesize(_recipe(), bank.directory, str(tmp_path / "jumped"), num_workers=1)
    assert jumped.manifest.identity() == calm.manifest.identity()
    assert _bytes(tmp_path / "jumped") == _bytes(tmp_path / "calm")


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A file system of its own with 3 MiB; only root can mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=3m", "wakebeam", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except OSError:
        pytest.skip("there is no mount command")
    if done.returncode:
        pytest.skip(f"no file system can be mounted: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=False)


def test_a_full_disk_fails_by_name_and_room_on_it_lets_the_job_go_on(bank, small_disk) -> None:
    """34 examples of 192 kB don't fit; what is whole stays, nothing half-written is left."""
    out = small_disk / "data"
    with pytest.raises(DatasetError, match="[Nn]o space left"):
        synthesize(_recipe(), bank.directory, str(out), num_workers=2)
    assert not (out / "manifest.json").exists()
    assert not list(out.rglob("*.tmp-*"))
    kept = _bytes(out)
    assert kept
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    result = synthesize(_recipe(), bank.directory, str(out), num_workers=2)
    assert result.num_reused == len(kept)
    assert {name: _bytes(out)[name] for name in kept} == kept
    assert verify(str(out), deep=True).problems == ()


def test_a_read_only_disk_is_named_and_a_complete_data_set_on_it_is_fine(bank, small_disk) -> None:
    out = small_disk / "data"
    few = _recipe(train=2, dataset={"num_examples": {"train": 2, "validation": 1, "test": 1}})
    synthesize(few, bank.directory, str(out), num_workers=1)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert synthesize(few, bank.directory, str(out), num_workers=1).already_complete
    assert verify(str(out)).problems == ()
    with pytest.raises(OSError, match="[Rr]ead-only"):
        synthesize(few, bank.directory, str(small_disk / "other"), num_workers=1)
