"""A data set grows by generations: old shards untouched, new ones seen whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from beam_jobs.bank_building import build_bank
from beam_jobs.stored import read_dataset
from beam_jobs.synthesize import synthesize
from beam_jobs.verification import verify
from pipeline.example_codec import decode_example
from pipeline.input_dataset import judged_examples
from pipeline.input_dataset import read_dataset as read_with_tensorflow
from pipeline.splits import assign_splits
from pipeline.tfrecord import RecordReader
from schemas.dataset import MOST_SHARDS, plan_shards
from schemas.errors import DatasetError, RequestError
from schemas.recipe import Recipe
from schemas.scene import example_id
from tests.audio_factory import burst, material, write
from tests.beam_jobs.small_job import job_recipe, shard_digests
from wakebeam.regenerating import regenerate


def _more(train: int, validation: int = 0, test: int = 0, **other):
    counts = {"train": train, "validation": validation, "test": test}
    return job_recipe(dataset={"num_examples": counts}, **other)


def _ids(out: str, split: str) -> list[str]:
    found = [ids for ids, _, _ in judged_examples(
        read_with_tensorflow(out), split=split, batch_size=7
    )]  # fmt: skip
    return [name for ids in found for name in ids]


def test_a_generation_adds_what_a_larger_data_set_would_hold(bank, tmp_path) -> None:
    out = str(tmp_path / "data")
    synthesize(job_recipe(), bank.directory, out, num_workers=1)
    before = shard_digests(tmp_path / "data")
    first = read_dataset(out).identity()
    added = synthesize(_more(11), bank.directory, out, num_workers=1, append=True)
    again = synthesize(_more(3, 2, 1), bank.directory, out, num_workers=1, append=True)
    assert before.items() <= shard_digests(tmp_path / "data").items()
    stored = read_dataset(out)
    assert [m.follows for m in stored.manifests] == ["", first, added.manifest.identity()]
    assert stored.identity() == again.manifest.identity() != first
    counts = [stored.num_examples(split) for split in ("train", "validation", "test")]
    assert counts == [24 + 11 + 3, 5 + 2, 5 + 1]
    assert _ids(out, "train") == [example_id("train", i) for i in range(38)]
    assert _ids(out, "test") == [example_id("test", i) for i in range(6)]
    assert verify(out, deep=True, render=50).num_rendered == 50
    assert verify(out, deep=True, render=50).problems == ()
    large = str(tmp_path / "large")
    synthesize(_more(38, 7, 6), bank.directory, large, num_workers=1)

    def records(where: str) -> dict[str, bytes]:
        stored = read_dataset(where)
        splits = ("train", "validation", "test")
        paths = [Path(path) for split in splits for path, _ in stored.shards(split)]
        found = [data for path in paths for data in RecordReader(path.open("rb"), path.name)]
        return {decode_example(data).example_id: data for data in found}

    assert records(out) == records(large)


def test_readers_see_a_generation_only_when_it_is_whole(bank, tmp_path, monkeypatch) -> None:
    import beam_jobs.shard_line as shard_line

    out = str(tmp_path / "data")
    synthesize(job_recipe(), bank.directory, out, num_workers=1)
    identity = read_dataset(out).identity()
    real = shard_line.write_shard

    def failing(spec, **more):
        if spec.shard_index == 1:
            raise OSError("no space left on device")
        return real(spec, **more)

    monkeypatch.setattr(shard_line, "write_shard", failing)
    with pytest.raises(DatasetError, match="no space left"):
        synthesize(_more(12), bank.directory, out, num_workers=1, append=True)
    half = tmp_path / "data" / "generation-0001"
    assert list(half.rglob("*.tfrecord"))
    assert read_dataset(out).identity() == read_with_tensorflow(out).identity() == identity
    assert len(_ids(out, "train")) == 24
    assert verify(out).problems == ()
    monkeypatch.undo()
    with pytest.raises(RequestError, match="begun with train 12 scenes"):
        synthesize(_more(13), bank.directory, out, num_workers=1, append=True)
    done = synthesize(_more(12), bank.directory, out, num_workers=1, append=True)
    assert (done.num_reused, done.num_made) == (1, 1)
    assert len(_ids(out, "train")) == 36
    assert json.loads((half / "manifest.json").read_text())["first_example"]["train"] == 24


def test_two_that_append_at_once_never_take_one_for_the_other(bank, tmp_path, monkeypatch) -> None:
    import beam_jobs.synthesize as module

    out = str(tmp_path / "data")
    synthesize(job_recipe(), bank.directory, out, num_workers=1)
    real = module.run_job

    def late(*values, **more):
        monkeypatch.setattr(module, "run_job", real)
        synthesize(_more(11), bank.directory, out, num_workers=1, append=True)
        return real(*values, **more)

    monkeypatch.setattr(module, "run_job", late)
    with pytest.raises(RequestError, match="another job has appended"):
        synthesize(_more(11), bank.directory, out, num_workers=1, append=True)
    result = synthesize(_more(11), bank.directory, out, num_workers=1, append=True)
    assert not result.already_complete
    assert len(read_dataset(out).manifests) == 3


def test_damage_in_a_generation_is_found_and_mended(bank, tmp_path) -> None:
    out = str(tmp_path / "data")
    synthesize(job_recipe(), bank.directory, out, num_workers=1)
    synthesize(_more(9), bank.directory, out, num_workers=1, append=True)
    shard = next((tmp_path / "data" / "generation-0001" / "train").iterdir())
    data = bytearray(shard.read_bytes())
    data[1000] ^= 4
    shard.write_bytes(data)
    (problem,) = verify(out).problems
    assert problem.startswith(f"generation-0001/train/{shard.name}: bytes ")
    shard.unlink()
    identity = read_dataset(out).identity()
    mended = synthesize(job_recipe(), bank.directory, out, num_workers=1)
    assert (mended.already_complete, mended.num_made) == (False, 1)
    assert verify(out, deep=True).problems == ()
    assert read_dataset(out).identity() == identity


def test_mending_the_first_generation_breaks_no_chain(bank, tmp_path, monkeypatch) -> None:
    """Also by a later release, under another name: what counts is the content."""
    import beam_jobs.manifest_writer as writer

    out = str(tmp_path / "data")
    synthesize(job_recipe(), bank.directory, out, num_workers=1)
    synthesize(_more(9), bank.directory, out, num_workers=1, append=True)
    next((tmp_path / "data" / "train").iterdir()).unlink()
    monkeypatch.setattr(writer.importlib.metadata, "version", lambda name: "99.0")
    assert synthesize(job_recipe(name="b"), bank.directory, out, num_workers=1).num_made == 1
    assert len(read_dataset(out).manifests) == 2
    assert verify(out, deep=True).problems == ()


def test_a_gap_in_the_chain_is_an_error_and_overwrite_removes_all(bank, tmp_path) -> None:
    out = str(tmp_path / "data")
    synthesize(job_recipe(), bank.directory, out, num_workers=1)
    for _ in range(2):
        synthesize(_more(4), bank.directory, out, num_workers=1, append=True)
    for name in ("manifest.json", "job.json"):
        (tmp_path / "data" / "generation-0001" / name).unlink()
    with pytest.raises(DatasetError, match="generation-0001/manifest.json is missing"):
        read_dataset(out)
    other = job_recipe(seed=8)
    synthesize(other, bank.directory, out, num_workers=1, overwrite=True)
    assert len(read_dataset(out).manifests) == 1
    assert not list((tmp_path / "data" / "generation-0002").rglob("*.tfrecord"))


def test_a_plain_job_leaves_generations_alone_and_overwrite_removes_them(bank, tmp_path) -> None:
    out = str(tmp_path / "data")
    synthesize(job_recipe(), bank.directory, out, num_workers=1)
    synthesize(_more(4), bank.directory, out, num_workers=1, append=True)
    identity = read_dataset(out).identity()
    assert synthesize(job_recipe(), bank.directory, out, num_workers=1).already_complete
    assert read_dataset(out).identity() == identity
    other = job_recipe(seed=8)
    synthesize(other, bank.directory, out, num_workers=1, overwrite=True)
    assert len(read_dataset(out).manifests) == 1
    assert not list((tmp_path / "data" / "generation-0001").rglob("*.tfrecord"))


def test_examples_of_new_material_are_made_again_from_their_own_bank(bank, tmp_path) -> None:
    out = str(tmp_path / "data")
    synthesize(job_recipe(), bank.directory, out, num_workers=1)
    material(tmp_path / "new", keywords=14)
    new = build_bank(job_recipe(), base_dir=tmp_path / "new", bank_root=tmp_path / "new" / "bank")
    synthesize(_more(6, seed=99), new.directory, out, num_workers=1, append=True)
    assert regenerate(out, "train/000000023")["identical"] is True
    assert regenerate(out, "train/000000024")["identical"] is True
    assert regenerate(out, "train/000000030")["identical"] is None
    assert regenerate(out, "test/000000002")["identical"] is True
    again = synthesize(job_recipe(), new.directory, out, num_workers=1)
    assert again.already_complete, "the material as it is now is that of the second generation"
    first, second = read_dataset(out).manifests
    assert first.content["bank"] != second.content["bank"]
    assert verify(out, render=40).problems == ()
    record = regenerate(out, "train/000000023")["example"].record
    for shard in Path(out).rglob("*.tfrecord"):
        shard.unlink()
    alone = regenerate(out, "train/000000023")
    assert (alone["identical"], alone["example"].record) == (None, record), "the manifest is enough"


def test_what_does_not_fit_is_refused_and_nothing_is_written(bank, tmp_path) -> None:
    out = str(tmp_path / "data")
    with pytest.raises(DatasetError, match=r"no manifest\.json"):
        synthesize(_more(4), bank.directory, out, num_workers=1, append=True)
    synthesize(job_recipe(), bank.directory, out, num_workers=1)
    for recipe, says in (
        (_more(4, scene={"duration_s": 7.0}), "scene.duration_s"),
        (job_recipe(dataset={"encoding": "flac"}), "dataset.encoding"),
    ):
        with pytest.raises(RequestError, match=says):
            synthesize(recipe, bank.directory, out, num_workers=1, append=True)
    assert not (tmp_path / "data" / "generation-0001").exists()


def test_a_generation_of_another_data_set_is_refused(bank, tmp_path) -> None:
    for seed in (1, 2):
        out = str(tmp_path / str(seed))
        synthesize(job_recipe(seed=seed), bank.directory, out, num_workers=1)
        synthesize(_more(4, seed=seed), bank.directory, out, num_workers=1, append=True)
    (tmp_path / "1" / "generation-0001").rename(tmp_path / "aside")
    (tmp_path / "2" / "generation-0001").rename(tmp_path / "1" / "generation-0001")
    with pytest.raises(DatasetError, match="appended to another data set"):
        read_dataset(str(tmp_path / "1"))


def test_everyone_stays_in_the_split_that_they_were_in(tmp_path) -> None:
    """Few speakers: one is moved so that no split is empty, and would go home when others come."""

    def build(name: str, speakers: int, splits):
        folder = tmp_path / name
        material(folder, keywords=0)
        for i in range(speakers):
            write(folder / "kw" / f"s{i}_take.wav", burst(hz=300 + 40 * i, seed=i))
        keyword = [{"path": "kw", "label": "kw", "speaker_pattern": r"(s\d+)_"}]
        values = _more(4, 2, 2).model_dump(mode="json", by_alias=True)
        values["material"]["keyword"] = keyword
        values["splits"] = splits
        made = Recipe.model_validate(values)
        return made, build_bank(made, base_dir=folder, bank_root=folder / "bank")

    few, few_bank = build("few", 3, {})
    out = str(tmp_path / "data")
    synthesize(few, few_bank.directory, out, num_workers=1)
    before = assign_splits(few_bank.clips, few.splits)
    many, many_bank = build("many", 40, {"train": 0.5, "validation": 0.25, "test": 0.25})
    free = assign_splits(many_bank.clips, many.splits)
    assert any(free[group] != before[group] for group in before.keys() & free.keys())
    synthesize(many, many_bank.directory, out, num_workers=1, append=True)
    made = Recipe.model_validate(read_dataset(out).manifests[1].run["recipe"])
    after = assign_splits(many_bank.clips, made.splits)
    assert all(after[group] == before[group] for group in before.keys() & after.keys())
    others = free.keys() - before.keys()
    assert sum(after[group] == free[group] for group in others) >= len(others) - 3
    assert verify(out, render=30).problems == ()


def test_recordings_stay_where_they_were_under_another_name(tmp_path) -> None:
    """A recipe that gets a `speaker_pattern` groups the same recordings otherwise."""
    material(tmp_path, keywords=0)
    for i in range(24):
        write(tmp_path / "kw" / f"s{i % 12}_take{i}.wav", burst(hz=300 + 40 * i, seed=i))

    def build(pattern: str):
        values = _more(4, 2, 2).model_dump(mode="json", by_alias=True)
        values["material"]["keyword"] = [
            {"path": "kw", "label": "kw", "speaker_pattern": pattern},
        ]
        made = Recipe.model_validate(values)
        return made, build_bank(made, base_dir=tmp_path, bank_root=tmp_path / "bank")

    alone, alone_bank = build(r"take(\d+)")
    out = str(tmp_path / "data")
    synthesize(alone, alone_bank.directory, out, num_workers=1)
    home = assign_splits(alone_bank.clips, alone.splits)
    before = {clip.content_sha256: home[clip.group] for clip in alone_bank.clips}
    pairs, pairs_bank = build(r"(s\d+)_")
    torn = {
        clip.group
        for clip in pairs_bank.clips
        for other in pairs_bank.clips
        if clip.group == other.group and before[clip.content_sha256] != before[other.content_sha256]
    }
    assert torn, "some speakers' takes are in two splits"
    with pytest.raises(RequestError, match="would change their split"):
        synthesize(pairs, pairs_bank.directory, out, num_workers=1, append=True)
    renamed, renamed_bank = build(r"_(take\d+)")
    synthesize(renamed, renamed_bank.directory, out, num_workers=1, append=True)
    made = Recipe.model_validate(read_dataset(out).manifests[1].run["recipe"])
    home = assign_splits(renamed_bank.clips, made.splits)
    for clip in renamed_bank.clips:
        if clip.role == "keyword":
            assert home[clip.group] == before[clip.content_sha256]


def test_what_another_release_made_is_not_grown(tmp_path, monkeypatch) -> None:
    """It divided speakers otherwise: its training takes could come into the test."""
    material(tmp_path)
    recipe = _more(4, 2, 2)
    bank = build_bank(recipe, base_dir=tmp_path, bank_root=tmp_path / "bank")
    out = str(tmp_path / "data")
    monkeypatch.setattr("schemas.recipe.PLAN_VERSION", 3)
    synthesize(recipe, bank.directory, out, num_workers=1)
    monkeypatch.undo()
    with pytest.raises(DatasetError, match="another release of wakebeam"):
        synthesize(recipe, bank.directory, out, num_workers=1, append=True)


def test_the_number_of_shards_has_a_bound() -> None:
    """So the manifest, which lists them, does not grow with the number of examples."""
    for total in (10**6, 10**8):
        shards = plan_shards(_more(total))
        assert len(shards) == MOST_SHARDS
        assert shards[0].start == 0
        assert shards[-1].stop == total
        sizes = np.array([shard.stop - shard.start for shard in shards])
        assert sizes.max() - sizes.min() <= 1
        assert all(a.stop == b.start for a, b in zip(shards, shards[1:], strict=False))
