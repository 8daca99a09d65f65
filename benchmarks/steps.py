"""What each step of a scene takes, one after the other as a worker does them, in one process.

    python -m benchmarks.steps

It tells where the time of benchmarks/job.py goes: the exercise's scenes, to a memory file system.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.clips import EXERCISE, bank_on_disk, recipe
from benchmarks.measuring import RUNS, memory_folder, show
from benchmarks.scenes import RATE
from pipeline.clip_bank import ClipBank
from pipeline.example_codec import encode_example
from pipeline.scene_planner import ScenePlanner
from pipeline.scene_renderer import render_scene
from pipeline.scene_source import SceneExample
from pipeline.shard_counts import ShardCounts
from pipeline.tfrecord import RecordWriter

_SCENES = 300
_STEPS = ("plan", "render", "encode", "check and write", "count")


class Clock:
    """Seconds by step."""

    def __init__(self) -> None:
        self.spent = dict.fromkeys(_STEPS, 0.0)

    def __call__(self, step: str, work: Callable[..., Any], *values: Any, **more: Any) -> Any:
        """Do a step and return what it does."""
        began_s = time.perf_counter()
        result = work(*values, **more)
        self.spent[step] += time.perf_counter() - began_s
        return result


def shard(bank: ClipBank, planner: ScenePlanner, path: Path, first: int) -> dict[str, float]:
    """Write a shard; return milliseconds a scene by step."""
    clock, counts = Clock(), ShardCounts()
    how = {"encoding": "pcm16", "recipe_digest": "0" * 64}
    with path.open("wb") as file:
        writer = RecordWriter(file)
        for index in range(first, first + _SCENES):
            plan = clock("plan", planner.plan, index)
            scene = clock("render", render_scene, plan, bank)
            pieces = clock("encode", encode_example, plan, scene, **how)
            clock("check and write", writer.write, *pieces)
            events = SceneExample(plan, scene, pieces).events
            clock("count", counts.add, scene.audio, RATE, events)
    path.unlink()
    return {step: 1000 * seconds / _SCENES for step, seconds in clock.spent.items()}


def main() -> None:
    """Measure and print."""
    with memory_folder() as memory:
        bank = bank_on_disk(memory / "bank", RATE)
        planner = ScenePlanner(recipe(1, EXERCISE, RATE), bank.clips, "train")
        runs = [shard(bank, planner, memory / "shard", i * _SCENES) for i in range(RUNS + 1)]
    for step in _STEPS:
        show(step, [run[step] for run in runs[1:]], "ms a scene")
    show("all", [sum(run.values()) for run in runs[1:]], "ms a scene")


if __name__ == "__main__":
    main()
