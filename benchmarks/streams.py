"""Making a stream set: how many times as fast as it plays, to disk, and what memory hours cost.

    python -m benchmarks.streams

An hour at 16 kHz is made anew in each run, with plan, check for leaks, checksums and labels. What a
process that makes four hours needs over one that makes one is what hours cost.
"""

from __future__ import annotations

import itertools
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.clips import bank_on_disk, recipe
from benchmarks.measuring import runs, show
from pipeline.stream_writer import make_stream_set
from schemas.stream_set import StreamOptions

_RATE_HZ = 16000
_KIB_IN_MIB = 1024


def main() -> None:
    """Measure and print; with hours as an argument, make so many and print the peak of memory."""
    hours = float(sys.argv[1]) if sys.argv[1:] else 1.0
    number = itertools.count()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        made_of, bank = recipe(0, {}, _RATE_HZ), bank_on_disk(folder, _RATE_HZ)

        def make(_: int) -> None:
            seed = next(number)
            options = StreamOptions(hours=hours, seed=seed, split="train")
            make_stream_set(made_of, bank, options, folder / f"stream {seed}")

        if sys.argv[1:]:
            make(0)
            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _KIB_IN_MIB)
            return
        times = [3600 * hours / seconds for seconds in runs(make, 1)]
        show("an hour of stream, to disk", times, "× real time")
    one, four = (_peak_mib(hours) for hours in (1, 4))
    show("memory of four hours over one", [four - one], "MiB")


def _peak_mib(hours: int) -> float:
    command = [sys.executable, "-m", "benchmarks.streams", str(hours)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


if __name__ == "__main__":
    main()
