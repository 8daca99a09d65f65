"""Networks and front ends: sizes, causality, stream = offline, labels = the plain rule."""

from __future__ import annotations

import random

import numpy as np
import pytest
import tensorflow as tf
from matplotlib import mlab

from models import export as exporting
from models.detector import Detector
from models.features import SpecgramFrontEnd
from models.streaming import StreamingDetector
from pipeline.frame_labels import LabelRule, frame_labels
from pipeline.inputs.step_labels import Events, step_labels
from pipeline.mel import mel_bands
from schemas import example as names
from schemas.recipe import (
    BcResnet,
    Crnn,
    LabelWindow,
    LogMel,
    SedCrnn,
    Specgram,
    StreamTcn,
    TriggerGru,
)

GRU = {"features": Specgram(), "model": TriggerGru(filters=24, units=16), "sample_rate_hz": 44100}
TCN = {"features": LogMel(), "model": StreamTcn(channels=24), "sample_rate_hz": 16000}
BC = {"features": LogMel(), "model": BcResnet(channels=8), "sample_rate_hz": 16000}
CRNN = {
    "features": LogMel(),
    "model": Crnn(filters=6, units=8, num_layers=2),
    "sample_rate_hz": 16000,
}
SED = {
    "features": LogMel(),
    "model": SedCrnn(filters=6, units=8, num_layers=2),
    "sample_rate_hz": 16000,
}
EVERY = pytest.mark.parametrize(
    "config", [TCN, GRU, BC, CRNN, SED], ids=["tcn", "gru", "bc", "crnn", "sed"]
)


def _detector(config) -> Detector:
    random.seed(1)  # tf-keras seeds its initialisers from here
    return Detector(**config, labels=("a", "b"))


def test_R1_and_R17_reference_features_equal_matplotlib() -> None:
    rng = np.random.default_rng(0)
    pcm = (rng.standard_normal(441_000) * 3000).astype(np.int16)
    ours = SpecgramFrontEnd(Specgram(), 44100)(tf.constant(pcm[None] / 32768, tf.float32))[0]
    theirs, _, _ = mlab.specgram(pcm.astype(float), NFFT=200, Fs=8000, noverlap=120)
    assert ours.shape == (5511, 101)
    assert np.abs(ours.numpy().T - theirs).max() < 1e-5 * theirs.max()


def test_mel_bands_cover_their_range() -> None:
    bands = mel_bands(num_mels=40, fft_size=512, sample_rate_hz=16000, low_hz=80, high_hz=7600)
    assert bands.shape == (257, 40)
    assert (bands.max(axis=0) > 0.3).all()
    assert (np.diff(bands.argmax(axis=0)) >= 0).all()


@EVERY
def test_R29_later_samples_change_no_earlier_output(config) -> None:
    detector = _detector(config)
    rng = np.random.default_rng(0)
    x = (0.1 * rng.standard_normal((1, 20_000))).astype(np.float32)
    before = detector.scores(tf.constant(x)).numpy()
    for step in (3, 17, before.shape[1] - 2):
        known = detector.warmup_samples + (step + 1) * detector.hop_samples
        changed = x.copy()
        changed[:, known:] = 0.5
        after = detector.scores(tf.constant(changed)).numpy()
        np.testing.assert_allclose(after[:, : step + 1], before[:, : step + 1], atol=1e-6)
        assert np.abs(after[:, step + 1 :] - before[:, step + 1 :]).max() > 1e-6


@EVERY
def test_streaming_steps_equal_offline(config) -> None:
    detector = _detector(config)
    rng = np.random.default_rng(1)
    x = (0.1 * rng.standard_normal((1, 60_000))).astype(np.float32)
    offline = detector.scores(tf.constant(x)).numpy()
    state = detector.initial_state()
    if detector.warmup_samples:
        state[0] = x[:, : detector.warmup_samples]
    parts = []
    size = detector.step_samples
    for at in range(detector.warmup_samples, x.shape[1] - size + 1, size):
        scores, state = detector.step(tf.constant(x[:, at : at + size]), state)
        parts.append(scores.numpy())
    streamed = np.concatenate(parts, axis=1)
    assert streamed.shape[1] > 80
    np.testing.assert_allclose(streamed, offline[:, : streamed.shape[1]], atol=1e-5)
    assert len(detector.times_s(x.shape[1])) == offline.shape[1]


@EVERY
def test_every_family_exports_and_streams_the_same_scores(config, tmp_path) -> None:
    detector = _detector(config)
    exporting.write_step(detector, tmp_path)
    audio = (0.1 * np.random.default_rng(0).standard_normal((2, 20_001))).astype(np.float32)
    streams = [StreamingDetector(tmp_path, threshold=0.5) for _ in audio]
    outs = [[s.process(row), s.finish()] for s, row in zip(streams, audio, strict=True)]
    streamed = np.stack([np.concatenate([o.scores for o in row]) for row in outs])
    offline = detector.scores(tf.constant(audio)).numpy()
    assert streamed.shape == offline.shape
    np.testing.assert_allclose(streamed, offline, atol=1e-4)


def test_the_silence_after_a_stream_is_not_listened_to(tmp_path) -> None:
    """The last step is filled up with zeros; what they would score is nobody's business."""
    test_every_family_exports_and_streams_the_same_scores(TCN, tmp_path)
    for extra in range(0, 1281, 160):
        audio = (0.1 * np.random.default_rng(1).standard_normal(16_000 + extra)).astype("f4")
        stream = StreamingDetector(tmp_path, threshold=0.0)
        outs = [stream.process(audio), stream.finish()]
        scores = np.concatenate([out.scores for out in outs])
        assert len(scores) == len(audio) // 320
        found = [d for out in outs for d in out.detections]
        assert all(d.time_s <= len(audio) / 16000 for d in found)
        silent = StreamingDetector(tmp_path, threshold=float(scores.max()) + 1e-6)
        assert silent.process(audio).detections + silent.finish().detections == []


@pytest.mark.parametrize(
    "window", [LabelWindow(), LabelWindow(rule="event"), LabelWindow(rule="event", delay_s=0.21)]
)
def test_labels_in_the_graph_equal_the_plain_rule(window: LabelWindow) -> None:
    rule = LabelRule.of(
        window,
        labels=("a", "b"),
        num_steps=200,
        warmup_samples=0,
        hop_samples=320,
        sample_rate_hz=16000,
        positive_weight=4.0,
    )
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(20):
        n = int(rng.integers(0, 5))
        onset = np.sort(rng.integers(0, 55_000, n))
        offset = np.minimum(onset + rng.integers(1, 12_000, n), 64_000)
        kind = rng.choice(["keyword", "speech"], n)
        label = np.where(kind == "keyword", rng.choice(["a", "b"], n), "speech")
        rows.append((onset, offset, kind, label))
    parsed = {
        names.EVENTS_ONSET_SAMPLES: tf.ragged.constant([r[0] for r in rows], tf.int64),
        names.EVENTS_OFFSET_SAMPLES: tf.ragged.constant([r[1] for r in rows], tf.int64),
        names.EVENTS_KIND: tf.ragged.constant([list(r[2]) for r in rows], tf.string),
        names.EVENTS_LABEL: tf.ragged.constant([list(r[3]) for r in rows], tf.string),
    }
    labels, weights = step_labels(Events.of(parsed), rule)
    for i, (onset, offset, kind, label) in enumerate(rows):
        keyword = kind == "keyword"
        index = np.array(["ab".index(x) for x in label[keyword]], int)
        expected = frame_labels(rule, onset[keyword], offset[keyword], index)
        np.testing.assert_array_equal(labels[i].numpy(), expected[0])
        np.testing.assert_array_equal(weights[i].numpy(), expected[1])
    assert 0 < labels.numpy().mean() < 0.2


def test_a_delayed_step_answers_for_what_was_heard_before() -> None:
    how = {"labels": ("a",), "num_steps": 20, "warmup_samples": 0, "hop_samples": 640}
    how |= {"sample_rate_hz": 16000, "positive_weight": 1.0}
    event = np.array([1600]), np.array([6400]), np.array([0])
    plain = LabelRule.of(LabelWindow(rule="event"), **how)
    late = LabelRule.of(LabelWindow(rule="event", delay_s=0.2), **how)
    heard = np.flatnonzero(frame_labels(plain, *event)[0][:, 0])
    assert heard.tolist() == list(range(2, 10))
    np.testing.assert_array_equal(np.flatnonzero(frame_labels(late, *event)[0][:, 0]), heard + 5)
