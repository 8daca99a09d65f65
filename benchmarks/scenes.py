"""How fast scenes are planned and rendered, beside pydub on the same clips, on one core.

    python benchmarks/scenes.py

The peer does what the classic exercise does: background turned down, clips laid over it, the level
set, exported as WAV (to memory) and read back; its clips are loaded once and its positions are
given, so it never searches for room. Both mix the same clips at the same places. Every figure is
the median of five runs with the spread of all five.
"""

from __future__ import annotations

import io
import statistics
import time
import warnings
from collections.abc import Callable

import numpy as np

from pipeline.scene_planner import ScenePlanner
from pipeline.scene_renderer import render_scene
from schemas.clips import Clip
from schemas.recipe import Recipe

RUNS = 5
MATERIAL = {
    "keyword": [{"path": "kw", "label": "activate"}],
    "negative": [{"path": "other"}],
    "background": [{"path": "noise"}],
    "room": [{"path": "rooms"}],
}
EXERCISE = {
    "num_keywords": [0, 4],
    "num_negatives": [0, 2],
    "min_gap_s": 0.0,
    "on_infeasible": "condition",
    "overlay": {},
}
EFFECTS = {
    "duration_s": 10.0,
    "on_infeasible": "condition",
    "effects": {
        "speed": [0.9, 1.1],
        "room": [1.0, 1.0],
        "low_pass_hz": [2000, 7000],
        "resonance_db": [-9, 9],
    },
    "channel": {"high_pass_hz": [60, 300], "soft_clip_db": [0, 12]},
}


class Bank:
    """Clips in memory, of the lengths of the exercise's own recordings."""

    def __init__(self, rate: int) -> None:
        rng = np.random.default_rng(0)
        self._samples: dict[str, np.ndarray] = {}
        self.clips: list[Clip] = []
        for role, kind, label, lengths_s in (
            ("keyword", "keyword", "activate", np.linspace(0.66, 2.39, 9)),
            ("negative", "speech", "speech", np.linspace(0.36, 1.34, 10)),
            ("background", "background", "background", [30.0, 30.0]),
            ("room", "room", "room", [0.4, 0.4]),
        ):
            for i, length_s in enumerate(lengths_s):
                n = round(float(length_s) * rate)
                x = np.rint(rng.standard_normal(n) * 3000)
                if role == "room":
                    x = np.rint(x * np.exp(-np.arange(n) / (0.1 * rate)))
                    x[0] = 30_000
                name = f"{role}/folder/{i}.wav"
                self._samples[name] = np.clip(x, -32768, 32767).astype(np.int16)
                level = float(20 * np.log10(3000 / 32768))
                peak = int(np.abs(self._samples[name].astype(int)).max())
                self.clips.append(
                    Clip(name, role, kind, label, name, None, 0, n, level, peak, name)
                )
        self._by_id = {clip.clip_id: clip for clip in self.clips}

    def clip(self, clip_id: str) -> Clip:
        """Return a clip."""
        return self._by_id[clip_id]

    def samples(self, clip: Clip) -> np.ndarray:
        """Return its samples."""
        return self._samples[clip.clip_id]


def planner(bank: Bank, rate: int, scene: dict) -> ScenePlanner:
    """Return a planner over a bank."""
    recipe = Recipe.model_validate(
        {"name": "b", "seed": 1, "sample_rate_hz": rate, "material": MATERIAL, "scene": scene}
        | ({"features": {"family": "log_mel", "high_hz": min(7600, rate / 2)}})
    )
    return ScenePlanner(recipe, bank.clips, "train")


def pydub_scene(plan, segments: dict) -> np.ndarray:
    """Mix a plan as the exercise does."""
    from pydub import AudioSegment

    piece = plan.backgrounds[0]
    start_ms = piece.offset_samples * 1000 // plan.sample_rate_hz
    mix = segments[piece.source][start_ms : start_ms + 10_000] - 20
    for event in plan.events:
        position = event.onset_samples * 1000 // plan.sample_rate_hz
        mix = mix.overlay(segments[event.source], position=position)
    mix = mix.apply_gain(-20.0 - mix.dBFS)
    file = io.BytesIO()
    mix.export(file, format="wav")
    file.seek(0)
    return np.array(AudioSegment.from_file(file, format="wav").get_array_of_samples())


def seconds_each(work: Callable[[int], object], count: int) -> list[float]:
    """Return seconds a scene, for each of five runs."""
    runs = []
    for run in range(RUNS):
        began_s = time.perf_counter()
        for index in range(count):
            work(run * count + index)
        runs.append((time.perf_counter() - began_s) / count)
    return runs


def show(name: str, values: list[float], unit: str) -> None:
    """Print a median with its spread."""
    middle, low, high = statistics.median(values), min(values), max(values)
    print(f"{name:58}{middle:>10,.0f} ({low:,.0f} … {high:,.0f}) {unit}")


def show_ratio(name: str, ours: list[float], theirs: list[float]) -> None:
    """Print how many times as fast we are."""
    ratios = [t / o for t, o in zip(theirs, ours, strict=True)]
    middle, low, high = statistics.median(ratios), min(ratios), max(ratios)
    print(f"{name:58}{middle:>10.1f} ({low:.1f} … {high:.1f}) times")


def main() -> None:
    """Measure and print."""
    warnings.simplefilter("ignore")
    from pydub import AudioSegment

    bank = Bank(44100)
    exercise = planner(bank, 44100, EXERCISE)
    segments = {
        c.clip_id: AudioSegment(
            bank.samples(c).tobytes(), frame_rate=44100, sample_width=2, channels=1
        )
        for c in bank.clips
    }
    plans = [exercise.plan(i) for i in range(500)]
    small = Bank(16000)
    wake_word = planner(
        small, 16000, {"on_infeasible": "condition", "effects": {"speed": [0.9, 1.1]}}
    )
    rates = [1 / s for s in seconds_each(wake_word.plan, 20_000)]
    show("plans, default recipe", rates, "scenes/s")
    ours = seconds_each(lambda i: render_scene(plans[i % 500], bank), 200)
    theirs = seconds_each(lambda i: pydub_scene(plans[i % 500], segments), 60)
    show("rendered, the exercise's scene (10 s, 44.1 kHz)", [1 / s for s in ours], "scenes/s")
    show("pydub, the same scenes", [1 / s for s in theirs], "scenes/s")
    show_ratio("ratio, mixed by pydub's own arithmetic", ours, theirs)
    mixing = planner(bank, 44100, {k: v for k, v in EXERCISE.items() if k != "overlay"})
    free = [mixing.plan(i) for i in range(200)]
    own = seconds_each(lambda i: render_scene(free[i % 200], bank), 200)
    show("the same counts and clips, mixed by SNR", [1 / s for s in own], "scenes/s")
    show_ratio("ratio, mixed by SNR", own, theirs)
    full = planner(small, 16000, EFFECTS)
    some = [full.plan(i) for i in range(200)]
    with_effects = seconds_each(lambda i: render_scene(some[i % 200], small), 200)
    show(
        "room, speed, equaliser and channel effects on",
        [10 / s for s in with_effects],
        "× real time",
    )
    default = [wake_word.plan(i) for i in range(200)]
    plain = seconds_each(lambda i: render_scene(default[i % 200], small), 200)
    show("default recipe", [10 / s for s in plain], "× real time")


if __name__ == "__main__":
    main()
