"""One run of the job with its times: until work begins, from there to the last shard, in all."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.clip_bank import ClipBank
from schemas.recipe import Recipe

_LOOK_S = 0.01


@dataclass(frozen=True)
class Timed:
    """What a run took.

    Attributes:
        num_scenes, num_bytes: that were made.
        start_s: from the call until the first shard is begun.
        work_s: from then until the last shard is whole.
        last_unix_s: when the last shard was whole.
        total_s: the call: start, work, closing the data set and ending the workers.
        each_s: seconds a scene after start-up: from when as many shards are whole as there are
            workers, by when they have loaded what they need, until the last is; it takes dozens
            of shards a worker for the uneven ends to be small.
    """

    num_scenes: int
    num_bytes: int
    start_s: float
    work_s: float
    last_unix_s: float
    total_s: float
    each_s: float


class ShardWatch:
    """When the first file appears in a folder and when shards are whole; looks every 10 ms.

    Args:
        folder: of the shards.
        sweep: empty each shard that is whole; its size stays, since the job looks at that.

    Attributes:
        first_unix_s: when the first file was seen.
        whole: of each whole shard when it was written last, Unix seconds, and its bytes.
    """

    def __init__(self, folder: Path, *, sweep: bool = False) -> None:
        self._folder, self._sweep = folder, sweep
        self.first_unix_s = 0.0
        self.whole: dict[str, tuple[float, int]] = {}

    def __enter__(self) -> ShardWatch:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._look(self._sweep)

    def _run(self) -> None:
        while not self._stop.wait(_LOOK_S) and (self._sweep or not self.first_unix_s):
            if self._look(self._sweep):
                self.first_unix_s = self.first_unix_s or time.time()

    def _look(self, sweep: bool) -> bool:
        there = False
        with contextlib.suppress(FileNotFoundError), os.scandir(self._folder) as entries:
            for entry in entries:
                there = True
                if entry.name.endswith(".tfrecord") and entry.name not in self.whole:
                    known = entry.stat()
                    self.whole[entry.name] = (known.st_mtime, known.st_size)
                    if sweep:
                        os.truncate(entry.path, 0)
                        os.truncate(entry.path, known.st_size)
        return there


def run_job(
    recipe: Recipe, bank: ClipBank, out: Path, *, num_workers: int = 2, sweep: bool = False
) -> Timed:
    """Make a data set of training scenes in `out`; whole shards are emptied if `sweep`."""
    from beam_jobs.synthesize import synthesize

    with ShardWatch(out / "train", sweep=sweep) as shards:
        began_s = time.time()
        manifest = synthesize(recipe, bank.directory, str(out), num_workers=num_workers).manifest
        ended_s = time.time()
    num_scenes = manifest.num_examples("train")
    num_bytes = sum(shard.num_bytes for shard in manifest.shards)
    in_order = sorted(shards.whole.values())
    (ready_s, _), (last_s, _) = in_order[num_workers - 1], in_order[-1]
    later_bytes = sum(size for _, size in in_order[num_workers:])
    return Timed(
        num_scenes,
        num_bytes,
        shards.first_unix_s - began_s,
        last_s - shards.first_unix_s,
        last_s,
        ended_s - began_s,
        (last_s - ready_s) / (num_scenes * later_bytes / num_bytes),
    )


@contextlib.contextmanager
def removed(folder: Path) -> Iterator[Path]:
    """A folder's path, for something that makes it; it is removed in the end."""
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
