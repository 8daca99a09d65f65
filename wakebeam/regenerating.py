"""`wakebeam regenerate`: one example of a data set again, from its address."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import soundfile

from beam_jobs import files
from beam_jobs.made_from import recipe_and_bank
from beam_jobs.synthesize import read_manifest
from pipeline.example_codec import decode_example
from pipeline.scene_source import SceneExample, SceneSource
from pipeline.tfrecord import RecordReader
from schemas.dataset import plan_shards
from schemas.errors import RequestError
from schemas.recipe import Recipe
from schemas.scene import example_id, parse_example_id


def regenerate(data: str, address: str, *, bank: Path | None = None) -> dict[str, Any]:
    """Make an example again from the manifest and the clip bank, and compare it with the shard.

    Args:
        data: folder or URI of the data set.
        address: such as `train/000000123`; may lie beyond the end of the data set.
        bank: the clip bank's folder, where it isn't any more where the job found it.

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
    manifest = read_manifest(data)
    recipe, clips = recipe_and_bank(data, manifest, bank)
    example = SceneSource(recipe, clips, split)[index]
    stored = _stored(data, recipe, split, index)
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


def _stored(data: str, recipe: Recipe, split: str, index: int) -> bytes | None:
    """The record in the shard that holds it; None beyond the end, or if it was rejected."""
    wanted = example_id(split, index)
    for shard in plan_shards(recipe):
        if shard.split == split and shard.start <= index < shard.stop:
            with files.open_bytes(files.join(data, shard.name)) as file:
                for record in RecordReader(file, shard.name):
                    if decode_example(record).example_id == wanted:
                        return record
    return None
