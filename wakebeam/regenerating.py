"""`wakebeam regenerate`: one example of a data set again, from its address."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import soundfile

from beam_jobs import files
from beam_jobs.made_from import recipe_and_bank
from beam_jobs.stored import read_dataset
from pipeline.example_codec import decode_example
from pipeline.scene_source import SceneExample, SceneSource
from pipeline.tfrecord import RecordReader
from schemas.dataset import ShardSpec, plan_shards
from schemas.errors import RequestError
from schemas.scene import example_id, parse_example_id
from schemas.stored_dataset import generation_folder


def regenerate(data: str, address: str, *, bank: str | None = None) -> dict[str, Any]:
    """Make an example again from the manifest and the clip bank, and compare it with the shard.

    Args:
        data: folder or URI of the data set.
        address: such as `train/000000123`; may lie beyond the end of the data set.
        bank: the clip bank's folder or URI, where it isn't any more where the job found it.

    Returns:
        `example`, its `plan` as JSON, and `identical`: True, False, or None where it isn't stored.

    Raises:
        RequestError: not an example id.
        DatasetError: no data set, no bank, or another bank.
    """
    try:
        split, index = parse_example_id(address)
    except ValueError as error:
        raise RequestError(str(error)) from error
    dataset = read_dataset(data)
    number = dataset.generation_of(split, index)
    folder, manifest = generation_folder(data, number), dataset.manifests[number]
    recipe, clips = recipe_and_bank(folder, manifest, bank)
    example = SceneSource(recipe, clips, split)[index]
    stored = _stored(folder, plan_shards(recipe, manifest.first_example), split, index)
    return {
        "example": example,
        "plan": json.loads(example.plan.to_json()),
        "identical": None if stored is None else stored == example.record,
    }


def write_wav(example: SceneExample, path: Path) -> None:
    """Write an example's audio as 16-bit WAV."""
    with path.open("wb") as file:
        soundfile.write(
            file, example.scene.audio, example.plan.sample_rate_hz, subtype="PCM_16", format="WAV"
        )


def _stored(folder: str, shards: Sequence[ShardSpec], split: str, index: int) -> bytes | None:
    """The record in the shard that holds it; None beyond the end, or if rejected or lost."""
    wanted = example_id(split, index)
    for shard in shards:
        if shard.split == split and shard.start <= index < shard.stop:
            path = files.join(folder, shard.name)
            if not files.exists(path):
                return None
            with files.open_bytes(path) as file:
                for record in RecordReader(file, shard.name):
                    if decode_example(record).example_id == wanted:
                        return record
    return None
