"""The job: same bytes whoever makes them, counted, verified; refuses what isn't its own."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from beam_jobs import output_state
from beam_jobs.bank_building import build_bank
from beam_jobs.job import SynthesisJob
from beam_jobs.runners import Engine
from beam_jobs.stored import read_manifest
from beam_jobs.synthesize import synthesize
from beam_jobs.transforms import SynthesizeScenes
from beam_jobs.verification import verify
from schemas.dataset import plan_shards
from schemas.effects import EFFECTS
from schemas.errors import DatasetError, InfeasibleScene, RequestError
from tests.audio_factory import material, write
from tests.beam_jobs.small_job import MATERIAL, job_recipe, shard_digests
from tests.fakes import recipe


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
        result = synthesize(job_recipe(), bank.directory, str(tmp_path / name), **options)
        results[name] = (shard_digests(tmp_path / name), result.manifest.identity())
    assert results["one"] == results["two"] == results["threads"]
    assert len(results["one"][0]) == len(plan_shards(job_recipe())) >= 6


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
    assert shard_digests(tmp_path / "one") == shard_digests(tmp_path / "two")
    assert verify(str(tmp_path / "one")).problems == ()


def test_examples_do_not_depend_on_shards_or_counts(bank, tmp_path) -> None:
    from pipeline.tfrecord import RecordReader

    def records(name: str, made) -> dict[bytes, bytes]:
        synthesize(made, bank.directory, str(tmp_path / name), num_workers=1)
        paths = sorted((tmp_path / name / "train").glob("*.tfrecord"))
        found = [data for path in paths for data in RecordReader(path.open("rb"), path.name)]
        return dict(enumerate(found))

    few = records("few", job_recipe(train=7))
    many = records("many", job_recipe(train=11, dataset={"shard_bytes": 10**8}))
    assert [many[i] for i in range(7)] == [few[i] for i in range(7)]


def test_a_finished_data_set_is_left_alone_and_another_recipe_refused(bank, tmp_path) -> None:
    out = str(tmp_path / "data")
    synthesize(job_recipe(), bank.directory, out, num_workers=1)
    before = shard_digests(tmp_path / "data")
    assert synthesize(job_recipe(), bank.directory, out, num_workers=1).already_complete
    other = job_recipe(seed=8)
    with pytest.raises(RequestError, match="--overwrite"):
        synthesize(other, bank.directory, out, num_workers=1)
    assert shard_digests(tmp_path / "data") == before
    result = synthesize(other, bank.directory, out, num_workers=1, overwrite=True)
    assert result.num_made == len(before)
    assert set(shard_digests(tmp_path / "data").values()).isdisjoint(before.values())


def test_a_folder_with_strangers_is_refused(bank, tmp_path) -> None:
    (tmp_path / "thesis.txt").write_text("important")
    for overwrite in (False, True):
        with pytest.raises(RequestError, match=r"thesis\.txt"):
            synthesize(
                job_recipe(), bank.directory, str(tmp_path), num_workers=1, overwrite=overwrite
            )
    assert (tmp_path / "thesis.txt").read_text() == "important"


def test_strangers_in_the_folder_of_a_split_are_refused_too(bank, tmp_path) -> None:
    name = plan_shards(job_recipe())[0].name
    for stranger in (name, "train/notes.tmp-old", "more/deep/thesis.txt"):
        out = tmp_path / stranger.replace("/", "-")
        (out / stranger).parent.mkdir(parents=True)
        (out / stranger).write_text("my only copy")
        with pytest.raises(RequestError, match="isn't a data set of ours"):
            synthesize(job_recipe(), bank.directory, str(out), num_workers=1)
        assert (out / stranger).read_text() == "my only copy"


def test_a_folder_name_is_never_a_pattern(bank, tmp_path) -> None:
    """`data[1]` as a glob means `data1`; deleting by it once deleted the neighbour."""
    neighbour, ours = tmp_path / "a b" / "data1", tmp_path / "a b" / "data[1]*?"
    synthesize(job_recipe(), bank.directory, str(neighbour), num_workers=1)
    before = shard_digests(neighbour)
    synthesize(job_recipe(), bank.directory, str(ours), num_workers=1)
    assert verify(str(ours)).problems == ()
    assert synthesize(job_recipe(), bank.directory, str(ours), num_workers=1).already_complete
    other = job_recipe(seed=8)
    synthesize(other, bank.directory, str(ours), num_workers=1, overwrite=True)
    assert shard_digests(neighbour) == before
    assert verify(str(neighbour)).problems == verify(str(ours)).problems == ()


def test_R13_an_infeasible_recipe_writes_nothing(bank, tmp_path) -> None:
    out = tmp_path / "data"
    with pytest.raises(InfeasibleScene, match="too few"):
        synthesize(job_recipe(scene={"duration_s": 2.0}), bank.directory, str(out))
    assert not out.exists()


def test_verify_finds_every_kind_of_damage(bank, tmp_path) -> None:
    out = tmp_path / "data"
    synthesize(job_recipe(), bank.directory, str(out), num_workers=1)
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
    assert sum(shards[2].name in text for text in deep.problems) == 1
    (out / "train" / "extra.tfrecord").unlink()
    result = synthesize(job_recipe(), bank.directory, str(out), num_workers=1)
    assert [shard.read_bytes() for shard in shards] == whole, "damaged shards are made again"
    assert result.num_made == 4


def test_verify_counts_records_and_names_each_of_many_damaged_ones(bank, tmp_path) -> None:
    out = tmp_path / "data"
    synthesize(job_recipe(), bank.directory, str(out), num_workers=1)
    manifest = json.loads((out / "manifest.json").read_text())
    manifest["shards"][0]["num_examples"] += 1
    (out / "manifest.json").write_text(json.dumps(manifest))
    (problem,) = verify(str(out)).problems
    count = manifest["shards"][0]["num_examples"]
    assert f"holds {count - 1} records, the manifest says {count}" in problem
    shard = out / manifest["shards"][0]["name"]
    broken = bytearray(shard.read_bytes() * 6)
    for at in range(100_000, len(broken), 2 * 6 * 16_000):  # the audio of a record
        broken[at] ^= 1
    shard.write_bytes(broken)
    assert len(verify(str(out)).problems) > 20


def test_verify_finds_examples_that_two_shards_hold(bank, tmp_path) -> None:
    out = tmp_path / "data"
    synthesize(job_recipe(), bank.directory, str(out), num_workers=1)
    manifest = json.loads((out / "manifest.json").read_text())
    first, second = [entry for entry in manifest["shards"] if entry["split"] == "train"][:2]
    (out / second["name"]).write_bytes((out / first["name"]).read_bytes())
    second |= {key: first[key] for key in ("crc32c", "num_bytes", "num_examples")}
    (out / "manifest.json").write_text(json.dumps(manifest))
    assert verify(str(out)).problems == (), "it is what the manifest says"
    wanted = f"{first['num_examples']} of its examples lie in another shard too"
    assert verify(str(out), deep=True).problems == (
        f"{first['name']}: {wanted}",
        f"{second['name']}: {wanted}",
    )


def test_verify_names_the_damage_of_shards_and_of_the_clip_bank(tmp_path) -> None:
    material(tmp_path)
    bank = build_bank(job_recipe(), base_dir=tmp_path, bank_root=tmp_path / "bank")
    out = tmp_path / "data"
    synthesize(job_recipe(), bank.directory, str(out), num_workers=1)
    for path in (bank.directory / next(iter(bank.packs)), sorted(out.glob("train/*"))[0]):
        data = bytearray(path.read_bytes())
        data[5000] ^= 1
        path.write_bytes(data)
    problems = "\n".join(verify(str(out), render=3).problems)
    assert "train-00000-of-00004.tfrecord: bytes 0 to" in problems
    assert "clips-00000.pcm16 is not what the index says" in problems


def test_verify_finds_what_a_manifest_lacks_of_its_plan(bank, tmp_path) -> None:
    out = tmp_path / "data"
    synthesize(job_recipe(), bank.directory, str(out), num_workers=1)
    manifest = json.loads((out / "manifest.json").read_text())
    lost = manifest["shards"].pop()
    (out / lost["name"]).unlink()
    (out / "manifest.json").write_text(json.dumps(manifest))
    (problem,) = verify(str(out)).problems
    assert problem == f"manifest.json: {lost['name']} is planned and not in it"


def test_options_that_would_not_do_are_refused_before_anything_is_written(bank, tmp_path) -> None:
    out = tmp_path / "data"
    for arguments, says in (
        (["--runer=DirectRunner"], "--runer"),
        (["--runner=NoSuchRunner"], "NoSuchRunner"),
        (["typo"], "typo"),
        (["-x"], "-x"),
        (["--num_workers=4"], "--num-workers=N"),
        (["--runner=DirectRunner", "--max_num_workers", "4"], "machines of Dataflow"),
        (["--runner=dask"], "dask_client_address"),
        (["--runner=dask", "--dask_npartitions=2"], "number of shards"),
    ):
        with pytest.raises(RequestError, match=says):
            synthesize(job_recipe(), bank.directory, str(out), beam_arguments=arguments)
    assert not out.exists()


def test_the_manifest_sums_up_what_the_records_hold(bank, tmp_path) -> None:
    from pipeline.example_codec import decode_example
    from pipeline.tfrecord import RecordReader

    out = tmp_path / "data"
    manifest = synthesize(job_recipe(train=60), bank.directory, str(out), num_workers=2).manifest
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
    again = synthesize(job_recipe(train=60), bank.directory, str(tmp_path / "b"), num_workers=1)
    (tmp_path / "b" / "manifest.json").unlink()
    reread = synthesize(job_recipe(train=60), bank.directory, str(tmp_path / "b"), num_workers=1)
    assert reread.num_reused == len(manifest.shards)
    assert reread.manifest.identity() == again.manifest.identity() == manifest.identity()


def test_verify_decodes_and_renders_again_when_asked(bank, tmp_path, monkeypatch) -> None:
    out = str(tmp_path / "data")
    synthesize(job_recipe(), bank.directory, out, num_workers=1)
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
        verify(out, render=1, bank=str(build_bank(job_recipe(), **where).directory))


def test_metrics_say_what_was_made(bank, tmp_path) -> None:
    out = str(tmp_path / "data")
    job = SynthesisJob(job_recipe().model_dump_json(by_alias=True), bank.location, bank.digest, out)
    output_state.begin(job)
    engine = Engine(["--runner=FnApiRunner"], num_workers=1, num_shards=1, places=())
    result = engine.pipeline(SynthesizeScenes(job)).run()
    result.wait_until_finish()
    found = {
        item.key.metric.name: item.committed
        for kind in ("counters", "distributions")
        for item in result.metrics().query()[kind]
        if item.key.metric.namespace == "wakebeam"
    }
    manifest = read_manifest(out)
    counts = manifest.counts.values()
    assert found["scenes"] == 34
    assert found["shards_made"] == len(manifest.shards) == found["ms_a_scene"].count
    assert found["bytes"] == sum(shard.num_bytes for shard in manifest.shards)
    assert found["scenes_rejected"] == 0
    assert found["events_keyword"] == sum(c["events_by_kind"].get("keyword", 0) for c in counts)
    assert found["snr_db"].count == sum(sum(c["snr_db"].values()) for c in counts)
    assert 0 <= found["snr_db"].min <= found["snr_db"].max <= 20
