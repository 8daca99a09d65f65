"""What a Beam worker needs that renders scenes, over one that has nothing to do.

    python -m benchmarks.memory          (Linux: it reads /proc)

Jobs of 10 s scenes at 44.1 kHz with a clip bank of 7 MB on disk, by two worker processes; the
highest resident size that any of them reaches. Clips are mapped: the pages of a larger bank that
are touched are counted too, though they are the system's to take back and shared by all workers.
An idle worker is one of a job that hands a number on. Five runs of each; the second size of job is
four times the first, so that growth with the job would show.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from pathlib import Path

from benchmarks.clips import EFFECTS, EXERCISE, bank_on_disk, recipe
from benchmarks.measuring import RUNS, Watch, show

RATE = 44_100
SCENES = (400, 1600)


def idle_mib() -> float:
    """Return what a worker reaches in a job that hands one number on: Beam and nothing of ours."""
    import apache_beam as beam

    from beam_jobs.runners import Engine

    engine = Engine([], num_workers=2, num_shards=1, places=())
    line = beam.ptransform_fn(lambda begin: begin | beam.Create([1]) | beam.Map(abs))
    pipeline = engine.pipeline(line())
    with Watch() as watch:
        engine.run(pipeline)
    return watch.highest_mib


def main() -> None:
    """Measure and print."""
    logging.disable(logging.WARNING)  # before Beam is imported, which has some to say
    from beam_jobs.synthesize import synthesize

    idle = [idle_mib() for _ in range(RUNS)]
    show("an idle Beam worker", idle, "MiB resident")
    with tempfile.TemporaryDirectory() as folder:
        built = bank_on_disk(Path(folder), RATE)
        for name, scene in (("exercise", EXERCISE), ("effects", EFFECTS)):
            for count in SCENES:
                grown = []
                for run in range(RUNS):
                    out = f"{folder}/{name}-{count}-{run}"
                    with Watch() as watch:
                        synthesize(recipe(count, scene, RATE), built.directory, out)
                    grown.append(watch.highest_mib - idle[run])
                    shutil.rmtree(out)
                show(f"more than that: {name}, {count} scenes", grown, "MiB")


if __name__ == "__main__":
    main()
