"""How fast the whole Beam job is: beside pydub, Scaper and the disk, for many workers and scenes.

    python -m benchmarks.job                     all parts
    python -m benchmarks.job peers encodings     some
    python -m benchmarks.job --long growth       up to 100,000 scenes

Every figure is the median of five runs with the spread of all five. Rates are those after start-up:
from when as many shards are whole as there are workers to the last; the time to the first shard is
printed too. Peers are measured in the same run, ours and theirs in
turns, Scaper's after ours. What is written to memory is emptied or written over while the clock
runs, by us and by pydub: where the system is slow to give memory, nobody would measure anything
else. `MEMORY_FOLDER` is a folder on a memory file system (else one of huge pages is mounted, or it
is /dev/shm), `DISK_FOLDER` one on a disk (else the folder for temporary files). The job never calls
fsync, nor does the plain write; both are measured until the system has the bytes, and until they
are on the disk.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

from benchmarks.clips import EFFECTS, EXERCISE, bank_on_disk, recipe
from benchmarks.measuring import RUNS, Watch, memory_folder, show, show_ratio
from benchmarks.scenes import RATE, scaper_material
from benchmarks.timed_job import ShardWatch, Timed, removed, run_job
from pipeline.clip_bank import ClipBank

ROOT = Path(__file__).parents[1]
DISK = os.environ.get("DISK_FOLDER", tempfile.gettempdir())
SCENES, PYDUB_SCENES = 20_000, 400
ENCODED_SCENES = 3000
DISK_SCENES = 1500
COSTLY_SCENES, PLAIN_SCENES = 2000, 500
GROWTH, LONG_GROWTH = (1000, 10_000), (1000, 10_000, 100_000)
GROWING = {
    "duration_s": 2.0,
    "num_keywords": [0, 1],
    "num_negatives": [0, 1],
    "on_infeasible": "condition",
    "effects": {"speed": [0.9, 1.1], "room": [1.0, 1.0]},
}
DEFAULT = {"on_infeasible": "condition", "effects": {"speed": [0.9, 1.1]}}
PLANNED = (100_000, 1_000_000)
_BLOCK = 2**20


class Place:
    """A folder for one part, with banks in it; both go when it ends.

    Args:
        where: the folder to be in.
    """

    def __init__(self, where: str | Path) -> None:
        self._folder = tempfile.TemporaryDirectory(dir=where)
        self.folder = Path(self._folder.name)

    def __enter__(self) -> Place:
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def bank(self, rate: int) -> ClipBank:
        """Return the clips at `rate`."""
        return bank_on_disk(self.folder / str(rate), rate)

    def job(self, count: int, scene: dict[str, object], bank: ClipBank, **more: object) -> Timed:
        """Run a job of `count` scenes; its shards are emptied as soon as they are whole.

        So the memory that they take is used again: a machine may be slow to give more.
        """
        workers = int(str(more.pop("num_workers", 2)))
        made = recipe(count, scene, bank.sample_rate_hz, **more)
        with removed(self.folder / "out") as out:
            return run_job(made, bank, out, num_workers=workers, sweep=True)


def rates(jobs: list[Timed]) -> list[float]:
    """Return scenes a second after start-up."""
    return [1.0 / job.each_s for job in jobs]


def peers() -> None:
    """Print the job's rate to memory, that of pydub and that of Scaper, two processes each."""
    with memory_folder() as memory, Place(memory) as place:
        bank = place.bank(RATE)
        place.job(SCENES, EXERCISE, bank)  # not counted
        ours, theirs = [], []
        for run in range(RUNS):
            ours.append(place.job(SCENES, EXERCISE, bank))
            theirs.append(_pydub_each_s(bank, place.folder, run))
        by_snr = {key: value for key, value in EXERCISE.items() if key != "overlay"}
        free = [place.job(SCENES, by_snr, bank) for _ in range(RUNS)]
        show("the job, the exercise's scenes to memory, 2 workers", rates(ours), "scenes/s")
        show("  start-up", [job.start_s for job in ours], "s")
        show(f"  with start-up and end, {SCENES} scenes", _whole(ours), "scenes/s")
        show("pydub, 2 processes, WAV files to memory", [1 / s for s in theirs], "scenes/s")
        show_ratio("ratio to pydub", [job.each_s for job in ours], theirs)
        show("the same counts and clips, mixed by SNR", rates(free), "scenes/s")
        interpreter = os.environ.get("SCAPER_PYTHON")
        if not interpreter:
            print("Scaper: not measured, SCAPER_PYTHON names no interpreter that has it")
            return
        scaper = _scaper_each_s(bank, place.folder, interpreter)
        show("Scaper, 2 processes, WAV and JAMS to memory", [1 / s for s in scaper], "scenes/s")
        show_ratio("ratio to Scaper, mixed by SNR", [job.each_s for job in free], scaper)


def disk() -> None:
    """Print the job's rate to disk and that of writing the same files plainly."""
    with Place(DISK) as place:
        bank = place.bank(RATE)
        made = recipe(DISK_SCENES, EXERCISE, RATE)
        jobs, plain = [], []
        for _ in range(RUNS):
            with removed(place.folder / "out") as out:
                _flush()
                began_s = time.perf_counter()
                job = run_job(made, bank, out)
                _flush()
                after_s = time.perf_counter() - began_s - job.total_s
                jobs.append((job.num_bytes, job.work_s, job.work_s + after_s))
                shards = sorted(out.glob("train/*"))
                sizes = [shard.stat().st_size for shard in shards]
                data = shards[sizes.index(max(sizes))].read_bytes()
            with removed(place.folder / "plain") as out:
                out.mkdir()
                _flush()
                plain.append((sum(sizes), *_write_plainly(sizes, data, out)))
        for i, name in ((1, "handed to the system, as the job does"), (2, "until it is on disk")):
            ours = [values[i] / values[0] for values in jobs]
            theirs = [values[i] / values[0] for values in plain]
            print(f"{name}:")
            show("  the job to disk, 2 workers", [1e-6 / s for s in ours], "MB/s")
            show("  a plain sequential write", [1e-6 / s for s in theirs], "MB/s")
            show_ratio("  ratio to the plain write", ours, theirs)


def encodings() -> None:
    """Print bytes and rates of both encodings."""
    with memory_folder() as memory, Place(memory) as place:
        bank = place.bank(RATE)
        for encoding in ("pcm16", "flac"):
            more = {"encoding": encoding, "shard_bytes": "16MiB"}
            jobs = [place.job(ENCODED_SCENES, EXERCISE, bank, **more) for _ in range(RUNS)]
            show(f"{encoding}, 2 workers", rates(jobs), "scenes/s")
            sizes = [job.num_bytes / job.num_scenes / 1000 for job in jobs]
            show(f"{encoding}, an example", sizes, "kB")


def workers() -> None:
    """Print what a second worker gives where rendering is the work, and what the machine has.

    Two cores of a machine that others share, or two threads of one core, are not twice one.
    """
    with memory_folder() as memory, Place(memory) as place:
        bank = place.bank(16_000)
        one, two, alone, together = [], [], [], []
        for _ in range(RUNS):
            for num_workers, jobs, plain in ((1, one, alone), (2, two, together)):
                more = {"num_workers": num_workers, "shard_bytes": "2MiB"}
                jobs.append(place.job(COSTLY_SCENES, EFFECTS, bank, **more))
                plain.append(_plain_each_s(bank, num_workers))
        show("rooms, speeds and channel, 1 worker", rates(one), "scenes/s")
        show("the same, 2 workers", rates(two), "scenes/s")
        show_ratio("2 workers over 1", [j.each_s for j in two], [j.each_s for j in one])
        show_ratio("2 plain processes over 1, the same scenes", together, alone)


def growth(sizes: tuple[int, ...] = GROWTH) -> None:
    """Print time a scene and memory of workers for jobs of more and more scenes.

    Memory apart while shards are made and in all: one worker closes the data set in the end, and
    holds a line of the manifest for each shard, which are small here (2 MiB) and many.
    """
    with memory_folder() as memory, Place(memory) as place:
        bank = place.bank(16_000)
        each_s: dict[int, list[float]] = {size: [] for size in sizes}
        highest: dict[int, list[float]] = {size: [] for size in sizes}
        in_all: dict[int, list[float]] = {size: [] for size in sizes}
        for _ in range(RUNS):
            for size in sizes:
                with Watch() as watch:
                    job = place.job(size, GROWING, bank, shard_bytes="2MiB")
                each_s[size].append(job.each_s)
                highest[size].append(watch.highest_before(job.last_unix_s))
                in_all[size].append(watch.highest_mib)
        for size in sizes:
            show(f"{size} scenes of 2 s", [1000 * s for s in each_s[size]], "ms a scene")
            show("  the largest worker, making shards", highest[size], "MiB resident")
            show("  the largest process until the end", in_all[size], "MiB resident")
        for size in sizes[1:]:
            ratios = [a / b for a, b in zip(each_s[size], each_s[sizes[0]], strict=True)]
            show(f"cost of a scene, {size} over {sizes[0]}", ratios, "times")
            ratios = [a / b for a, b in zip(highest[size], highest[sizes[0]], strict=True)]
            show("  memory", ratios, "times")


def start() -> None:
    """Print how long `wakebeam synth` takes until its first shard is begun, from nothing."""
    with memory_folder() as memory, Place(memory) as place:
        home = place.bank(RATE).directory.parents[1]
        text = recipe(200, EXERCISE, RATE).model_dump_json(by_alias=True, exclude_unset=True)
        (home / "recipe.yaml").write_text(text)
        seconds = []
        for run in range(RUNS + 1):
            out = home / f"out-{run}"
            with ShardWatch(out / "train") as first:
                began_s = time.time()
                _wakebeam("synth", str(home), "--out", str(out))
            seconds.append(first.first_unix_s - began_s)
        show("`wakebeam synth` until the first shard is begun", seconds[1:], "s")


def plans() -> None:
    """Print time and memory of `wakebeam synth --plan-only`."""
    with memory_folder() as memory, Place(memory) as place:
        home = place.bank(16_000).directory.parents[1]
        for count in PLANNED:
            text = recipe(count, DEFAULT, 16_000).model_dump_json(by_alias=True, exclude_unset=True)
            (home / "recipe.yaml").write_text(text)
            seconds, highest = [], []
            for _ in range(RUNS):
                began_s = time.perf_counter()
                with Watch() as watch:
                    _wakebeam("synth", str(home), "--plan-only", "--json")
                seconds.append(time.perf_counter() - began_s)
                highest.append(watch.highest_mib)
            show(f"`wakebeam synth --plan-only`, {count} scenes", seconds, "s")
            show("  the largest of its processes", highest, "MiB resident")


PARTS: dict[str, Callable[[], None]] = {
    "peers": peers,
    "disk": disk,
    "encodings": encodings,
    "workers": workers,
    "growth": growth,
    "start": start,
    "plans": plans,
}


def main(words: list[str]) -> None:
    """Measure and print."""
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    parts = PARTS | ({"growth": lambda: growth(LONG_GROWTH)} if "--long" in words else {})
    for name in [word for word in words if word != "--long"] or list(parts):
        parts[name]()


def _whole(jobs: list[Timed]) -> list[float]:
    return [job.num_scenes / job.total_s for job in jobs]


def _wakebeam(*words: str) -> None:
    command = [sys.executable, "-m", "wakebeam.cli", *words]
    subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)


def _together(commands: list[list[str]]) -> list[str]:
    """What processes print that run at the same time."""
    options = {"stdout": subprocess.PIPE, "text": True, "cwd": ROOT}
    started = [subprocess.Popen(command, **options) for command in commands]
    said = [process.communicate()[0] for process in started]
    if any(process.returncode for process in started):
        raise RuntimeError(f"one of {commands} failed")
    return said


def _pydub_each_s(bank: ClipBank, folder: Path, run: int) -> float:
    """Seconds a scene of two processes together."""
    commands = []
    with removed(folder / "pydub") as out:
        out.mkdir()
        for i in range(2):
            first = (2 * run + i) * PYDUB_SCENES
            words = [str(bank.directory), str(out), str(first), str(PYDUB_SCENES)]
            commands.append([sys.executable, "-W", "ignore", "-m", "benchmarks.pydub_peer", *words])
        return 1.0 / sum(1.0 / float(said) for said in _together(commands))


def _plain_each_s(bank: ClipBank, processes: int) -> float:
    """Seconds a scene of so many processes together, that know nothing of Beam."""
    module = [sys.executable, "-W", "ignore", "-m", "benchmarks.plain_peer", str(bank.directory)]
    firsts = [str(i * PLAIN_SCENES) for i in range(processes)]
    said = _together([[*module, first, str(PLAIN_SCENES)] for first in firsts])
    return 1.0 / sum(1.0 / float(seconds) for seconds in said)


def _scaper_each_s(bank: ClipBank, folder: Path, interpreter: str) -> list[float]:
    """Seconds a scene of two processes together, five runs."""
    material, commands = folder / "scaper", []
    scaper_material(bank, material)
    with removed(folder / "scaper-out") as out:
        for i in range(2):
            (out / str(i)).mkdir(parents=True)
            script = str(Path(__file__).parent / "scaper_peer.py")
            commands.append([interpreter, script, str(material), str(RUNS), str(out / str(i))])
        rows = [json.loads(said.splitlines()[-1]) for said in _together(commands)]
    return [1.0 / sum(1.0 / s for s in pair) for pair in zip(*rows, strict=True)]


def _write_plainly(sizes: list[int], data: bytes, out: Path) -> tuple[float, float]:
    """Seconds to write files of these sizes, `data` or less, and seconds until they are on disk."""
    view = memoryview(data)
    began_s = time.perf_counter()
    for number, size in enumerate(sizes):
        with (out / str(number)).open("wb") as file:
            for at in range(0, size, _BLOCK):
                file.write(view[at : min(at + _BLOCK, size)])
    written_s = time.perf_counter() - began_s
    _flush()
    return written_s, time.perf_counter() - began_s


def _flush() -> None:
    """Wait until all that was written is on disk: what others wrote too."""
    os.sync()


if __name__ == "__main__":
    main(sys.argv[1:])
