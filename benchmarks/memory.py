"""What a Beam worker needs that renders scenes, over one that has nothing to do.

    python -m benchmarks.memory          (Linux: it reads /proc)

The job of the exercise's recipe, 10 s at 44.1 kHz, with a clip bank on disk, by two worker
processes; the highest resident size that each reaches, clips that are mapped from disk included.
An idle worker is one of a job that hands a number on. Five runs of each; the second size of job is
four times the first, so that growth with the job would show.
"""

from __future__ import annotations

import logging
import tempfile
import threading
from pathlib import Path
from typing import Any

import soundfile

from benchmarks.clips import EXERCISE, MATERIAL, Bank
from benchmarks.measuring import RUNS, high_water_mib, show
from pipeline.clip_bank import open_or_build_bank
from schemas.recipe import Recipe

RATE = 44_100
SCENES = (400, 1600)


class Watch:
    """The highest resident size of any `beam_jobs.worker` while it is open."""

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
        while not self._stop.wait(0.05):
            for place in Path("/proc").glob("[0-9]*"):
                try:
                    ours = b"beam_jobs.worker" in (place / "cmdline").read_bytes()
                except OSError:
                    continue
                if ours:
                    self.highest_mib = max(self.highest_mib, high_water_mib(place.name))


def idle_mib() -> float:
    """Return what a worker reaches in a job that hands one number on: Beam and nothing of ours."""
    import apache_beam as beam

    from beam_jobs.runners import beam_options, make_runner

    options = beam_options([], num_workers=2)
    with Watch() as watch, beam.Pipeline(runner=make_runner(options), options=options) as pipeline:
        _ = pipeline | beam.Create([1]) | beam.Reshuffle() | beam.Map(abs)
    return watch.highest_mib


def recipe(num_examples: int) -> Recipe:
    """Return the exercise's recipe for so many training scenes."""
    values: dict[str, Any] = {
        "name": "b",
        "sample_rate_hz": RATE,
        "material": {k: v for k, v in MATERIAL.items() if k != "room"} | {"trim": False},
        "splits": {"train": 1.0, "validation": 0.0, "test": 0.0},
        "scene": EXERCISE,
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
    bank, folders = Bank(RATE), {"keyword": "kw", "negative": "other", "background": "noise"}
    with tempfile.TemporaryDirectory() as folder:
        for clip in bank.clips:
            if clip.role in folders:
                path = Path(folder) / folders[clip.role] / Path(clip.clip_id).name
                path.parent.mkdir(exist_ok=True)
                soundfile.write(path, bank.samples(clip), RATE, subtype="PCM_16")
        built, _ = open_or_build_bank(
            recipe(1), base_dir=Path(folder), bank_root=Path(folder) / "bank"
        )
        for count in SCENES:
            grown = []
            for run in range(RUNS):
                with Watch() as watch:
                    synthesize(recipe(count), built.directory, f"{folder}/{count}-{run}")
                grown.append(watch.highest_mib - idle[run])
            show(f"a worker of a job of {count} scenes, more than that", grown, "MiB")


if __name__ == "__main__":
    main()
