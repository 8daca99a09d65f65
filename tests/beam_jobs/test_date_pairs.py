"""The job that writes dates: same bytes whoever makes them, resumed, closed by its manifest."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import tensorflow as tf

from beam_jobs import shard_line
from beam_jobs.date_pairs import write_date_pairs
from pipeline.date_pairs import DatePairSource, decode_pair
from schemas.errors import DatasetError, RecipeError, RequestError
from schemas.recipe_dates import DatesRecipe


def recipe(**more) -> DatesRecipe:
    writings = [{"locales": ["en_US", "de_DE"], "formats": ["long", "d MMM yy"]}]
    values = {
        "schema": 1,
        "task": "dates",
        "name": "small",
        "seed": 3,
        "dates": {"first": "2000-01-01", "last": "2003-12-31", "writings": writings},
        "dataset": {
            "num_examples": {"train": 95, "validation": 20, "test": 20}, "examples_per_shard": 20,
        },
    }  # fmt: skip
    return DatesRecipe.model_validate(values | more)


def digests(out: Path) -> dict[str, str]:
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*.tfrecord"))
    }


def test_any_number_of_workers_and_a_resumed_job_give_the_same_bytes(tmp_path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    manifest, already = write_date_pairs(recipe(), str(one), num_workers=1)
    assert not already
    again, _ = write_date_pairs(recipe(), str(two), num_workers=2)
    assert digests(one) == digests(two) and len(digests(one)) == 5 + 1 + 1
    assert manifest.identity() == again.identity()

    before = digests(one)
    (one / "manifest.json").unlink()  # as a killed job leaves it: a shard missing, one damaged
    (one / "train/train-00001-of-00005.tfrecord").unlink()
    damaged = one / "train/train-00002-of-00005.tfrecord"
    damaged.write_bytes(damaged.read_bytes()[:-9])
    resumed, _ = write_date_pairs(recipe(), str(one), num_workers=1)
    assert resumed.manifest.run["shards_reused"] == 5
    assert resumed.identity() == manifest.identity()
    assert digests(one) == before
    assert write_date_pairs(recipe(), str(one), num_workers=1)[1]


def test_shards_hold_what_the_source_gives_and_the_manifest_counts_it(tmp_path) -> None:
    made, _ = write_date_pairs(recipe(), str(tmp_path), num_workers=1)
    manifest = made.manifest
    paths = sorted(str(path) for path in (tmp_path / "train").glob("*.tfrecord"))
    records = [record.numpy() for record in tf.data.TFRecordDataset(paths)]
    source = DatePairSource(recipe(), "train", manifest.recipe_digest)
    assert records == [source[i].record for i in range(95)]
    pairs = [decode_pair(record) for record in records]
    counts = manifest.counts["train"]
    assert sum(counts["writings"].values()) == 95
    assert set(counts["characters"]) == set("".join(pair.text for pair in pairs))
    assert max(map(int, counts["lengths"])) == max(len(pair.text) for pair in pairs)
    trained = {pair.date for pair in pairs}
    for split in ("validation", "test"):
        (path,) = (tmp_path / split).glob("*.tfrecord")
        held_out = {decode_pair(r.numpy()).date for r in tf.data.TFRecordDataset(str(path))}
        assert held_out and not held_out & trained


def test_another_recipe_is_refused_and_overwrites_when_told(tmp_path) -> None:
    write_date_pairs(recipe(), str(tmp_path), num_workers=1)
    before = digests(tmp_path)
    with pytest.raises(RequestError, match="seed: 3 → 4"):
        write_date_pairs(recipe(seed=4), str(tmp_path), num_workers=1)
    assert digests(tmp_path) == before
    write_date_pairs(recipe(seed=4), str(tmp_path), num_workers=1, overwrite=True)
    assert digests(tmp_path) != before


def test_an_ambiguous_recipe_writes_nothing(tmp_path) -> None:
    writings = [{"locales": ["en_US"], "formats": ["M/d/y", "d/M/y"]}]
    with pytest.raises(RecipeError, match="2/1/1970"):
        write_date_pairs(recipe(dates={"writings": writings}), str(tmp_path / "out"), num_workers=1)
    assert not (tmp_path / "out").exists()


def test_a_shard_that_fails_is_named_and_the_rest_is_kept(tmp_path, monkeypatch) -> None:
    real = shard_line.write_shard

    def failing(spec, **more):
        if spec.split == "validation":
            raise OSError("no space left on device")
        return real(spec, **more)

    monkeypatch.setattr(shard_line, "write_shard", failing)
    with pytest.raises(DatasetError, match=r"validation/validation-00000.*no space left"):
        write_date_pairs(recipe(), str(tmp_path), num_workers=1)
    assert not (tmp_path / "manifest.json").exists()
    monkeypatch.undo()
    resumed, _ = write_date_pairs(recipe(), str(tmp_path), num_workers=1)
    assert resumed.manifest.run["shards_reused"] == 6
