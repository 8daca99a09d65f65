"""A set of clips for tests of classifiers, made without the job: written as it would write it."""

from __future__ import annotations

from pathlib import Path

from pipeline.embedding_records import clip_of_json, encode_clip
from pipeline.tfrecord import RecordWriter
from schemas.dataset import ShardEntry
from schemas.record_set import RecordManifest, RecordSet


def write_set(folder: Path, splits: dict[str, list[dict]]) -> RecordSet:
    """Write JSON records as shards with a manifest."""
    entries, counts = [], {}
    for split, made in splits.items():
        clips = [clip_of_json(record, "is_turkey") for record in made]
        (folder / split).mkdir(parents=True)
        name = f"{split}/{split}-00000-of-00001.tfrecord"
        with (folder / name).open("wb") as file:
            writer = RecordWriter(file)
            for clip in clips:
                writer.write(encode_clip(clip))
        entries.append(ShardEntry(name, split, writer.num_records, writer.num_bytes, writer.crc32c))
        positive = sum(clip.label == 1 for clip in clips)
        labels = {"positive": positive, "negative": len(clips) - positive}
        counts[split] = {"labels": labels}
    manifest = RecordManifest(
        task="embeddings",
        name="made by hand",
        recipe_digest="",
        content={},
        shards=tuple(entries),
        counts=counts,
        rejects={},
        software={},
        run={},
    )
    (folder / "manifest.json").write_text(manifest.to_json())
    return RecordSet(str(folder), manifest)
