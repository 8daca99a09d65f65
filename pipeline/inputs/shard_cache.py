"""Decoded copies of a data set's shards in a folder near by: for FLAC, and for shards in a store.

A copy is named by the checksum of the shard that it was made from, so a folder may serve many data
sets, generations and trainings, and none is ever stale; its name ends with its own size, so that
one that lost its end is no copy. Copies are written elsewhere, synced and renamed: a killed run
goes on with the next shard. The examples, their order and what is learnt are the data set's own.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import tensorflow as tf

from pipeline.example_codec import reencode_example
from pipeline.scratch_folder import scratch_folder
from pipeline.tfrecord import RecordReader, RecordWriter
from schemas.dataset import ShardEntry
from schemas.errors import DatasetError
from schemas.stored_dataset import StoredDataset

_DECODED = "pcm16"
_SPLITS = ("train", "validation")


@dataclass(frozen=True)
class CachedDataset(StoredDataset):
    """A data set whose shards are read from their copies.

    Attributes:
        cache: folder of the copies.
    """

    cache: Path = Path()

    @property
    def encoding(self) -> str:
        """Of the copies."""
        return _DECODED

    def shards(self, split: str) -> tuple[tuple[str, ShardEntry], ...]:
        """Return (path, entry) of the copies of `split`'s shards.

        Raises:
            DatasetError: one isn't there.
        """
        copies, found = _copies(self.cache), []
        for _, entry in super().shards(split):
            if _stem(entry) not in copies:
                raise DatasetError(
                    f"{self.cache} has no whole copy of {entry.name}",
                    fix="train with the same `training.cache`: it makes copies",
                )
            path, num_bytes = copies[_stem(entry)]
            found.append((path, replace(entry, num_bytes=num_bytes)))
        return tuple(found)


def fill_cache(
    stored: StoredDataset, cache: Path, progress: Callable[[int, int], None]
) -> CachedDataset:
    """Make the copies that aren't there of what training reads, several at a time.

    Args:
        stored: a complete data set.
        cache: folder on a local disk.
        progress: told (shards that are there, of how many).

    Returns:
        The data set as its copies.

    Raises:
        DatasetError: a shard is missing or damaged.
        OSError: the disk is full, or the folder can't be written.
    """
    shards = [shard for split in _SPLITS for shard in stored.shards(split)]
    copies = _copies(cache)
    wanted = [shard for shard in shards if _stem(shard[1]) not in copies]
    with scratch_folder(cache, "copying") as scratch, ThreadPoolExecutor(os.cpu_count()) as pool:
        made = pool.map(lambda shard: _make_copy(shard[0], shard[1], scratch, cache), wanted)
        for number, _ in enumerate(made, start=len(shards) - len(wanted) + 1):
            progress(number, len(shards))
    return CachedDataset(stored.location, stored.manifests, cache)


def _copies(cache: Path) -> dict[str, tuple[str, int]]:
    """Path and size of each whole copy in a folder, by its stem."""
    sizes = {path: path.stat().st_size for path in cache.glob(f"*.{_DECODED}.*.tfrecord")}
    return {
        path.name.removesuffix(f".{size}.tfrecord"): (str(path), size)
        for path, size in sizes.items()
        if path.name.endswith(f".{size}.tfrecord")
    }


def _make_copy(path: str, entry: ShardEntry, scratch: Path, cache: Path) -> None:
    temporary = scratch / _stem(entry)
    try:
        with tf.io.gfile.GFile(path, "rb") as source, temporary.open("wb") as target:
            reader, writer = RecordReader(source, path), RecordWriter(target)
            for record in reader:
                writer.write(*reencode_example(record, _DECODED))
            target.flush()
            os.fsync(target.fileno())
    except tf.errors.NotFoundError as error:
        raise DatasetError(
            f"{path} is missing", fix="run `wakebeam synth` to make such shards anew"
        ) from error
    if reader.crc32c != entry.crc32c:
        raise DatasetError(
            f"{path} has the checksum {reader.crc32c}",
            expected=f"{entry.crc32c}, as the manifest says",
            fix="run `wakebeam verify`, which names what is damaged",
        )
    temporary.replace(cache / f"{_stem(entry)}.{writer.num_bytes}.tfrecord")


def _stem(entry: ShardEntry) -> str:
    return f"{entry.crc32c}-{entry.num_bytes}.{_DECODED}"
