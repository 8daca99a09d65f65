"""Data sets of tasks: verified like those of scenes, and gone on with after a real kill."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import google_crc32c
import pytest

from beam_jobs.date_pairs import write_date_pairs
from beam_jobs.embedding_parts import MakePart
from beam_jobs.embedding_set import make_embedding_set
from beam_jobs.record_set import read_record_set
from beam_jobs.verification import verify
from pipeline.tfrecord import RecordWriter
from schemas.errors import DatasetError, RequestError
from schemas.recipe_embeddings import EmbeddingsRecipe
from schemas.record_set import RecordSet
from tests.beam_jobs import test_date_pairs
from tests.beam_jobs.small_job import shard_digests
from tests.embedding_factory import records, write_json

SPLITS = {"train": 0.6, "validation": 0.2, "test": 0.2}


def clip_recipe(path: str, **data) -> EmbeddingsRecipe:
    section = {"material": [{"path": path}], "splits": SPLITS} | data
    return EmbeddingsRecipe.model_validate({"task": "embeddings", "name": "clips", "data": section})


def make(task: str, folder: Path) -> RecordSet:
    if task == "dates":
        return write_date_pairs(test_date_pairs.recipe(), str(folder / "data"), num_workers=1)[0]
    if not (folder / "clips.json").exists():
        write_json(folder / "clips.json", records(200))
    recipe = clip_recipe("clips.json", shard_bytes=100_000)
    return make_embedding_set(recipe, str(folder / "data"), base_dir=folder, num_workers=1)[0]


@pytest.mark.parametrize("task", ["dates", "embeddings"])
def test_verify_finds_every_kind_of_damage(task: str, tmp_path: Path) -> None:
    made = make(task, tmp_path)
    out = tmp_path / "data"
    total = sum(entry.num_examples for entry in made.manifest.shards)
    for deep in (False, True):
        found = verify(str(out), deep=deep)
        assert (found.num_records, found.num_decoded) == (total, deep * total)
        assert found.problems == ()
    shards = sorted((out / "train").glob("*.tfrecord"))
    whole = [shard.read_bytes() for shard in shards]
    flipped = bytearray(whole[0])
    flipped[len(flipped) // 2] ^= 1
    shards[0].write_bytes(flipped)
    shards[1].write_bytes(whole[1][:-9])
    shards[2].write_bytes(whole[3])
    shards[3].unlink()
    (out / "test" / "extra.tfrecord").write_bytes(whole[0])
    for deep in (False, True):
        problems = "\n".join(verify(str(out), deep=deep).problems)
        assert re.search(rf"{shards[0].name}: bytes \d+ to \d+: ", problems)
        assert f"{shards[1].name}: bytes" in problems
        assert "the file ends inside a record" in problems
        assert f"{shards[2].name}: is whole but another file" in problems
        assert f"train/{shards[3].name} is missing" in problems
        assert "test/extra.tfrecord is not in the manifest" in problems
    (out / "test" / "extra.tfrecord").unlink()
    again = make(task, tmp_path)
    assert [shard.read_bytes() for shard in shards] == whole, "damaged shards are made again"
    assert again.manifest.run["shards_reused"] == len(made.manifest.shards) - 4
    assert again.identity() == made.identity()
    assert verify(str(out), deep=True).problems == ()
    with pytest.raises(RequestError, match=f"--render with a data set of the task {task}"):
        verify(str(out), render=1)


@pytest.mark.parametrize("task", ["dates", "embeddings"])
def test_verify_deep_parses_every_record_and_adds_up_what_they_hold(task, tmp_path) -> None:
    make(task, tmp_path)
    out = tmp_path / "data"
    path = out / "manifest.json"
    manifest = json.loads(path.read_text())
    name, counted = next(iter(manifest["counts"]["train"].items()))
    key = next(iter(counted))
    counted[key] += 1
    path.write_text(json.dumps(manifest))
    assert verify(str(out)).problems == ()
    (problem,) = verify(str(out), deep=True).problems
    assert problem == f"manifest.json: train has other counts of {name} than its records"
    counted[key] -= 1
    entry = manifest["shards"][0]
    shard = out / entry["name"]
    with shard.open("wb") as file:
        RecordWriter(file).write(b"\x0a\x03no record")
    data = shard.read_bytes()
    crc = f"{google_crc32c.value(data):08x}"
    path.write_text(json.dumps(manifest).replace(entry["crc32c"], crc))
    manifest = json.loads(path.read_text())
    manifest["shards"][0] |= {"num_bytes": len(data), "num_examples": 1}
    path.write_text(json.dumps(manifest))
    assert verify(str(out)).problems == ()
    (problem,) = verify(str(out), deep=True).problems
    assert problem.startswith(f"{entry['name']}: a record is no")


_JOB = """
import sys
from beam_jobs.embedding_set import make_embedding_set
from schemas.recipe_embeddings import EmbeddingsRecipe
recipe = EmbeddingsRecipe.model_validate_json(sys.argv[1])
make_embedding_set(recipe, sys.argv[2], base_dir=sys.argv[3], num_workers=2)
"""


@pytest.fixture(scope="module")
def calm(tmp_path_factory) -> tuple[Path, EmbeddingsRecipe]:
    """Two hundred files, which are four parts, and the data set that nobody killed."""
    folder = tmp_path_factory.mktemp("calm")
    clips = records(1200)
    for i in range(200):
        write_json(folder / "clips" / f"{i:03d}.json", clips[6 * i : 6 * i + 6])
    recipe = clip_recipe("clips", shard_bytes=30_000)
    make_embedding_set(recipe, str(folder / "calm"), base_dir=folder)
    return folder, recipe


@pytest.mark.parametrize("killed_in", ["parts", "shards"])
def test_a_killed_job_keeps_parts_and_shards(killed_in: str, calm, monkeypatch) -> None:
    folder, recipe = calm
    out = folder / killed_in
    process = subprocess.Popen(
        [sys.executable, "-c", _JOB, recipe.model_dump_json(by_alias=True), str(out), folder],
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    )
    wanted = {"parts": ("parts/*.json", 1), "shards": ("train/*.tfrecord", 3)}
    pattern, fewest = wanted[killed_in]
    deadline = time.monotonic() + 60
    while len(list(out.glob(pattern))) < fewest and time.monotonic() < deadline:
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (out / "manifest.json").exists(), "killed too late to show anything"
    with pytest.raises(DatasetError, match=r"manifest\.json"):
        verify(str(out))
    kept = {path.stem for path in out.glob("parts/*.json")}
    assert len(kept) == 4 or killed_in == "parts"
    read: list[str] = []
    real = MakePart._make

    def counted(self, part):
        read.append(Path(part.name).name)
        return real(self, part)

    monkeypatch.setattr(MakePart, "_make", counted)
    resumed, there = make_embedding_set(recipe, str(out), base_dir=folder, num_workers=1)
    assert not there
    assert set(read).isdisjoint(kept)
    assert len(read) + len(kept) == 4
    assert resumed.manifest.run["shards_reused"] >= (3 if killed_in == "shards" else 0)
    assert resumed.identity() == read_record_set(str(folder / "calm"), "embeddings").identity()
    assert shard_digests(out) == shard_digests(folder / "calm")
    assert not list(out.rglob("*.tmp-*"))
    assert not (out / "parts").exists()
    assert verify(str(out), deep=True).problems == ()
