"""How fast a detector is on live sound, and what it needs.

    python -m benchmarks.streaming            the default detector, untrained: speed is the same
    python -m benchmarks.streaming w/export   another

One core, by LiteRT, in packets of 80 ms as a sound card brings them: the share of real time, the
99th percentile of a packet's time, and the resident memory of a process that has heard the stream
and nothing else. Then a hundred streams on two cores, by a process on each. Medians of five runs
with their spread, each run in a new process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.measuring import RUNS, show

ROOT = Path(__file__).parents[1]
ONE_S, EACH_S, STREAMS = 120.0, 5.0, 100
_PROBE = """
import json, os, sys, time
import numpy as np
from pathlib import Path
from models.streaming import StreamBatch

folder, streams = Path(sys.argv[1]), int(sys.argv[2])
seconds, core = float(sys.argv[3]), int(sys.argv[4])
os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[core]})
batch = StreamBatch(folder, streams, threshold=0.5)
rate = batch.streams[0].sample_rate_hz
packet = round(0.08 * rate)
rng = np.random.default_rng(core)
sound = (1000 * rng.standard_normal((streams, packet * 25))).astype(np.int16)
batch.process(sound)
spent = []
for number in range(round(seconds / 0.08)):
    at = number % 25 * packet
    began = time.perf_counter()
    batch.process(sound[:, at : at + packet])
    spent.append(time.perf_counter() - began)
resident = int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
print(json.dumps({
    "real_time_factor": sum(spent) / seconds,
    "p99_ms": 1000 * float(np.percentile(spent, 99)),
    "resident_mib": resident,
    "tensorflow": "tensorflow" in sys.modules,
}))
"""


def probe(folder: Path, streams: int, seconds: float, cores: int) -> list[dict[str, float]]:
    """Return what a process on each core says of its streams."""
    words = [sys.executable, "-W", "ignore", "-c", _PROBE, str(folder), str(streams), str(seconds)]
    started = [
        subprocess.Popen([*words, str(core)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for core in range(cores)
    ]
    said = [process.communicate()[0] for process in started]
    return [json.loads(text.splitlines()[-1]) for text in said]


def untrained(folder: Path) -> None:
    """Write the streaming step of an untrained default detector."""
    import numpy as np

    from benchmarks.clips import recipe
    from models.detector import Detector
    from models.export import write_step
    from schemas.recipe import Recipe

    wanted = recipe(1, {"duration_s": 4.0}, 16_000).model_dump(mode="json", by_alias=True)
    wanted |= {"features": {"family": "log_mel"}, "model": {"family": "stream_tcn"}}
    np.random.seed(0)
    write_step(Detector.of(Recipe.model_validate(wanted)), folder)


def main(words: list[str]) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(words[0]) if words else Path(scratch)
        if not words:
            untrained(folder)
        one = [probe(folder, 1, ONE_S, 1)[0] for _ in range(RUNS)]
        if any(said["tensorflow"] for said in one):
            sys.exit("TensorFlow was imported")
        show("one stream on one core", [100 * r["real_time_factor"] for r in one], "% of real time")
        show("  99th percentile of a packet of 80 ms", [r["p99_ms"] for r in one], "ms")
        show("  resident memory, LiteRT alone", [r["resident_mib"] for r in one], "MiB")
        cores = min(2, len(os.sched_getaffinity(0)))
        many = [
            max(r["real_time_factor"] for r in probe(folder, STREAMS // cores, EACH_S, cores))
            for _ in range(RUNS)
        ]
        name = f"{STREAMS} streams on {cores} cores, the busier one"
        show(name, [100 * factor for factor in many], "% of real time")


if __name__ == "__main__":
    main(sys.argv[1:])
