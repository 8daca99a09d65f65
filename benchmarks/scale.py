"""100,000 scenes made for real, on a disk: time, bytes, memory, and what `verify` finds.

    python -m benchmarks.scale [SCENES]

Scenes of 10 s at 16 kHz with speed changes, written to `DISK_FOLDER` (33 GB; the folder for
temporary files) and removed in the end. One run: it is long, and nobody's peer.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import time
import warnings
from pathlib import Path

from benchmarks.clips import bank_on_disk, recipe
from benchmarks.measuring import Watch

RATE = 16_000
SCENE = {"on_infeasible": "condition", "effects": {"speed": [0.9, 1.1]}}


def main(count: int) -> None:
    """Measure and print."""
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    from beam_jobs.synthesize import synthesize
    from beam_jobs.verification import verify

    with tempfile.TemporaryDirectory(dir=os.environ.get("DISK_FOLDER")) as folder:
        bank = bank_on_disk(Path(folder, "material"), RATE)
        out = str(Path(folder, "data"))
        with Watch() as watch:
            began_s = time.perf_counter()
            made = recipe(count, SCENE, RATE, shard_bytes="64MiB")
            manifest = synthesize(made, bank.location, out).manifest
            seconds = time.perf_counter() - began_s
        num_bytes = sum(shard.num_bytes for shard in manifest.shards)
        print(f"{manifest.num_examples('train')} scenes in {seconds:.0f} s, start-up and all:")
        print(f"  {count / seconds:.0f} scenes/s, {10 * count / seconds:,.0f} times real time")
        print(f"  {num_bytes / 1e9:.1f} GB in {len(manifest.shards)} shards", end=", ")
        print(f"{1e-6 * num_bytes / seconds:.0f} MB/s")
        print(f"  manifest {Path(out, 'manifest.json').stat().st_size / 1e3:.0f} kB")
        print(f"  the largest process {watch.highest_mib:.0f} MiB resident")
        for deep in (False, True):
            began_s = time.perf_counter()
            found = verify(out, deep=deep)
            seconds = time.perf_counter() - began_s
            print(f"verify{' --deep' if deep else ''}: {found.num_records} records", end=", ")
            print(f"{len(found.problems)} problems, {seconds:.0f} s", end=", ")
            print(f"{1e-9 * num_bytes / seconds:.2f} GB/s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
