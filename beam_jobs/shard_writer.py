"""One shard: plan, render, encode and write each of its examples as a stream, then rename.

Memory holds one example at a time, whatever the size of the shard. The report that comes back is
all that anyone else learns of the shard; totals are made from reports alone.
"""

from __future__ import annotations

from collections import Counter

from beam_jobs import files
from pipeline.example_codec import decode_example, encode_example
from pipeline.scene_planner import ScenePlanner
from pipeline.scene_renderer import ClipSource, render_scene
from pipeline.tfrecord import RecordReader, RecordWriter
from schemas.dataset import ShardReport, ShardSpec
from schemas.errors import DatasetError
from schemas.scene import example_id


def write_shard(
    spec: ShardSpec,
    *,
    out: str,
    planner: ScenePlanner,
    bank: ClipSource,
    encoding: str,
    recipe_digest: str,
) -> ShardReport:
    """Write one shard under its final name, or leave nothing there.

    Args:
        spec: which examples.
        out: the data set's folder or URI.
        planner: of the shard's split.
        bank: the clips.
        encoding: `pcm16` or `flac`.
        recipe_digest: content digest, stored in each record.
    """
    kinds: Counter[str] = Counter()
    labels: Counter[str] = Counter()
    num_samples = 0
    with files.replace_atomically(files.join(out, spec.name)) as file:
        writer = RecordWriter(file)
        for index in range(spec.start, spec.stop):
            plan = planner.plan(index)
            scene = render_scene(plan, bank)
            writer.write(
                encode_example(plan, scene, encoding=encoding, recipe_digest=recipe_digest)
            )
            kinds.update(event.kind for event in plan.events)
            labels.update(event.label for event in plan.events)
            num_samples += plan.num_samples
    return ShardReport(
        name=spec.name,
        split=spec.split,
        shard_index=spec.shard_index,
        status="done",
        num_examples=writer.num_records,
        num_bytes=writer.num_bytes,
        crc32c=writer.crc32c,
        num_samples=num_samples,
        events_by_kind=dict(kinds),
        events_by_label=dict(labels),
    )


def read_shard(spec: ShardSpec, *, out: str, recipe_digest: str) -> ShardReport:
    """Report on a shard that is already there, checking every record of it.

    Raises:
        DatasetError: damaged, of another recipe, or not these examples.
    """
    kinds: Counter[str] = Counter()
    labels: Counter[str] = Counter()
    num_samples = 0
    with files.open_bytes(files.join(out, spec.name)) as file:
        reader = RecordReader(file, spec.name)
        for position, record in enumerate(reader):
            example = decode_example(record)
            wanted = example_id(spec.split, spec.start + position)
            if example.example_id != wanted or example.recipe_digest != recipe_digest:
                raise DatasetError(
                    f"record {position} of {spec.name} is {example.example_id} of recipe "
                    f"{example.recipe_digest[:16]}",
                    expected=f"{wanted} of recipe {recipe_digest[:16]}",
                    fix="delete the shard and run the same command again",
                )
            kinds.update(event.kind for event in example.events)
            labels.update(event.label for event in example.events)
            num_samples += len(example.audio)
    if reader.num_records != spec.stop - spec.start:
        raise DatasetError(
            f"{spec.name} holds {reader.num_records} examples",
            expected=f"{spec.stop - spec.start}",
            fix="delete the shard and run the same command again",
        )
    return ShardReport(
        name=spec.name,
        split=spec.split,
        shard_index=spec.shard_index,
        status="done",
        num_examples=reader.num_records,
        num_bytes=reader.num_bytes,
        crc32c=reader.crc32c,
        num_samples=num_samples,
        events_by_kind=dict(kinds),
        events_by_label=dict(labels),
        reused=True,
    )
