"""`wakebeam verify`: manifest, checksums, framing, every record against the schema."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from beam_jobs import files
from beam_jobs.output_state import bytes_written
from beam_jobs.synthesize import read_manifest
from pipeline.example_codec import decode_example
from pipeline.tfrecord import RecordReader
from schemas.dataset import Manifest, ShardEntry
from schemas.errors import DatasetError
from schemas.recipe import SPLITS


@dataclass(frozen=True)
class Verification:
    """What was found.

    Attributes:
        manifest: of the data set.
        num_records: read and checked.
        problems: one sentence each; empty for a sound data set.
    """

    manifest: Manifest
    num_records: int
    problems: tuple[str, ...]


def verify(out: str, *, progress: Callable[[int, int], None] | None = None) -> Verification:
    """Check a whole data set; every problem is reported, not only the first.

    Args:
        out: folder or URI of the data set.
        progress: called with (bytes read, bytes in all) after each shard.

    Raises:
        DatasetError: there is no readable manifest.
    """
    manifest = read_manifest(out)
    problems = _missing_and_extra(out, manifest)
    total = max(1, bytes_written(out))
    seen: set[str] = set()
    done = num_records = 0
    for entry in manifest.shards:
        if not files.exists(files.join(out, entry.name)):
            continue
        try:
            count, ids = _check_shard(out, entry, manifest)
            num_records += count
            repeated = seen & ids
            if repeated:
                problems.append(f"{entry.name} repeats {len(repeated)} examples of other shards")
            seen |= ids
        except DatasetError as error:
            problems.append(f"{entry.name}: {error}")
        done += entry.num_bytes
        if progress is not None:
            progress(min(done, total), total)
    return Verification(manifest, num_records, tuple(problems))


def _missing_and_extra(out: str, manifest: Manifest) -> list[str]:
    wanted = {entry.name for entry in manifest.shards}
    there = {
        f"{split}/{path.replace(chr(92), '/').rsplit('/', 1)[-1]}"
        for split in SPLITS
        for path in files.sizes(files.join(out, split))
        if path.endswith(".tfrecord")
    }
    missing = [f"{name} is missing" for name in sorted(wanted - there)]
    extra = [f"{name} is not in the manifest" for name in sorted(there - wanted)]
    return missing + extra


def _check_shard(out: str, entry: ShardEntry, manifest: Manifest) -> tuple[int, set[str]]:
    ids: set[str] = set()
    with files.open_bytes(files.join(out, entry.name)) as file:
        reader = RecordReader(file, entry.name)
        for record in reader:
            example = decode_example(record)
            if example.recipe_digest != manifest.recipe_digest:
                raise DatasetError(f"{example.example_id} was made from another recipe")
            if (example.sample_rate_hz, len(example.audio)) != (
                manifest.sample_rate_hz,
                manifest.example_samples,
            ):
                raise DatasetError(
                    f"{example.example_id} has {len(example.audio)} samples at "
                    f"{example.sample_rate_hz} Hz",
                    expected=f"{manifest.example_samples} at {manifest.sample_rate_hz} Hz",
                )
            if not example.audio.any():
                raise DatasetError(f"{example.example_id} is silent")
            if not example.example_id.startswith(f"{entry.split}/"):
                raise DatasetError(f"{example.example_id} lies in split {entry.split}")
            ids.add(example.example_id)
    found = (reader.num_records, reader.num_bytes, reader.crc32c)
    if found != (entry.num_examples, entry.num_bytes, entry.crc32c) or len(ids) != found[0]:
        raise DatasetError(
            f"holds {found[0]} examples ({len(ids)} distinct), {found[1]} bytes, CRC32C {found[2]}",
            expected=f"{entry.num_examples} examples, {entry.num_bytes} bytes, {entry.crc32c}",
        )
    return reader.num_records, ids
