"""Batches of a data set: every epoch has an order of its own and, in time, every example."""

from __future__ import annotations

import pytest
import tensorflow as tf

from beam_jobs.synthesize import synthesize
from pipeline.clip_bank import build_bank
from pipeline.frame_labels import LabelRule
from pipeline.input_dataset import judged_examples, read_manifest, training_dataset
from schemas.recipe import LabelWindow
from tests.audio_factory import material
from tests.fakes import recipe

RULE = LabelRule.of(
    LabelWindow(), labels=("kw",), num_steps=10, warmup_samples=0, hop_samples=320,
    sample_rate_hz=16000, positive_weight=4.0,
)  # fmt: skip


@pytest.fixture(scope="module", params=["pcm16", "flac"])
def data(request, tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("data")
    material(folder)
    made = recipe(
        material={
            "keyword": [{"path": "kw", "label": "kw"}],
            "negative": [{"path": "other"}],
            "background": [{"path": "noise"}],
        },
        scene={"duration_s": 1.0, "num_keywords": [0, 1], "num_negatives": [0, 0]},
        dataset={
            "num_examples": {"train": 47, "validation": 1, "test": 1},
            "encoding": request.param,
        },
    )
    bank = build_bank(made, base_dir=folder, bank_root=folder / "bank")
    synthesize(made, bank.directory, str(folder / "data"), num_workers=1)
    return str(folder / "data")


def _epochs(data: str, epochs: range) -> list[list[str]]:
    """For each epoch the examples seen, each named by its first samples."""
    batches = training_dataset(
        data, read_manifest(data), split="train", batch_size=16, epochs=epochs, seed=3,
        feature_fn=lambda audio: audio, rule=RULE,
    )  # fmt: skip
    rows = [str(row[:40].tolist()) for audio, _, _ in batches for row in audio.numpy()]
    return [rows[i : i + 32] for i in range(0, len(rows), 32)]


def test_epochs_differ_and_leave_nothing_out_for_ever(data) -> None:
    epochs = _epochs(data, range(12))
    assert len(epochs) == 12
    assert all(len(set(epoch)) == 32 for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 12
    assert len({name for epoch in epochs for name in epoch}) == 47


def test_a_resumed_epoch_has_the_order_that_it_would_have_had(data) -> None:
    assert _epochs(data, range(2, 4)) == _epochs(data, range(4))[2:]


def test_judged_examples_are_whole_and_in_order(data) -> None:
    rows = list(judged_examples(data, read_manifest(data), split="train", batch_size=10))
    assert [name for ids, _, _ in rows for name in ids] == [f"train/{i:09d}" for i in range(47)]
    assert tf.concat([audio for _, audio, _ in rows], 0).shape == (47, 16000)
