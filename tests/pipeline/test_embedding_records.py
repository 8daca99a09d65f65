"""Clips of embeddings: two forms, one record; what isn't a clip is named; the reference's ways."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest
import tf_keras as keras

from pipeline.embedding_parity import padded_in_front, shuffled_split
from pipeline.embedding_records import (
    BadClip,
    ClipCounts,
    clip_of_json,
    clip_of_sequence,
    decode_clip,
    encode_clip,
)
from pipeline.log_mel_statistics import embed
from schemas.errors import DatasetError
from tests.embedding_factory import SOUND, records, sequence


def test_R61_a_clip_is_the_same_record_from_json_and_from_a_sequence_example() -> None:
    for record in records(12):
        one = encode_clip(clip_of_json(record, "is_turkey"))
        other = encode_clip(clip_of_sequence(sequence(record), [SOUND, 5]))
        assert one == other
        clip = decode_clip(one)
        np.testing.assert_array_equal(clip.frames, np.array(record["audio_embedding"], np.float32))
        assert clip.label == record["is_turkey"]
        assert clip.clip_id == f"{clip.video_id}@{clip.start_s:g}"


def test_R54_real_numbers_stay_what_they_are() -> None:
    record = records(1)[0]
    record["audio_embedding"][2][5] = 1.7
    clip = decode_clip(encode_clip(clip_of_json(record, "is_turkey")))
    assert clip.frames.dtype == np.float32
    assert clip.frames[2, 5] == np.float32(1.7)


def test_a_clip_without_a_label_is_unlabelled_in_both_forms() -> None:
    record = records(1)[0]
    del record["is_turkey"]
    for clip in (clip_of_json(record, "is_turkey"), clip_of_sequence(sequence(record), [SOUND])):
        assert clip.label is None
        assert decode_clip(encode_clip(clip)).label is None
        counts = ClipCounts()
        counts.add(clip)
        assert counts.to_json() == {"labels": {"unlabelled": 1}}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"audio_embedding": [[1] * 128, [1] * 127]}, "wrong dimensions"),
        ({"audio_embedding": [1, 2]}, "wrong dimensions"),
        ({"audio_embedding": []}, "no frames"),
        ({"audio_embedding": [[1] * 127 + [math.nan]]}, "not finite"),
        ({"audio_embedding": [[1] * 127 + [1e60]]}, "not finite"),
        ({"audio_embedding": [[1] * 127 + [10**400]]}, "not finite"),
        ({"end_time_seconds_youtube_clip": 10**400}, "not finite"),
        ({"audio_embedding": [[1] * 127 + ["1"]]}, "not a number"),
        ({"vid_id": None}, "wrong video id"),
        ({"vid_id": " "}, "wrong video id"),
        ({"is_turkey": 2}, "wrong label"),
        ({"is_turkey": "yes"}, "wrong label"),
        ({"end_time_seconds_youtube_clip": 0}, "wrong times"),
        ({"end_time_seconds_youtube_clip": "10"}, "not a number"),
    ],
)
def test_what_is_no_clip_is_refused_by_reason(change, reason) -> None:
    with pytest.raises(BadClip) as refused:
        clip_of_json(records(1)[0] | change, "is_turkey")
    assert refused.value.reason == reason


@pytest.mark.parametrize("key", ["vid_id", "audio_embedding", "start_time_seconds_youtube_clip"])
def test_a_missing_field_is_named(key) -> None:
    record = records(1)[0]
    del record[key]
    with pytest.raises(BadClip, match=key) as refused:
        clip_of_json(record, "is_turkey")
    assert refused.value.reason == "missing field"


def test_what_is_no_sequence_example_is_refused() -> None:
    good = sequence(records(1)[0])
    with pytest.raises(BadClip) as refused:
        clip_of_sequence(b"\xff" + good, [SOUND])
    assert refused.value.reason == "not a record"
    with pytest.raises(BadClip, match="video_id") as refused:
        clip_of_sequence(b"", [SOUND])
    assert refused.value.reason == "missing field"
    record = records(1)[0] | {"audio_embedding": [[1] * 64]}
    with pytest.raises(BadClip, match="64 bytes"):
        clip_of_sequence(sequence(record), [SOUND])
    with pytest.raises(DatasetError, match="no embedded clip"):
        decode_clip(b"")


def test_R55_parity_padding_is_the_old_helpers() -> None:
    rng = np.random.default_rng(0)
    clips = [rng.uniform(-300, 300, (length, 128)) for length in (1, 6, 10, 13)]
    clips[1][0, 0] = 1.7
    made = padded_in_front(clips)
    wanted = keras.utils.pad_sequences(clips, maxlen=10)
    assert made.dtype == wanted.dtype == np.int32
    np.testing.assert_array_equal(made, wanted)
    assert made[1, 4, 0] == 1  # of 1.7
    assert not made[1, :4].any()
    np.testing.assert_array_equal(made[3], clips[3][3:].astype(np.int32))


def test_R56_parity_split_is_896_and_299_and_that_of_train_test_split() -> None:
    train, held_out = shuffled_split(1195)
    assert (len(train), len(held_out)) == (896, 299)
    assert sorted([*train, *held_out]) == list(range(1195))
    assert train[:4].tolist() == [813, 227, 328, 730]

    def digest(indices) -> str:
        return hashlib.sha256(indices.astype("<i8").tobytes()).hexdigest()[:16]

    # Of train_test_split(range(1195), test_size=0.25, random_state=42), scikit-learn 1.9.1.
    assert digest(train) == "ee5d86dfdca0f1aa"
    assert digest(held_out) == "bdd6cb2577d75e49"


def test_sound_becomes_128_numbers_a_frame_that_say_which_band_and_how_it_changes() -> None:
    t = np.arange(5 * 16000) / 16000
    tone = (0.3 * np.sin(2 * np.pi * 1000 * t)).astype(np.float32)
    frames = embed(tone, frame_s=1.0, hop_s=0.5)
    assert frames.shape == (9, 128)
    assert frames.dtype == np.float32
    assert np.ptp(frames[:, :64].argmax(axis=1)) == 0
    higher = embed((0.3 * np.sin(2 * np.pi * 4000 * t)).astype(np.float32), frame_s=1.0, hop_s=0.5)
    assert higher[0, :64].argmax() > frames[0, :64].argmax()
    beating = (tone * (np.sin(2 * np.pi * 3 * t) > 0)).astype(np.float32)
    changing = embed(beating, frame_s=1.0, hop_s=0.5)
    band = frames[0, :64].argmax()
    assert changing[4, 64 + band] > 10 * frames[4, 64 + band]


def test_a_frame_is_made_of_its_own_sound_alone_and_short_sound_is_one_frame() -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal(3 * 16000).astype(np.float32) * 0.1
    whole = embed(x, frame_s=1.0, hop_s=1.0)
    assert whole.shape == (3, 128)
    np.testing.assert_allclose(embed(x[16000:], frame_s=1.0, hop_s=1.0), whole[1:], rtol=1e-5)
    for length in (0, 1, 5000):
        short = embed(x[:length], frame_s=1.0, hop_s=1.0)
        assert short.shape == (1, 128)
        assert np.isfinite(short).all()
