"""Records: read back equal, readable by TensorFlow, refused when damaged."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import tf_example_pb2
from pipeline.example_codec import decode_example, encode_example
from pipeline.scene_planner import ScenePlanner
from pipeline.scene_renderer import render_scene
from pipeline.tfrecord import RecordReader, RecordWriter, joined
from schemas import example as names
from schemas.errors import DatasetError
from tests.fakes import MemoryBank, clip, recipe

CLIPS = [
    clip("k ü\n'\".wav", 9000),
    clip("n.wav", 7000, role="negative"),
    clip("b.wav", 50_000, role="background"),
]
SCENE = {"duration_s": 6.0, "num_keywords": [0, 2], "num_negatives": [0, 2]}


def _encoded(index: int = 0, encoding: str = "pcm16") -> tuple:
    plan = ScenePlanner(recipe(scene=SCENE), CLIPS, "train").plan(index)
    scene = render_scene(plan, MemoryBank(CLIPS))
    pieces = encode_example(plan, scene, encoding=encoding, recipe_digest="ab" * 32)
    return plan, scene, joined(pieces)


@pytest.mark.parametrize("encoding", ["pcm16", "flac"])
def test_round_trip(encoding: str) -> None:
    for index in range(6):
        plan, scene, data = _encoded(index, encoding)
        example = decode_example(data)
        np.testing.assert_array_equal(example.audio, scene.audio)
        assert example.plan == plan.to_json()
        assert example.example_id == f"train/{index:09d}"
        assert [event.source for event in example.events] == [e.source for e in plan.events]
        for i, (stored, planned) in enumerate(zip(example.events, plan.events, strict=True)):
            assert stored.onset_samples == planned.onset_samples
            assert stored.offset_samples == planned.offset_samples
            assert stored.gain_db == pytest.approx(scene.gains_db[i], abs=1e-4)
            assert stored.snr_db == pytest.approx(scene.snrs_db[i], abs=1e-4)
        assert data == _encoded(index, encoding)[2], "the same scene must give the same bytes"


def test_tensorflow_reads_what_we_write(tmp_path) -> None:
    import tensorflow as tf

    path = tmp_path / "x.tfrecord"
    plan, scene, data = _encoded(1)
    with path.open("wb") as file:
        writer = RecordWriter(file)
        writer.write(data[:5], np.frombuffer(data[5:-2], np.uint8), b"", data[-2:])
        writer.write(b"")
        writer.write()
    raw = list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
    assert raw == [data, b"", b""]
    feature = tf.train.Example.FromString(raw[0]).features.feature
    expected = {*names.BYTES_FEATURES, *names.INT64_FEATURES, *names.FLOAT_FEATURES}
    assert set(feature) == expected
    onsets = list(feature[names.EVENTS_ONSET_SAMPLES].int64_list.value)
    assert onsets == [event.onset_samples for event in plan.events]
    pcm = feature[names.AUDIO_ENCODED].bytes_list.value[0]
    np.testing.assert_array_equal(np.frombuffer(pcm, "<i2"), scene.audio)


def test_we_read_what_tensorflow_writes(tmp_path) -> None:
    import tensorflow as tf

    path = str(tmp_path / "x.tfrecord")
    _, _, data = _encoded()
    with tf.io.TFRecordWriter(path) as writer:
        writer.write(data)
    with open(path, "rb") as file:
        assert list(RecordReader(file, path)) == [data]


@given(st.integers(0, 10**9), st.integers(1, 255))
def test_every_flipped_byte_is_found(position: int, mask: int) -> None:
    buffer = io.BytesIO()
    writer = RecordWriter(buffer)
    for record in (b"first", b"", b"third record"):
        writer.write(record)
    damaged = bytearray(buffer.getvalue())
    damaged[position % len(damaged)] ^= mask
    with pytest.raises(DatasetError, match=r"x\.tfrecord is damaged"):
        list(RecordReader(io.BytesIO(bytes(damaged)), "x.tfrecord"))


@given(st.integers(1, 10**9))
def test_every_cut_is_found_but_at_a_border(cut: int) -> None:
    buffer = io.BytesIO()
    writer = RecordWriter(buffer)
    writer.write(b"first")
    border = writer.num_bytes
    writer.write(b"second")
    size = cut % writer.num_bytes
    reader = RecordReader(io.BytesIO(buffer.getvalue()[:size]), "x")
    if size in (0, border):
        assert len(list(reader)) == (size == border)
    else:
        with pytest.raises(DatasetError, match="ends inside a record"):
            list(reader)


def _broken(change) -> bytes:
    message = tf_example_pb2.Example()
    message.ParseFromString(_encoded(1)[2])
    change(message.features.feature)
    return message.SerializeToString()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda f: f.pop(names.PLAN), "'plan' is missing"),
        (lambda f: f[names.AUDIO_NUM_SAMPLES].int64_list.value.append(3), "2 values"),
        (lambda f: f[names.AUDIO_ENCODED].float_list.value.append(1.0), "not a bytes_list"),
        (lambda f: f[names.EVENTS_LABEL].bytes_list.value.append(b"x"), "argument"),
        (lambda f: f[names.EVENTS_ONSET_SAMPLES].int64_list.value.__setitem__(0, -5), "event at"),
        (lambda f: f[names.EXAMPLE_ID].bytes_list.value.__setitem__(0, b"train/5"), "the plan of"),
        (lambda f: f[names.AUDIO_ENCODING].bytes_list.value.__setitem__(0, b"mp7"), "mp7"),
    ],
)
def test_records_that_contradict_the_schema_are_refused(change, says: str) -> None:
    with pytest.raises(DatasetError, match=says):
        decode_example(_broken(change))


def test_rubbish_is_refused() -> None:
    with pytest.raises(DatasetError, match="not an example"):
        decode_example(b"\xff\xff\xff")
