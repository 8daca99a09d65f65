"""Decoded copies of shards: equal records, never stale, never half, made once."""

from __future__ import annotations

from pathlib import Path

import pytest
import tensorflow as tf

from beam_jobs.bank_building import build_bank
from beam_jobs.synthesize import synthesize
from pipeline.input_dataset import ShardSource, read_dataset
from pipeline.inputs.shard_cache import CachedDataset, fill_cache
from pipeline.tfrecord import RecordReader
from schemas import example as names
from schemas.errors import DatasetError
from schemas.stored_dataset import StoredDataset
from tests.audio_factory import material
from tests.fakes import recipe


@pytest.fixture(scope="module")
def sets(tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("data")
    material(folder)
    for encoding in ("pcm16", "flac"):
        wanted = recipe(
            scene={"duration_s": 1.0, "num_keywords": [0, 1], "num_negatives": [0, 0]},
            dataset={
                "num_examples": {"train": 20, "validation": 4, "test": 4},
                "encoding": encoding,
                "shard_bytes": 100_000,
            },
        )
        bank = build_bank(wanted, base_dir=folder, bank_root=folder / "bank")
        synthesize(wanted, bank.directory, str(folder / encoding), num_workers=1)
    return {encoding: str(folder / encoding) for encoding in ("pcm16", "flac")}


def _records(stored: CachedDataset, split: str) -> list[bytes]:
    found = []
    for path, _ in stored.shards(split):
        with open(path, "rb") as file:
            found += list(RecordReader(file, path))
    return found


def _order(stored: StoredDataset) -> list[bytes]:
    source = ShardSource(stored, "train", seed=3)
    records = source.records(tf.constant(0, tf.int64)).as_numpy_iterator()
    features = [tf.train.Example.FromString(record).features.feature for record in records]
    return [one[names.EXAMPLE_ID].bytes_list.value[0] for one in features]


def _without_digest(records: list[bytes]) -> list[dict[str, bytes]]:
    """Features by name; the recipe's digest, in which the encoding has a part, left out."""
    parsed = [tf.train.Example.FromString(record).features.feature for record in records]
    return [
        {name: one[name].SerializeToString() for name in one if name != names.RECIPE_DIGEST}
        for one in parsed
    ]


def test_copies_are_the_records_of_a_data_set_without_flac(sets, tmp_path: Path) -> None:
    stored = read_dataset(sets["flac"])
    told: list[tuple[int, int]] = []
    cached = fill_cache(stored, tmp_path / "cache", lambda *now: told.append(now))
    shards = len(stored.shards("train")) + len(stored.shards("validation"))
    assert shards > 2, "the test wants several shards"
    assert told == [(n, shards) for n in range(1, shards + 1)]
    assert cached.encoding == "pcm16"
    assert cached.identity() == stored.identity()
    plain = read_dataset(sets["pcm16"])
    for split in ("train", "validation"):
        mine, theirs = _records(cached, split), []
        for path, _ in plain.shards(split):
            with open(path, "rb") as file:
                theirs += list(RecordReader(file, path))
        assert len(mine) == cached.num_examples(split)
        assert sorted(map(str, _without_digest(mine))) == sorted(map(str, _without_digest(theirs)))
    assert _order(cached) == _order(stored)
    assert len(set(_order(cached))) == 20


def test_copies_are_made_once_and_only_where_they_are_missing(sets, tmp_path: Path) -> None:
    stored = read_dataset(sets["flac"])
    cached = fill_cache(stored, tmp_path, lambda *_: None)
    paths = [Path(path) for path, _ in cached.shards("train")]
    before = {path: path.stat().st_mtime_ns for path in paths}
    paths[0].unlink()
    with pytest.raises(DatasetError, match="no whole copy"):
        cached.shards("train")
    again = fill_cache(stored, tmp_path, lambda *_: None)
    assert paths[0].exists()
    assert {p: p.stat().st_mtime_ns for p in paths[1:]} == {p: before[p] for p in paths[1:]}
    assert again.num_examples("train") == 20


def test_a_damaged_shard_leaves_no_copy(sets, tmp_path: Path) -> None:
    stored = read_dataset(sets["flac"])
    path = Path(stored.shards("train")[0][0])
    whole = path.read_bytes()
    try:
        path.write_bytes(whole[:1000] + b"!" + whole[1001:])
        with pytest.raises(DatasetError, match="damaged"):
            fill_cache(stored, tmp_path, lambda *_: None)
        path.unlink()
        with pytest.raises(DatasetError, match="is missing"):
            fill_cache(stored, tmp_path, lambda *_: None)
    finally:
        path.write_bytes(whole)
    assert all(path.suffix == ".tfrecord" for path in tmp_path.iterdir())


def test_a_copy_that_lost_its_end_is_made_again(sets, tmp_path: Path) -> None:
    stored = read_dataset(sets["flac"])
    cached = fill_cache(stored, tmp_path, lambda *_: None)
    path = Path(cached.shards("train")[0][0])
    whole = path.read_bytes()
    for damaged in (b"", whole[:-5]):
        path.write_bytes(damaged)
        with pytest.raises(DatasetError, match="no whole copy"):
            cached.shards("train")
        fill_cache(stored, tmp_path, lambda *_: None)
        assert Path(cached.shards("train")[0][0]).read_bytes() == whole


def test_what_a_killed_run_left_is_cleared(sets, tmp_path: Path) -> None:
    left = tmp_path / ".copying-999999999-x"
    left.mkdir(parents=True)
    (left / "half").write_bytes(b"x" * 100)
    fill_cache(read_dataset(sets["flac"]), tmp_path, lambda *_: None)
    assert all(path.suffix == ".tfrecord" for path in tmp_path.iterdir())
