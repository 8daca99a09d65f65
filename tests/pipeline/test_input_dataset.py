"""Batches of a data set: every epoch has an order of its own and, in time, every example."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from beam_jobs.bank_building import build_bank
from beam_jobs.synthesize import synthesize
from pipeline.frame_labels import LabelRule
from pipeline.input_dataset import (
    LiveSource,
    ShardSource,
    backgrounds_of,
    judged_examples,
    prepare_scenes,
    read_dataset,
)
from pipeline.inputs.source import Share, batches
from pipeline.scene_source import SceneSource
from pipeline.tfrecord import RecordReader
from schemas.errors import DatasetError, RequestError
from schemas.recipe import LabelWindow
from tests.audio_factory import material
from tests.fakes import recipe

RULE = LabelRule.of(
    LabelWindow(), labels=("kw",), num_steps=10, warmup_samples=0, hop_samples=320,
    sample_rate_hz=16000, positive_weight=4.0,
)  # fmt: skip


@pytest.fixture(scope="module", params=["pcm16", "flac"])
def made(request, tmp_path_factory) -> tuple:
    folder = tmp_path_factory.mktemp("data")
    material(folder)
    made = recipe(
        scene={"duration_s": 1.0, "num_keywords": [0, 1], "num_negatives": [0, 0]},
        dataset={
            "num_examples": {"train": 47, "validation": 1, "test": 1},
            "encoding": request.param,
        },
    )
    bank = build_bank(made, base_dir=folder, bank_root=folder / "bank")
    synthesize(made, bank.directory, str(folder / "data"), num_workers=1)
    return made, bank, str(folder / "data")


@pytest.fixture
def data(made) -> str:
    return made[2]


def _batches(source, data: str, epochs: range, **how) -> tf.data.Dataset:
    stored = read_dataset(data)
    prepare = prepare_scenes(
        lambda audio: audio,
        RULE,
        encoding=stored.encoding,
        example_samples=stored.example_samples,
    )
    return batches(source, prepare, batch_size=16, epochs=epochs, **how)


def _shards(data: str) -> ShardSource:
    return ShardSource(read_dataset(data), "train", seed=3)


def _names(made: tf.data.Dataset) -> list[str]:
    """The examples seen, each named by its first samples."""
    return [str(row[:40].tolist()) for audio, _, _ in made for row in audio.numpy()]


def _epochs(data: str, epochs: range) -> list[list[str]]:
    rows = _names(_batches(_shards(data), data, epochs))
    return [rows[i : i + 32] for i in range(0, len(rows), 32)]


def test_epochs_differ_and_leave_nothing_out_for_ever(data) -> None:
    epochs = _epochs(data, range(12))
    assert len(epochs) == 12
    assert all(len(set(epoch)) == 32 for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 12
    assert len({name for epoch in epochs for name in epoch}) == 47


def test_a_resumed_epoch_has_the_order_that_it_would_have_had(data) -> None:
    assert _epochs(data, range(2, 4)) == _epochs(data, range(4))[2:]


def test_a_batch_that_was_done_is_left_out_of_its_epoch_alone(data) -> None:
    whole = _names(_batches(_shards(data), data, range(1, 3)))
    assert _names(_batches(_shards(data), data, range(1, 3), first_step=1)) == whole[16:]


def test_shares_of_the_workers_make_up_the_global_batches(data) -> None:
    whole = _names(_batches(_shards(data), data, range(2)))
    parts = [
        _batches(_shards(data), data, range(2), share=Share(worker, 2, 2)) for worker in range(2)
    ]
    assert [len(audio) for audio, _, _ in parts[0]] == [4] * 8
    first, second = (_names(part) for part in parts)
    cut = range(0, len(first), 8)
    assert whole == [name for i in cut for name in (*first[i : i + 8], *second[i : i + 8])]


def test_judged_examples_are_whole_and_in_order(data) -> None:
    rows = list(judged_examples(read_dataset(data), split="train", batch_size=10))
    assert [name for ids, _, _ in rows for name in ids] == [f"train/{i:09d}" for i in range(47)]
    assert tf.concat([audio for _, audio, _ in rows], 0).shape == (47, 16000)


def test_the_background_of_each_example_is_that_of_its_plan(made) -> None:
    recipe_, bank, data = made
    found = backgrounds_of(read_dataset(data), "train")
    source = SceneSource(recipe_, bank, "train")
    assert len(found) == 47
    assert found["train/000000017"] == source[17].plan.backgrounds[0].source


def test_an_example_made_alone_is_the_stored_one(made) -> None:
    recipe_, bank, data = made
    source = SceneSource(recipe_, bank, "train")
    paths = sorted(Path(data, "train").glob("*.tfrecord"))
    stored = [record for path in paths for record in RecordReader(path.open("rb"), path.name)]
    assert len(source) == len(stored) == 47
    for index in (46, 0, 17):
        assert source[index].record == stored[index]
    assert source[10**12].plan.index == 10**12
    with pytest.raises(RequestError):
        source[-1]


def test_live_training_gives_the_tensors_of_the_shards(made) -> None:
    recipe_, bank, data = made
    scenes = LiveSource(SceneSource(recipe_, bank, "train"), seed=3)

    def rows(made) -> dict[bytes, tuple]:
        return {
            x.tobytes(): (y.tobytes(), w.tobytes())
            for batch in made
            for x, y, w in zip(*(part.numpy() for part in batch), strict=True)
        }

    from_shards = rows(_batches(_shards(data), data, range(2)))
    live = [_batches(scenes, data, range(2)) for _ in range(2)]
    rendered = rows(live[0])
    shared = from_shards.keys() & rendered.keys()
    assert len(rendered) == len(from_shards) == 47 or len(shared) > 35
    assert all(from_shards[key] == rendered[key] for key in shared)
    for one, other in zip(*live, strict=True):
        np.testing.assert_array_equal(one[0].numpy(), other[0].numpy())


def test_a_short_shard_is_noticed_before_training(made, tmp_path) -> None:
    shutil.copytree(made[2], tmp_path / "data")
    shard = sorted((tmp_path / "data" / "train").iterdir())[0]
    shard.write_bytes(b"")
    stored = read_dataset(str(tmp_path / "data"))
    with pytest.raises(DatasetError, match="has 0 bytes"):
        next(judged_examples(stored, split="train", batch_size=4))
