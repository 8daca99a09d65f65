"""How fast scenes are planned and rendered, beside pydub and Scaper on the same clips, on one core.

    python benchmarks/scenes.py
    SCAPER_PYTHON=/path/to/a/python/with/scaper python benchmarks/scenes.py

pydub does what the classic exercise does: background turned down, clips laid over it, the level
set, exported as WAV (to memory) and read back; its clips are loaded once and its positions are
given, so it never searches for room. Both mix the same clips at the same places, in turns. Scaper
runs in an interpreter of its own (scaper_peer.py), because it can't share ours; it draws scenes of
the same counts and clips and gives audio and annotation in memory. Every figure is the median of
five runs with the spread of all five.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from benchmarks.clips import EFFECTS, EXERCISE, Bank, planner
from benchmarks.measuring import RUNS, in_turns, runs, show, show_ratio
from pipeline.scene_renderer import render_scene

RATE = 44_100
_SCAPER_FOLDERS = {
    "keyword": "foreground/keyword",
    "negative": "foreground/negative",
    "background": "background/all",
}


def pydub_mix(plan: Any, segments: dict[str, Any]) -> Any:
    """Mix a plan as the exercise does."""
    piece = plan.backgrounds[0]
    start_ms = piece.offset_samples * 1000 // plan.sample_rate_hz
    mix = segments[piece.source][start_ms : start_ms + 10_000] - 20
    for event in plan.events:
        position = event.onset_samples * 1000 // plan.sample_rate_hz
        mix = mix.overlay(segments[event.source], position=position)
    return mix.apply_gain(-20.0 - mix.dBFS)


def pydub_scene(plan: Any, segments: dict[str, Any]) -> np.ndarray:
    """Mix a plan, export it as WAV to memory and read that back."""
    from pydub import AudioSegment

    mix = pydub_mix(plan, segments)
    file = io.BytesIO()
    mix.export(file, format="wav")
    file.seek(0)
    return np.array(AudioSegment.from_file(file, format="wav").get_array_of_samples())


def pydub_segments(bank: Any) -> dict[str, Any]:
    """Return {clip id: pydub's segment} of all clips of a bank."""
    from pydub import AudioSegment

    return {
        clip.clip_id: AudioSegment(
            bank.samples(clip).tobytes(), frame_rate=RATE, sample_width=2, channels=1
        )
        for clip in bank.clips
    }


def scaper_material(bank: Any, folder: Path) -> None:
    """Write a bank's clips as the files that scaper_peer.py reads."""
    for clip in bank.clips:
        if clip.role != "room":
            path = folder / _SCAPER_FOLDERS[clip.role] / Path(clip.clip_id).name
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, bank.samples(clip), RATE, subtype="PCM_16")


def scaper_seconds(bank: Bank, interpreter: str) -> list[float]:
    """Return seconds a scene of Scaper's, five runs."""
    with tempfile.TemporaryDirectory() as folder:
        scaper_material(bank, Path(folder))
        done = subprocess.run(
            [interpreter, str(Path(__file__).parent / "scaper_peer.py"), folder, str(RUNS)],
            stdout=subprocess.PIPE,
            check=True,
        )
    values: list[float] = json.loads(done.stdout.splitlines()[-1])
    return values


def main() -> None:
    """Measure and print."""
    warnings.simplefilter("ignore")
    bank, small = Bank(RATE), Bank(16_000)
    segments = pydub_segments(bank)
    default = {"on_infeasible": "condition", "effects": {"speed": [0.9, 1.1]}}
    wake_word = planner(small, 16_000, default)
    show("plans, default recipe", [1 / s for s in runs(wake_word.plan, 20_000)], "scenes/s")

    exercise = planner(bank, RATE, EXERCISE)
    by_snr = planner(bank, RATE, {k: v for k, v in EXERCISE.items() if k != "overlay"})
    plans = [exercise.plan(i) for i in range(500)]
    free = [by_snr.plan(i) for i in range(500)]

    def pydub(i: int) -> object:
        return pydub_scene(plans[i % 500], segments)

    ours, theirs = in_turns((lambda i: render_scene(plans[i % 500], bank), 400), (pydub, 60))
    show("rendered, the exercise's scene (10 s, 44.1 kHz)", [1 / s for s in ours], "scenes/s")
    show("pydub, the same scenes", [1 / s for s in theirs], "scenes/s")
    show_ratio("ratio to pydub, mixed by pydub's own arithmetic", ours, theirs)
    own, theirs = in_turns((lambda i: render_scene(free[i % 500], bank), 400), (pydub, 60))
    show("the same counts and clips, mixed by SNR", [1 / s for s in own], "scenes/s")
    show_ratio("ratio to pydub, mixed by SNR", own, theirs)
    interpreter = os.environ.get("SCAPER_PYTHON")
    if interpreter:
        scaper = scaper_seconds(bank, interpreter)
        show("Scaper, scenes of the same counts and clips", [1 / s for s in scaper], "scenes/s")
        show_ratio("ratio to Scaper, mixed by SNR", own, scaper)
    else:
        print("Scaper: not measured, SCAPER_PYTHON names no interpreter that has it")

    full = planner(small, 16_000, EFFECTS)
    some = [full.plan(i) for i in range(200)]
    seconds = runs(lambda i: render_scene(some[i % 200], small), 200)
    show("room, speed, equaliser, channel effects", [10 / s for s in seconds], "× real time")
    usual = [wake_word.plan(i) for i in range(200)]
    seconds = runs(lambda i: render_scene(usual[i % 200], small), 200)
    show("default recipe", [10 / s for s in seconds], "× real time")


if __name__ == "__main__":
    main()
