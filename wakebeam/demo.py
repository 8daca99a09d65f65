"""`wakebeam demo`: the whole path without data. A phrase is spoken, a detector comes out.

Everything is made here: keyword, near misses and other speech by espeak-ng voices, backgrounds by
formulas. A voice is heard in one split only, so the test speaks in voices that training never
heard. It shows that the path works; it says nothing about real speech.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from models.streaming import StreamingDetector
from pipeline.noise import generate_backgrounds
from pipeline.recipe_template import recipe_template
from pipeline.speech import speak_takes
from schemas.errors import RequestError, WakebeamError
from schemas.recipe_speech import SPOKEN_PATTERN
from wakebeam.console import clock, progress, say
from wakebeam.new_recipe import write_text_once
from wakebeam.stages import run_all
from wakebeam.workspace import Workspace

KEYWORD = "hello beacon"
NEAR_MISSES = (
    "hello baker", "yellow bacon", "hello reason", "hello weekend", "hello", "beacon",
    "hello Jacob", "a low beam", "hello teacher", "below the deacon",
)  # fmt: skip
OTHER_SPEECH = (
    "what time is it now", "turn the light off", "seven nine three", "I like the weather today",
    "please open the window", "the train leaves at noon", "music", "good morning everyone",
    "could you say that again", "no thank you", "where is the station", "call my brother",
    "stop", "maybe tomorrow", "the water is cold", "read me the news", "eleven", "yes of course",
    "we are going home", "volume up",
)  # fmt: skip
_SETTINGS = (
    "dataset.num_examples={train: 4000, validation: 600, test: 720}",
    "dataset.shard_bytes=32MiB",
    "splits={train: 0.6, validation: 0.2, test: 0.2}",  # voices enough to choose and to judge
    "training.epochs=8",
    # Fifty minutes of validation can't tell 0.5 per hour from 2: the limit would be "none at all",
    # and one unlucky near miss would decide the threshold.
    "evaluation.max_false_accepts_per_hour=2.0",
)
_PICTURE = "stream.png"


def run_demo(folder: Path, *, seed: int, overrides: tuple[str, ...] = ()) -> str:
    """Run the demo in `folder`, going on where an earlier call stopped.

    Args:
        folder: gets material, recipe, data set, model, export and picture.
        seed: of voices, noises, scenes and weights.
        overrides: on top of the demo's own, for a smaller one.

    Returns:
        The closing table and the next command.

    Raises:
        RequestError: the folder holds a demo with another seed.
    """
    began_s = time.monotonic()
    recipe_path, spoken = folder / "recipe.yaml", f"material-seed-{seed}"
    if recipe_path.exists() and spoken not in recipe_path.read_text(encoding="utf-8"):
        raise RequestError(
            f"{folder} holds a demo with another seed than {seed}",
            fix="choose another folder with --out",
        )
    material = folder / spoken
    takes = (
        ("keyword", (KEYWORD,), 360),
        ("near_miss", NEAR_MISSES, 40),
        ("speech", OTHER_SPEECH, 40),
    )
    for name, phrases, count in takes:
        with progress(f"speak {name}", "takes") as update:
            speak_takes(phrases, material / name, num_takes=count, seed=seed, progress=update)
    generate_backgrounds(
        material / "background", seed=seed, count_per_kind=12, duration_s=12, sample_rate_hz=16000
    )
    text = recipe_template(
        name="hello_beacon",
        keyword=[(f"{spoken}/keyword", "hello_beacon", SPOKEN_PATTERN)],
        negative=[
            (f"{spoken}/near_miss", "near_miss", SPOKEN_PATTERN),
            (f"{spoken}/speech", "speech", SPOKEN_PATTERN),
        ],
        background=[(f"{spoken}/background", None)],
    )
    write_text_once(recipe_path, text)
    settings = (*_SETTINGS, f"seed={seed}", *overrides)
    workspace = Workspace.open(recipe_path, settings)
    from models.report_text import report_text

    say(f"material: {clock(time.monotonic() - began_s)} for spoken takes and noises")
    with workspace.alone():
        report = report_text(run_all(workspace))
    stream = _listen(workspace, folder / _PICTURE)
    example = next((material / "keyword" / "hello_beacon").glob("*.wav"))
    return "\n".join(
        [
            "",
            report.rstrip(),
            f"{'real-time factor':24}{stream['real_time_factor']:>9.4f}  one core, "
            f"{stream['seconds']:.0f} s of sound through the exported detector",
            f"made in {clock(time.monotonic() - began_s)}; picture: {folder / _PICTURE}; "
            f"report: {folder / 'model' / 'evaluation.html'}",
            f"next: .venv/bin/wakebeam detect --model {folder / 'export'} {example}",
        ]
    )


def _listen(workspace: Workspace, picture: Path) -> dict[str, Any]:
    """Run the exported detector over test scenes as one stream, time it, draw it."""
    from models.event_matching import match_events
    from models.plots import detector_output
    from pipeline.input_dataset import judged_examples, read_dataset
    from schemas.detection import ReferenceEvent

    stored = read_dataset(workspace.data)
    _, audio, events = next(judged_examples(stored, split="test", batch_size=4))
    rate = stored.sample_rate_hz
    length_s = stored.example_samples / rate
    stream = np.concatenate(list(audio.numpy()))
    truth = [
        ReferenceEvent(e.onset_s + i * length_s, e.offset_s + i * length_s, e.label, e.kind)
        for i, row in enumerate(events)
        for e in row
    ]
    detector = StreamingDetector(workspace.export)
    began_s = time.perf_counter()
    outs = [detector.process(packet) for packet in np.array_split(stream, len(stream) // 1280)]
    outs.append(detector.finish())
    spent_s = time.perf_counter() - began_s
    detections = [d for out in outs for d in out.detections]
    window_s = workspace.recipe.keyword_evaluation.hit_window_s
    matching = match_events(detections, truth, hit_window_s=window_s)
    png = detector_output(
        stream,
        rate,
        times_s=np.concatenate([out.times_s for out in outs]),
        scores=np.concatenate([out.scores for out in outs])[:, 0],
        threshold=detector.threshold,
        events=truth,
        matching=matching,
        title=f"“{KEYWORD}” in test scenes, voices and noises that training never heard",
    )
    try:
        picture.write_bytes(png)
    except OSError as error:
        raise WakebeamError(f"{picture} can't be written ({error})") from error
    seconds = len(stream) / rate
    return {"real_time_factor": spent_s / seconds, "seconds": seconds}
