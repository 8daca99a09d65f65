"""The job for embeddings: one set whatever the form and the workers; rejects are named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from beam_jobs.embedding_parts import split_of_video
from beam_jobs.embedding_set import make_embedding_set
from beam_jobs.record_set import read_record_set
from pipeline.embedding_records import decode_clip
from pipeline.tfrecord import RecordReader
from schemas.embedding import EmbeddedClip
from schemas.errors import DatasetError, MaterialError, RequestError
from schemas.recipe_embeddings import ClipSplits, EmbeddingsRecipe
from tests.audio_factory import burst, write
from tests.beam_jobs.small_job import shard_digests
from tests.embedding_factory import SOUND, records, write_json, write_sequences

SPLITS = {"train": 0.6, "validation": 0.2, "test": 0.2}


def made(folder: Path, out: str, material: list[dict], *, overwrite=False, num_workers=1, **more):
    values = {"material": material, "out": out, "splits": SPLITS, "positive_labels": [SOUND]}
    recipe = EmbeddingsRecipe.model_validate(
        {"task": "embeddings", "name": "clips", "data": values | more}
    )
    return make_embedding_set(
        recipe, str(folder / out), base_dir=folder, num_workers=num_workers, overwrite=overwrite
    )


def clips_of(folder: Path, split: str) -> list[EmbeddedClip]:
    found = []
    for path in sorted((folder / split).glob("*.tfrecord")):
        with path.open("rb") as file:
            found += [decode_clip(record) for record in RecordReader(file, path.name)]
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Sixty clips as one JSON file, and the same in two files of sequence examples."""
    folder = tmp_path_factory.mktemp("clips")
    clips = records(60)
    write_json(folder / "clips.json", clips)
    write_sequences(folder / "audioset" / "a.tfrecord", clips[:25])
    write_sequences(folder / "audioset" / "b.tfrecord", clips[25:])
    return folder


def test_R61_json_and_sequence_records_give_the_same_shards(folder) -> None:
    one, there = made(folder, "one", [{"path": "clips.json"}])
    other, _ = made(folder, "other", [{"path": "audioset"}])
    assert not there
    assert one.manifest.shards == other.manifest.shards
    assert one.counts == other.counts
    assert shard_digests(folder / "one") == shard_digests(folder / "other")
    assert sum(one.num_examples(split) for split in SPLITS) == 60


def test_R56_no_video_is_in_two_splits(folder) -> None:
    made(folder, "videos", [{"path": "clips.json"}])
    videos = [{clip.video_id for clip in clips_of(folder / "videos", s)} for s in SPLITS]
    assert all(videos)
    assert sum(map(len, videos)) == len(set().union(*videos)) == 30


def test_R56_shuffled_splits_a_json_file_like_the_reference(folder) -> None:
    made(folder, "shuffled", [{"path": "clips.json"}], splits={"rule": "shuffled"})
    order = np.random.RandomState(42).permutation(60)
    clips = records(60)
    wanted = {
        f"{clips[i]['vid_id']}@{clips[i]['start_time_seconds_youtube_clip']}" for i in order[:15]
    }
    assert {clip.clip_id for clip in clips_of(folder / "shuffled", "validation")} == wanted
    assert len(clips_of(folder / "shuffled", "train")) == 45
    with pytest.raises(RequestError, match="one JSON file"):
        made(folder, "shuffled2", [{"path": "audioset"}], splits={"rule": "shuffled"})


def test_any_number_of_workers_gives_the_same_bytes(folder) -> None:
    sound = [
        write(folder / "sound" / f"{i}-A.wav", burst(seed=i, hz=300 + 50 * i)) for i in range(70)
    ]
    material = [
        {"path": "clips.json"},
        {"path": "sound", "positive_pattern": "/1", "source_pattern": r"(\d+)-[A-Z]\."},
    ]
    small = {"shard_bytes": 600_000}
    one, _ = made(folder, "w1", material, **small)
    two, _ = made(folder, "w2", material, num_workers=2, **small)
    assert shard_digests(folder / "w1") == shard_digests(folder / "w2")
    assert one.identity() == two.identity()
    assert len(one.manifest.shards) > 4
    assert not (folder / "w1" / "parts").exists()
    assert sum(one.num_examples(split) for split in SPLITS) == 60 + len(sound)
    assert one.counts["train"]["labels"]["positive"] > 0


def test_what_is_no_clip_is_counted_by_reason_and_what_has_no_label_is_kept_apart(tmp_path) -> None:
    clips = records(20)
    del clips[3]["is_turkey"], clips[4]["vid_id"]
    clips[5]["audio_embedding"][0] = [1] * 100
    clips[6]["audio_embedding"][0][0] = float("nan")
    clips[8] = clips[7]
    write_json(tmp_path / "clips.json", [*clips, 17])
    write(tmp_path / "sound" / "fine.wav", burst())
    (tmp_path / "sound" / "broken.wav").write_bytes(b"RIFF....")
    write(tmp_path / "sound" / "long.wav", np.zeros(61 * 16000))
    stored, _ = made(tmp_path, "data", [{"path": "clips.json"}, {"path": "sound"}])
    assert stored.manifest.rejects == {
        "missing field": 1, "not a record": 1, "not finite": 1, "not sound": 1,
        "there twice": 1, "too long": 1, "wrong dimensions": 1,
    }  # fmt: skip
    lines = [json.loads(line) for line in (tmp_path / "data/rejects.jsonl").open()]
    assert {"place": "clips.json#4", "reason": "missing field", "detail": "vid_id"} in lines
    assert [line["place"] for line in lines if line["reason"] == "not sound"] == [
        "sound/broken.wav"
    ]
    apart = {clip.clip_id for clip in clips_of(tmp_path / "data", "unlabelled")}
    assert apart == {"video00001@10", "sound/fine.wav"}
    assert stored.counts["unlabelled"] == {"labels": {"unlabelled": 2}}
    assert sum(stored.num_examples(split) for split in SPLITS) == 15


def test_a_damaged_file_fails_the_job_by_name_and_closes_nothing(tmp_path) -> None:
    path = write_sequences(tmp_path / "x" / "a.tfrecord", records(5))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    for file in ("x", "list.json"):
        (tmp_path / "list.json").write_text('{"not": "a list"}')
        with pytest.raises(DatasetError, match=r"a\.tfrecord is damaged|list\.json holds dict"):
            made(tmp_path, f"data-{file}", [{"path": file}])
        with pytest.raises(DatasetError, match=r"no manifest\.json"):
            read_record_set(str(tmp_path / f"data-{file}"), "embeddings")


def test_a_set_is_found_complete_mended_refused_and_replaced(tmp_path) -> None:
    write_json(tmp_path / "a.json", records(20))
    write_json(tmp_path / "b.json", records(20, seed=1))
    first, there = made(tmp_path, "data", [{"path": "a.json"}])
    again, there_then = made(tmp_path, "data", [{"path": "a.json"}])
    assert (there, there_then) == (False, True)
    assert again == first
    wanted = shard_digests(tmp_path / "data")
    next((tmp_path / "data" / "train").glob("*.tfrecord")).unlink()
    _, there = made(tmp_path, "data", [{"path": "a.json"}])
    assert not there
    assert shard_digests(tmp_path / "data") == wanted
    with pytest.raises(RequestError, match="something else"):
        made(tmp_path, "data", [{"path": "b.json"}])
    assert shard_digests(tmp_path / "data") == wanted
    other, _ = made(tmp_path, "data", [{"path": "b.json"}], overwrite=True)
    assert other.identity() != first.identity()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(RequestError, match="letter"):
        made(tmp_path, "mine", [{"path": "a.json"}])


def test_material_that_isnt_there_and_clips_that_are_none_are_errors(tmp_path) -> None:
    with pytest.raises(MaterialError, match="does not exist"):
        made(tmp_path, "data", [{"path": "nowhere"}])
    (tmp_path / "empty").mkdir()
    with pytest.raises(MaterialError, match="no file that can be read"):
        made(tmp_path, "data", [{"path": "empty"}])
    write_json(tmp_path / "none.json", [])
    with pytest.raises(DatasetError, match="no record was found"):
        made(tmp_path, "data", [{"path": "none.json"}])
    write_json(tmp_path / "bad.json", [1, 2])
    with pytest.raises(DatasetError, match="no record can be used"):
        made(tmp_path, "data2", [{"path": "bad.json"}])


def test_a_pattern_keeps_videos_for_the_test_and_the_others_out_of_it() -> None:
    splits = ClipSplits(train=0.5, validation=0.25, test=0.25, test_pattern="^3-")
    names = [f"{fold}-{i}" for fold in (1, 2, 3) for i in range(200)]
    where = {name: split_of_video(name, splits) for name in names}
    assert {split for name, split in where.items() if name.startswith("3-")} == {"test"}
    others = [split for name, split in where.items() if not name.startswith("3-")]
    assert set(others) == {"train", "validation"}
    assert 0.6 < others.count("train") / 400 < 0.73  # two thirds: 0.5 of 0.75
