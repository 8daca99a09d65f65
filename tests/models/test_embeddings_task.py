"""The task `embeddings`: batches, fitting as the reference says and better, figures with counts."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf

from models.clip_evaluation import evaluate_clips, report_text
from models.clip_export import export_classifier
from models.clip_judging import average_precision, judged, log_loss, share
from models.embeddings_task import EmbeddingsTask, load_classifier, logits_of
from models.fitting import fit
from pipeline.embedding_parity import padded_in_front
from pipeline.inputs.embedding_set import ClipSource, prepare_clips, read_clip_set, read_clips
from pipeline.inputs.source import batches
from pipeline.recipe_file import load_any_recipe
from schemas.errors import DatasetError, RecipeError, TrainingError
from schemas.recipe_embeddings import EmbeddingsRecipe
from tests.embedding_factory import records
from tests.models.clip_set import write_set

TINY = {"units": 4}


class Run(NamedTuple):
    folder: Path
    task: EmbeddingsTask
    steps: list[tuple[int, int]]
    card: dict


def recipe(model=TINY, seed=3, **training) -> EmbeddingsRecipe:
    return EmbeddingsRecipe.model_validate(
        {
            "schema": 1, "task": "embeddings", "name": "turkey", "seed": seed,
            "data": {"material": [{"path": "x.json"}]}, "model": model, "training": training,
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> str:
    """As many clips as the reference had, by its own split, and some to test on."""
    folder = tmp_path_factory.mktemp("set") / "data"
    made = records(1195)
    write_set(folder, {"train": made[:896], "validation": made[896:], "test": records(80, seed=5)})
    return str(folder)


@pytest.fixture(scope="module")
def reference_run(data, tmp_path_factory) -> Run:
    """All settings as they are by default, the network smaller."""
    folder, done = tmp_path_factory.mktemp("run") / "model", []
    task = EmbeddingsTask(recipe(model={"units": 16}), data)
    result = fit(task, folder, progress=lambda step, total, _: done.append((step, total)))
    return Run(folder, task, done, result.card)


def epochs_of(folder: Path) -> list[dict]:
    return json.loads((folder / "history.json").read_text())["epochs"]


def test_R57_sixteen_epochs_of_896_clips_are_32_updates(reference_run) -> None:
    config = reference_run.task.fitting
    assert (config.optimizer, config.learning_rate) == ("nadam", 1e-3)
    assert (config.batch_size, config.epochs, config.early_stopping_epochs) == (512, 16, 20)
    assert (config.plateau.factor, config.plateau.patience, config.plateau.floor) == (0.1, 2, 1e-8)
    # An epoch's last step is reported again, with the judgement.
    assert list(dict.fromkeys(reference_run.steps)) == [(step, 32) for step in range(1, 33)]
    epochs = epochs_of(reference_run.folder)
    assert len(epochs) == reference_run.card["epochs_trained"] == 16
    assert [entry["cost"] for entry in epochs] == [entry["validation_loss"] for entry in epochs]
    assert {"validation_accuracy", "validation_average_precision"} <= set(epochs[-1])


def test_R57_an_unknown_metric_is_an_error(tmp_path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "schema: 1\ntask: embeddings\nname: x\ndata: {material: [{path: x.json}]}\n"
        "training: {monitor: val_acc}\n"
    )
    with pytest.raises(RecipeError, match=r"training\.monitor.*accuracy"):
        load_any_recipe(path)


def test_R57_R58_of_a_diverging_run_the_best_weights_are_kept_and_the_rate_falls(
    data, tmp_path
) -> None:
    plateau = {"patience": 1, "factor": 0.9}
    made = recipe(epochs=6, learning_rate=2.0, batch_size=448, plateau=plateau)
    result = fit(EmbeddingsTask(made, data), tmp_path / "m")
    epochs = epochs_of(tmp_path / "m")
    costs = [entry["cost"] for entry in epochs]
    assert costs == [entry["validation_loss"] for entry in epochs]
    assert min(costs) < costs[-1]  # it did get worse
    assert result.card["best_epoch"]["cost"] == min(costs)
    clips = read_clips(read_clip_set(data), "validation", num_frames=10)
    kept = log_loss(clips.labels, logits_of(load_classifier(tmp_path / "m"), clips))
    assert kept == pytest.approx(min(costs), rel=1e-4)
    best, rate = math.inf, 2.0
    for entry in epochs:  # a plateau acts, epoch by epoch
        assert entry["learning_rate"] == pytest.approx(rate)
        rate *= 1.0 if entry["cost"] < best else 0.9
        best = min(best, entry["cost"])
    assert rate < 2.0


@pytest.mark.parametrize("normalisation", ["fitted", "batch"])
def test_R59_statistics_are_the_training_datas_after_no_update_and_after_a_few(
    data, normalisation
) -> None:
    clips = read_clips(read_clip_set(data), "train", num_frames=10)
    real = clips.frames[clips.mask > 0].astype(np.float64)
    made = recipe(model=TINY | {"normalisation": normalisation})
    network = EmbeddingsTask(made, data).build()
    for start in (None, 0, 384):
        if start is not None:
            part = slice(start, start + 512)
            network((clips.frames[part], clips.mask[part]), training=True)
        difference = np.abs(network.norm.moving_mean.numpy() - real.mean(axis=0))
        assert (difference < 0.01 * real.std(axis=0)).all()
        np.testing.assert_allclose(network.norm.moving_variance, real.var(axis=0), rtol=0.01)


def test_R54_batches_are_padded_behind_masked_and_float32(data) -> None:
    stored = read_clip_set(data)
    source = ClipSource(stored, "validation", seed=1, batch_size=64)
    seen: dict[bytes, tuple] = {}
    for (frames, mask), labels, weights in batches(
        source, prepare_clips(num_frames=10), batch_size=64, epochs=range(1)
    ):
        assert frames.dtype == mask.dtype == labels.dtype == weights.dtype == tf.float32
        assert frames.shape == (64, 10, 128)
        lengths = tf.reduce_sum(mask, 1).numpy()
        for row, length, label, weight in zip(
            frames.numpy(), lengths, labels, weights, strict=True
        ):
            if weight:
                assert not row[int(length) :].any()
                seen[row.tobytes()] = (length, float(label[0]))
    wanted = {}
    for record in records(1195)[896:]:
        row = np.zeros((10, 128), np.float32)
        row[: len(record["audio_embedding"])] = record["audio_embedding"]
        wanted[row.tobytes()] = (len(record["audio_embedding"]), record["is_turkey"])
    assert seen == wanted


def test_the_last_batch_is_filled_up_and_its_mean_is_over_real_clips(data) -> None:
    source = ClipSource(read_clip_set(data), "train", seed=1, batch_size=512)
    assert source.num_examples == 1024
    prepare = prepare_clips(num_frames=10, positive_weight=3.0)
    full, last = batches(source, prepare, batch_size=512, epochs=range(1))
    (frames, mask), labels, weights = last
    empty = weights.numpy() == 0
    assert empty.sum() == 128
    assert not frames.numpy()[empty].any()
    assert not mask.numpy()[empty].any()
    plain = weights.numpy() / (1 + 2 * labels.numpy()[:, 0])
    assert plain.sum() == pytest.approx(512)
    assert set(full[2].numpy()) == {1.0, 3.0}


def test_an_epochs_order_follows_from_seed_and_epoch_and_has_each_clip_once(data) -> None:
    stored = read_clip_set(data)

    def order(seed: int, epoch: int) -> list[bytes]:
        source = ClipSource(stored, "test", seed=seed, batch_size=16)
        return [r.numpy() for r in source.records(tf.constant(epoch, tf.int64))]

    one = order(1, 0)
    assert one == order(1, 0)
    assert one != order(1, 1)
    assert one != order(2, 0)
    assert sorted(one) == sorted(order(1, 1))
    assert len(set(one)) == 80


def test_R55_reference_padding_in_batches_is_the_parity_function(tmp_path) -> None:
    made = records(8)
    for i, record in enumerate(made):
        length = 1 + 2 * i
        record["audio_embedding"] = (np.random.default_rng(i).random((length, 128)) * 9).tolist()
    stored = write_set(tmp_path / "data", {"train": made})
    for num_frames in (10, 20):
        clips = read_clips(stored, "train", num_frames=num_frames, padding="reference")
        wanted = padded_in_front([r["audio_embedding"] for r in made], num_frames)
        np.testing.assert_array_equal(clips.frames, wanted.astype(np.float32))
        assert clips.mask.all()


def test_R60_accuracies_come_with_counts_and_intervals() -> None:
    for count, low, high in ((276, 0.887, 0.948), (279, 0.899, 0.956)):
        found = share(count, 299)
        assert (found["count"], found["total"]) == (count, 299)
        assert found["interval"] == pytest.approx([low, high], abs=5e-4)
    labels = np.array([1, 1, 0, 0, 0, 0])
    found = judged(labels, np.array([2.0, -1, -3, 4, -1, -2]), ("a", "a", "b", "b", "c", "d"))
    assert (found["accuracy"]["count"], found["accuracy"]["total"]) == (4, 6)
    assert found["accuracy"]["videos"] == 4
    assert found["base_rate"]["share"] == pytest.approx(4 / 6)
    assert (found["found"]["count"], found["found"]["total"]) == (1, 2)
    assert (found["false_alarms"]["count"], found["false_alarms"]["total"]) == (1, 4)


def test_average_precision_is_the_plain_rule_with_ties_as_one_threshold() -> None:
    def plainly(labels, scores) -> float:
        area, before = 0.0, 0.0
        for threshold in sorted(set(scores), reverse=True):
            taken = scores >= threshold
            recall = labels[taken].sum() / labels.sum()
            area += (recall - before) * labels[taken].mean()
            before = recall
        return area

    rng = np.random.default_rng(0)
    for _ in range(50):
        labels, scores = rng.integers(0, 2, 20), rng.integers(0, 6, 20) / 2
        labels[0] = 1
        assert average_precision(labels, scores) == pytest.approx(plainly(labels, scores))
    assert average_precision(np.array([0, 0]), np.array([1.0, 2.0])) is None
    assert average_precision(np.array([1, 0]), np.array([2.0, 1.0])) == 1.0


def test_R60_a_classifier_is_judged_on_its_test_with_counts_and_the_base_rate(
    reference_run, data
) -> None:
    values = evaluate_clips(reference_run.folder)
    accuracy, base = values["accuracy"], values["base_rate"]
    assert values["judged_on"] == "test"
    assert accuracy["total"] == 80
    assert accuracy["interval"][0] > base["share"]  # it has learnt
    assert values["average_precision"] > 0.9 > 2 * values["share_positive"]
    weights = values["example"]["weights"]
    assert sum(weights) == pytest.approx(1, abs=1e-5)
    text = (reference_run.folder / "evaluation.txt").read_text()
    assert text == report_text(values)
    for words in (f"{accuracy['count']} of 80", "commoner answer", "attention to the frames of"):
        assert words in text
    manifest = Path(data) / "manifest.json"
    before = manifest.read_text()
    try:
        manifest.write_text(before.replace('"num_bytes": ', '"num_bytes": 1'))
        with pytest.raises(DatasetError, match="has changed"):
            evaluate_clips(reference_run.folder)
    finally:
        manifest.write_text(before)


@pytest.mark.parametrize("model", [{"family": "clip_birnn"}, {"bias": "relative"}])
def test_an_exported_classifier_gives_the_same_probabilities(model, data, tmp_path) -> None:
    task = EmbeddingsTask(recipe(model=TINY | model), data)
    network = task.build()
    task.save(network, tmp_path / "m", {"name": "x"})
    assert "largest difference" in export_classifier(tmp_path / "m", tmp_path / "export")
    served = tf.saved_model.load(str(tmp_path / "export")).signatures["serving_default"]
    clips = read_clips(task.stored, "test", num_frames=10)
    lengths = clips.mask.sum(axis=1).astype(np.int32)
    got = served(frames=tf.constant(clips.frames), num_frames=tf.constant(lengths))
    wanted = 1 / (1 + np.exp(-logits_of(network, clips)))
    np.testing.assert_allclose(got["probability"], wanted, atol=1e-4)
    assert ("attention" in got) == (model.get("family") != "clip_birnn")


def test_clips_of_one_label_alone_are_refused(tmp_path) -> None:
    same = [record | {"is_turkey": 0} for record in records(6)]
    write_set(tmp_path / "data", {"train": same, "validation": records(6)})
    with pytest.raises(TrainingError, match="train has 0 clips with the sound and 6 without"):
        EmbeddingsTask(recipe(), str(tmp_path / "data"))
