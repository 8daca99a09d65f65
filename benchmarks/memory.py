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
import os
import shutil
import tempfile
import threading
from pathlib import Path
from typing import Any

import soundfile

from beam_jobs.bank_building import open_or_build_bank
from benchmarks.clips import EFFECTS, EXERCISE, MATERIAL, Bank
from benchmarks.measuring import RUNS, high_water_mib, show
from schemas.recipe import Recipe

RATE = 44_100
SCENES = (400, 1600)


class Watch:
    """The highest resident size of any worker that this process starts while it is open."""

    def __enter__(self) -> Watch:
        self.highest_mib = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        ours = str(os.getpid())
        while not self._stop.wait(0.05):
            for place in Path("/proc").glob("[0-9]*"):
                try:
                    parent = (place / "stat").read_text().rpartition(")")[2].split()[1]
                except OSError:
                    continue
                if parent == ours:
                    self.highest_mib = max(self.highest_mib, high_water_mib(place.name))


def idle_mib() -> float:
    """Return what a worker reaches in a job that hands one number on: Beam and nothing of ours."""
    import apache_beam as beam

    from beam_jobs.runners import beam_options, make_runner

    options = beam_options([], num_workers=2)
    with Watch() as watch, beam.Pipeline(runner=make_runner(options), options=options) as pipeline:
        _ = pipeline | beam.Create([1]) | beam.Reshuffle() | beam.Map(abs)
    return watch.highest_mib


def recipe(num_examples: int, scene: dict[str, Any]) -> Recipe:
    """Return a recipe for so many training scenes."""
    values: dict[str, Any] = {
        "name": "b",
        "sample_rate_hz": RATE,
        "material": MATERIAL | {"trim": False},
        "splits": {"train": 1.0, "validation": 0.0, "test": 0.0},
        "scene": scene,
        "dataset": {
            "num_examples": {"train": num_examples, "validation": 0, "test": 0},
            "shard_bytes": "32MiB",
        },
        "features": {"family": "specgram"},
        "model": {"family": "trigger_gru"},
    }
    return Recipe.model_validate(values)


def main() -> None:
    """Measure and print."""
    logging.disable(logging.WARNING)  # before Beam is imported, which has some to say
    from beam_jobs.synthesize import synthesize

    idle = [idle_mib() for _ in range(RUNS)]
    show("an idle Beam worker", idle, "MiB resident")
    bank = Bank(RATE)
    folders = {"keyword": "kw", "negative": "other", "background": "noise", "room": "rooms"}
    with tempfile.TemporaryDirectory() as folder:
        for clip in bank.clips:
            path = Path(folder) / folders[clip.role] / Path(clip.clip_id).name
            path.parent.mkdir(exist_ok=True)
            soundfile.write(path, bank.samples(clip), RATE, subtype="PCM_16")
        built, _ = open_or_build_bank(
            recipe(1, EXERCISE), base_dir=Path(folder), bank_root=Path(folder) / "bank"
        )
        for name, scene in (("exercise", EXERCISE), ("effects", EFFECTS)):
            for count in SCENES:
                grown = []
                for run in range(RUNS):
                    out = f"{folder}/{name}-{count}-{run}"
                    with Watch() as watch:
                        synthesize(recipe(count, scene), built.directory, out)
                    grown.append(watch.highest_mib - idle[run])
                    shutil.rmtree(out)
                show(f"more than that: {name}, {count} scenes", grown, "MiB")


if __name__ == "__main__":
    main()
