"""The command classifier: features, network, statistics, counting, pictures, export."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import soxr
import tensorflow as tf
from matplotlib.figure import Figure

from models.class_plots import draw_class_bars, draw_confusion, report_picture
from models.class_report import classification_report, confusion_matrix, confusion_text
from models.command_classifier import CommandClassifier
from models.commands_export import check_parity, save_classifier
from models.commands_task import CommandsTask
from models.graph_audio import read_wav, resample
from models.intervals import share, share_text
from models.model_files import WEIGHTS_NAME
from models.zoo.command_cnn import CommandSpectrogram, build_command_cnn
from pipeline.inputs.clip_folder import load_clip_folder
from schemas.errors import ParityError, TrainingError
from schemas.recipe_commands import CommandCnn, CommandFeatures, CommandsRecipe
from tests.audio_factory import burst, write
from tests.clip_factory import speech_commands

NAMES = ("down", "go", "left", "no", "right", "stop", "up", "yes")
SMALL = CommandCnn(image_size=12, filters=(4, 4), units=8)
OUTPUTS = {"predictions", "class_ids", "class_names"}


def classifier_of(model: CommandCnn = SMALL, **features) -> CommandClassifier:
    random.seed(1)  # tf-keras seeds its initialisers from here
    return CommandClassifier(
        CommandFeatures(**features), model, class_names=NAMES, sample_rate_hz=16000,
        clip_samples=16000,
    )  # fmt: skip


def pcm(count: int, samples: int = 16000) -> np.ndarray:
    rng = np.random.default_rng(4)
    return (rng.standard_normal((count, samples)) * 3000).astype(np.int16)


def test_R60_accuracies_come_with_intervals_and_counts() -> None:
    found = share(276, 299)
    assert (found["count"], found["total"]) == (276, 299)
    assert np.round(found["interval"], 3).tolist() == [0.887, 0.948]
    assert share_text(found) == "92.3 % (276 of 299, 95 % interval 88.7 … 94.8 %)"
    assert np.round(share(695, 832)["interval"], 3).tolist() == [0.809, 0.859]
    assert share(0, 0) == {
        "count": 0, "total": 0, "share": None, "interval": [0.0, 1.0],
    }  # fmt: skip


def test_R62_spectrogram_is_124_129_1_and_equals_numpy() -> None:
    x = pcm(2) / np.float32(32768)
    front_end = CommandSpectrogram(CommandFeatures(), 16000)
    ours = front_end(tf.constant(x)).numpy()
    assert ours.shape == (2, 124, 129, 1)
    assert front_end.shape_for(16000) == (124, 129, 1)
    frames = np.lib.stride_tricks.sliding_window_view(x.astype(float), 255, axis=1)[:, ::128]
    theirs = np.abs(np.fft.rfft(frames * np.hanning(255), 256, axis=2))
    np.testing.assert_allclose(ours[..., 0], theirs, atol=5e-6 * theirs.max())
    periodic = np.hanning(256)[:255]
    other = np.abs(np.fft.rfft(frames * periodic, 256, axis=2))
    assert np.abs(ours[..., 0] - other).max() > 1e-3 * theirs.max()


def test_levelled_features_are_the_same_at_any_gain() -> None:
    x = pcm(1) / np.float32(32768)
    front_end = CommandSpectrogram(CommandFeatures(level="loudest_frame", scale="log"), 16000)
    loud, quiet = front_end(tf.constant(x)).numpy(), front_end(tf.constant(0.02 * x)).numpy()
    np.testing.assert_allclose(loud, quiet, atol=1e-4)
    assert np.isfinite(front_end(tf.zeros([1, 16000])).numpy()).all()


def test_mel_bands_hold_the_power_of_their_frequencies() -> None:
    config = CommandFeatures(frame_samples=400, step_samples=160, num_mels=32)
    front_end = CommandSpectrogram(config, 16000)
    hz = np.array([200.0, 1000.0, 5000.0])
    tones = np.sin(2 * np.pi * np.outer(hz, np.arange(16000)) / 16000).astype("f4")
    found = front_end(tf.constant(tones)).numpy()
    assert found.shape[1:] == front_end.shape_for(16000) == (98, 32, 1)
    mels = 2595 * np.log10(1 + np.array([80, *hz, 7600]) / 700)
    wanted = (mels[1:4] - mels[0]) / (mels[4] - mels[0]) * 33 - 1
    assert np.abs(found[:, 50, :, 0].argmax(axis=1) - wanted).max() <= 0.6
    with pytest.raises(TrainingError, match="num_mels"):
        CommandSpectrogram(CommandFeatures(num_mels=200), 16000)


def test_R63_network_has_1_625_611_parameters_and_gives_logits() -> None:
    network = build_command_cnn(CommandCnn(), feature_shape=(124, 129, 1), num_classes=8)
    assert network.count_params() == 1_625_611
    assert sum(int(tf.size(v)) for v in network.trainable_variables) == 1_625_608
    assert network.get_layer("flat").output_shape == (None, 12_544)
    classifier = classifier_of(CommandCnn())
    logits = classifier.score(pcm(4))
    assert logits.shape == (4, 8)
    assert (logits < 0).any()
    assert np.abs(logits.sum(axis=1) - 1).min() > 1e-3


@pytest.fixture(scope="module")
def task(tmp_path_factory) -> CommandsTask:
    folder = speech_commands(tmp_path_factory.mktemp("clips"))
    recipe = CommandsRecipe.model_validate(
        {
            "schema": 1, "task": "commands", "name": "x", "model": SMALL.model_dump(),
            "clips": {"path": str(folder), "speaker_pattern": "([a-z]+)_nohash_"},
        }
    )  # fmt: skip
    return CommandsTask(recipe, load_clip_folder(recipe.clips, recipe.splits, folder), folder)


def test_R65_statistics_are_those_of_the_resized_input(task, tmp_path) -> None:
    rows = tf.constant(task._clips.rows["train"])
    features, _ = task.prepare()(rows, tf.constant(0, tf.int64))
    network = task.build()
    resized = network.get_layer("resizing")(features)
    received = network.get_layer("normalization")(resized).numpy()
    assert abs(received.mean()) < 0.01
    assert abs(received.std() - 1) < 0.01
    # fitted before resizing, as the reference does, they would be others
    assert abs(float(np.std(features)) / float(np.std(resized)) - 1) > 0.01
    # they lie in the weights
    network.save_weights(str(tmp_path / WEIGHTS_NAME))
    fresh = task._classifier.new_network()
    assert np.abs(fresh(features).numpy() - network(features).numpy()).max() > 1e-3
    fresh.load_weights(str(tmp_path / WEIGHTS_NAME))
    np.testing.assert_allclose(fresh(features).numpy(), network(features).numpy(), atol=1e-5)


def test_judgement_is_the_share_of_errors_on_validation(task) -> None:
    network = task.build()
    judgement = task.judge(network)
    rows = task._clips.rows["validation"]
    logits = task._classifier.score(task._clips.samples[rows], network)
    wrong = (logits.argmax(axis=1) != task._clips.labels[rows]).sum()
    assert judgement.cost == pytest.approx(wrong / len(rows))
    powers = np.exp(logits.astype(float))
    chosen = (powers / powers.sum(axis=1, keepdims=True))[
        range(len(rows)), task._clips.labels[rows]
    ]
    assert judgement.values["cross_entropy"] == pytest.approx(-np.log(chosen).mean(), rel=1e-4)
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():  # where training calls it
        assert task.judge(network).values == judgement.values


def test_R71_confusion_has_true_rows_and_predicted_columns() -> None:
    true, predicted = np.array([0, 0, 0, 1, 2, 2]), np.array([0, 1, 1, 1, 0, 2])
    wanted = [[1, 2, 0], [0, 1, 0], [1, 0, 1]]
    assert confusion_matrix(true, predicted, 3).tolist() == wanted
    report = classification_report(true, predicted, ["a", "b", "c"], list("uuvvww"))
    assert report["confusion"] == {"rows": "true", "columns": "predicted", "counts": wanted}
    assert [row["total"] for row in report["by_class"]] == [3, 1, 2]
    assert [row["count"] for row in report["by_class"]] == [1, 1, 1]
    assert [(r["group"], r["count"], r["total"]) for r in report["by_group"]] == [
        ("u", 1, 2), ("v", 1, 2), ("w", 1, 2),
    ]  # fmt: skip
    assert (report["accuracy"]["count"], report["accuracy"]["total"]) == (3, 6)
    table = [line.split() for line in confusion_text(report).splitlines()]
    assert table[1] == ["a", "1", "2", "0"]
    assert table[3] == ["c", "1", "0", "1"]
    axes = Figure().add_subplot()
    draw_confusion(axes, np.array(wanted), ["a", "b", "c"])
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "true")
    shown = {tuple(map(round, text.get_position())): text.get_text() for text in axes.texts}
    assert shown[1, 0] == "2"  # x: predicted b, y: true a
    assert (0, 1) not in shown


def test_R64_bars_and_axes_bear_the_class_names_in_the_models_order() -> None:
    logits = np.array([1.097, 2.713, -1.680, 4.521, -2.561, -1.727, -1.783, -2.601])
    axes = Figure().add_subplot()
    draw_class_bars(axes, logits, NAMES, true_class=3)
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels == list(NAMES)
    heights = [bar.get_height() for bar in axes.patches]
    assert labels[int(np.argmax(heights))] == "no"
    assert max(heights) == pytest.approx(0.831, abs=5e-4)
    assert sum(heights) == pytest.approx(1)
    draw_confusion(axes, np.eye(8, dtype=int), NAMES)
    for ticks in (axes.get_xticklabels(), axes.get_yticklabels()):
        assert [label.get_text() for label in ticks] == list(NAMES)


def test_pictures_stand_names_that_look_like_mathematics() -> None:
    worst = ("a$b_{1$.wav", 0, np.zeros(2))
    assert report_picture(np.eye(2, dtype=int), ["$x_{", "\\frac"], "$$", worst)[:4] == b"\x89PNG"


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000, 192000])
def test_R69_resampling_in_the_graph_is_close_to_soxr(rate) -> None:
    hz = np.array([200.0, 700.0, 2900.0])
    x = (0.2 * np.sin(2 * np.pi * np.outer(hz, np.arange(rate)) / rate)).sum(axis=0)
    ours = resample(tf.constant(x, tf.float32), tf.constant(rate, tf.int64), 16000, 16000).numpy()
    theirs = soxr.resample(x, rate, 16000, quality="HQ")
    assert ours.shape == theirs.shape == (16000,)
    inner = slice(400, -400)  # the ends differ: nothing is known beyond them
    assert np.abs(ours[inner] - theirs[inner]).max() < 2e-3


def test_R69_tones_above_the_new_rate_are_not_folded_back() -> None:
    x = np.sin(2 * np.pi * 11000 * np.arange(44100) / 44100)
    ours = resample(tf.constant(x, tf.float32), tf.constant(44100, tf.int64), 16000, 16000).numpy()
    assert np.abs(ours[400:-400]).max() < 1e-3


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "saved_model"
    classifier = classifier_of(scale="log")
    save_classifier(classifier, folder)
    return classifier, folder, tf.saved_model.load(str(folder))


def test_R70_all_signatures_give_the_same_numbers_after_reload(exported, tmp_path) -> None:
    classifier, folder, loaded = exported
    samples = pcm(3)
    wanted = classifier.score(samples)
    x = samples / np.float32(32768)
    signatures = loaded.signatures
    answers = {
        "batch": signatures["serving_default"](waveform=tf.constant(x)),
        "single": signatures["single"](waveform=tf.constant(x[1])),
        "file": signatures["file"](
            path=tf.constant(str(write(tmp_path / "a b.wav", samples[2], subtype="PCM_16")))
        ),
    }
    for name, rows in {"batch": [0, 1, 2], "single": [1], "file": [2]}.items():
        answer = answers[name]
        assert set(answer) == OUTPUTS
        np.testing.assert_allclose(answer["predictions"], wanted[rows], atol=1e-4)
        best = wanted[rows].argmax(axis=1)
        np.testing.assert_array_equal(answer["class_ids"], best)
        assert answer["class_ids"].dtype == tf.int64
        assert [n.decode() for n in answer["class_names"].numpy()] == [NAMES[i] for i in best]
    assert [n.decode() for n in loaded.class_names.numpy()] == list(NAMES)
    assert max(check_parity(classifier, folder, samples).values()) < 1e-4


def test_R70_clips_of_unequal_length_are_filled_up_or_cut(exported) -> None:
    classifier, _, loaded = exported
    whole = pcm(3, 20000)
    lengths = [16000, 5000, 20000]
    padded = np.zeros((3, 16000), np.int16)
    for row, length in enumerate(lengths):
        padded[row, : min(length, 16000)] = whole[row, : min(length, 16000)]
    wanted = classifier.score(padded)
    parts = [whole[row, :length] / np.float32(32768) for row, length in enumerate(lengths)]
    flat = loaded.signatures["clips"](
        samples=tf.constant(np.concatenate(parts)), row_lengths=tf.constant(lengths, tf.int64)
    )
    ragged = loaded.classify_clips(tf.ragged.constant(parts))
    for answer in (flat, ragged):
        assert set(answer) == OUTPUTS
        np.testing.assert_allclose(answer["predictions"], wanted, atol=1e-4)
    alone = loaded.signatures["single"](waveform=tf.constant(parts[1]))
    np.testing.assert_allclose(alone["predictions"], wanted[1:2], atol=1e-4)


def test_R69_a_file_of_another_rate_is_resampled_by_the_export(exported, tmp_path) -> None:
    classifier, _, loaded = exported
    x = burst(rate=44100, before_s=0, sound_s=1.0, after_s=0, hz=440, noise=0)
    path = write(tmp_path / "x.wav", np.stack([x, x], axis=1), 44100)
    decoded = read_wav(tf.constant(str(path)), 16000, 16000).numpy()
    assert decoded.shape == (16000,)
    assert np.abs(np.fft.rfft(decoded)).argmax() == 440
    there = np.rint(soxr.resample(x, 44100, 16000) * 32768).astype(np.int16)
    wanted = classifier.score(there[None])
    answer = loaded.signatures["file"](path=tf.constant(str(path)))
    np.testing.assert_allclose(answer["predictions"], wanted, atol=0.1 * np.ptp(wanted))


def test_the_export_refuses_what_is_no_sound(exported, tmp_path) -> None:
    _, _, loaded = exported
    with pytest.raises(tf.errors.InvalidArgumentError, match="NaN"):
        loaded.signatures["serving_default"](waveform=tf.constant([[0.0, np.nan]]))
    text = tmp_path / "x.wav"
    text.write_text("not a sound")
    with pytest.raises(tf.errors.InvalidArgumentError):
        loaded.signatures["file"](path=tf.constant(str(text)))
    with pytest.raises(tf.errors.NotFoundError):
        loaded.signatures["file"](path=tf.constant(str(tmp_path / "none.wav")))


def test_R70_an_export_that_differs_is_refused(exported) -> None:
    _, folder, _ = exported
    random.seed(2)
    other = CommandClassifier(
        CommandFeatures(scale="log"), SMALL, class_names=NAMES, sample_rate_hz=16000,
        clip_samples=16000,
    )  # fmt: skip
    with pytest.raises(ParityError, match="serving_default"):
        check_parity(other, folder, pcm(2))
    assert not Path(folder.parent / "check.wav").exists()
