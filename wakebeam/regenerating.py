"""`wakebeam regenerate`: one example of a data set again, from its address."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import soundfile

from beam_jobs import files
from beam_jobs.synthesize import read_manifest
from pipeline.clip_bank import ClipBank
from pipeline.scene_source import SceneExample, SceneSource
from pipeline.tfrecord import RecordReader
from schemas.dataset import Manifest
from schemas.errors import DatasetError, RequestError
from schemas.recipe import Recipe
from schemas.scene import parse_example_id


def regenerate(data: str, example_id: str, *, bank: Path | None = None) -> dict[str, Any]:
    """Make an example again from the manifest and the clip bank, and compare it with the shard.

    Args:
        data: folder or URI of the data set.
        example_id: such as `train/000000123`; may lie beyond the end of the data set.
        bank: the clip bank's folder, where it isn't any more where the job found it.

    Returns:
        `example`, its `plan` as JSON, and `identical`: True, False, or None where it isn't stored.

    Raises:
        RequestError: not an example id.
        DatasetError: no data set, no bank, or another bank.
    """
    try:
        split, index = parse_example_id(example_id)
    except ValueError as error:
        raise RequestError(str(error)) from error
    manifest = read_manifest(data)
    recipe = Recipe.model_validate(manifest.run["recipe"])
    clips = ClipBank.open(bank or Path(manifest.run["bank_directory"]))
    if recipe.content_digest(clips.digest) != manifest.recipe_digest:
        raise DatasetError(
            f"{clips.directory} is not the clip bank that {data} was made from",
            fix="name the right one with --bank",
        )
    example = SceneSource(recipe, clips, split)[index]
    stored = _stored(data, manifest, split, index)
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


def _stored(data: str, manifest: Manifest, split: str, index: int) -> bytes | None:
    for shard in manifest.shards:
        if shard.split != split:
            continue
        if index < shard.num_examples:
            with files.open_bytes(files.join(data, shard.name)) as file:
                return _nth(RecordReader(file, shard.name), index)
        index -= shard.num_examples
    return None


def _nth(records: Iterable[bytes], index: int) -> bytes:
    for position, record in enumerate(records):
        if position == index:
            return record
    raise DatasetError("the shard is shorter than the manifest says", fix="run `wakebeam verify`")
