"""Writing a stream set: a file at a time, each whole or not there, the summary last.

The same options, recipe and bank give the same bytes. A file that an earlier, killed run finished
is kept (`.stream-000.json` beside it says what is in it); a folder of other things is refused.
Memory holds one stretch of sound, three minutes at most, and the places of the events.

`counts` has keywords and other events by kind, seconds by kind of stretch, the events that had to
be quieter than asked, SNRs as reached (minimum, median, maximum), and for each role how many clips
or parts there are, how many were heard, and how many of those had been heard before (`repeats`).
"""

from __future__ import annotations

import importlib.metadata
import json
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from pipeline.clip_bank import ClipBank, read_json
from pipeline.splits import split_clips
from pipeline.stream_leaks import find_leaks, require_no_leaks, samples_digest
from pipeline.stream_plan import StreamFilePlan, StreamPlanner
from pipeline.stream_renderer import render_file
from pipeline.text_file import replace_text
from schemas.canonical import file_digest
from schemas.clips import Clip
from schemas.dataset import changes_between
from schemas.errors import RequestError
from schemas.recipe import PLAN_VERSION, Recipe
from schemas.stream_set import (
    STREAM_SET_NAME,
    STREAM_SET_VERSION,
    StreamEvent,
    StreamFile,
    StreamOptions,
    StreamSet,
    UsedClip,
    stream_file,
)

Progress = Callable[[int, int], None]
_MAKING = "making.json"
_SOFTWARE = ("wakebeam", "numpy", "soundfile")
_ADVICE = (
    "give the recordings that belong together one speaker (speaker_pattern) or take one of them out"
)


def make_stream_set(
    recipe: Recipe,
    bank: ClipBank,
    options: StreamOptions,
    out: Path,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> tuple[StreamSet, bool]:
    """Make a stream set, or go on with one, or find that it is made.

    Args:
        recipe: whose splits and labels count.
        bank: its clips.
        options: what it shall be like.
        out: its folder.
        overwrite: replace a stream set that was made from something else.
        progress: called with (seconds done, seconds in all).

    Returns:
        The stream set, and whether it was there already.

    Raises:
        MaterialError: the split has no keyword or no background.
        DatasetError: a clip is training or validation material too.
        RequestError: `out` holds something else.
    """
    splits = split_clips(bank.clips, recipe.splits)
    made_from = _made_from(recipe, bank, options)
    planner = StreamPlanner(options, splits[options.split], bank.sample_rate_hz)
    plans = list(planner.files())
    uses = _uses(plans)
    used = tuple(_used(bank, bank.clip(clip_id), uses[clip_id]) for clip_id in sorted(uses))
    others = {name: clips for name, clips in splits.items() if name != options.split}
    own = {clip.clip_id for clip in used if clip.shared}
    heard = [c for clips in others.values() for c in clips if c.clip_id not in own]
    require_no_leaks(find_leaks(used, heard, bank.samples), " or ".join(others), _ADVICE)

    found = _claim(out, made_from, overwrite)
    if found is not None:
        return found, True
    files, limited = _write_files(out, plans, bank, options, progress)
    made = StreamSet(
        name=recipe.name,
        made_from=made_from,
        recipe_digest=recipe.content_digest(bank.digest),
        labels=recipe.labels,
        sample_rate_hz=bank.sample_rate_hz,
        counts=_counts(planner, files, bank, limited),
        leak_check={
            "against": {name: len(clips) for name, clips in others.items()},
            "leaks": 0,
            "shared_by_recipe": len(own),
        },
        clips=used,
        files=tuple(files),
        software={name: importlib.metadata.version(name) for name in _SOFTWARE},
    )
    replace_text(out / STREAM_SET_NAME, made.to_json())
    for plan in plans:
        (out / _rows_name(plan.index)).unlink()
    (out / _MAKING).unlink()
    return made, False


def read_stream_set(folder: Path) -> StreamSet:
    """Read a stream set.

    Raises:
        RequestError: there is none.
        DatasetError: it can't be read.
    """
    path = folder / STREAM_SET_NAME
    if not path.is_file():
        raise RequestError(
            f"{folder} has no {STREAM_SET_NAME}",
            expected="a complete stream set",
            fix="make it, or finish it, with `wakebeam stream-set RECIPE`",
        )
    return StreamSet.from_json(path.read_text(encoding="utf-8"), where=str(path))


def _made_from(recipe: Recipe, bank: ClipBank, options: StreamOptions) -> dict[str, Any]:
    value = {
        "version": STREAM_SET_VERSION,
        "options": asdict(options),
        "plan_version": PLAN_VERSION,
        "splits": recipe.splits.model_dump(mode="json"),
        "labels": recipe.labels,
        "bank": bank.digest,
    }
    return dict(json.loads(json.dumps(value)))


def _claim(out: Path, made_from: dict[str, Any], overwrite: bool) -> StreamSet | None:
    """Return the set that is there already; else leave a folder for it to be made or finished in.

    Raises:
        RequestError: something else lies there.
    """
    there = {path.name for path in out.iterdir()} if out.is_dir() else set()
    found = None
    if STREAM_SET_NAME in there:
        found = read_json(out / STREAM_SET_NAME, {}).get("made_from", {})
    elif _MAKING in there:
        found = read_json(out / _MAKING, {})
    elif there or out.is_file():
        raise RequestError(
            f"{out} holds something else than a stream set ({', '.join(sorted(there)[:3])})",
            expected="a new folder, an empty one or an earlier stream set",
            fix="choose another --out",
        )
    if found is not None and found != made_from:
        if not overwrite:
            changes = "; ".join(changes_between(found, made_from)[:5])
            raise RequestError(
                f"{out} was made from something else: {changes}",
                expected="the same recipe, material and options",
                fix="choose another --out, or pass --overwrite to replace it",
            )
        for path in (*out.glob("stream-*"), *out.glob(".stream-*"), out / _MAKING):
            path.unlink(missing_ok=True)
        (out / STREAM_SET_NAME).unlink(missing_ok=True)
    elif STREAM_SET_NAME in there:
        made = read_stream_set(out)
        if all(_is_whole(out / file.name, file.num_samples) for file in made.files):
            return made
        (out / STREAM_SET_NAME).unlink()
    out.mkdir(parents=True, exist_ok=True)
    replace_text(out / _MAKING, json.dumps(made_from))
    return None


def _write_files(
    out: Path,
    plans: Sequence[StreamFilePlan],
    bank: ClipBank,
    options: StreamOptions,
    progress: Progress | None,
) -> tuple[list[StreamFile], int]:
    """All recordings, and how many of their events were limited."""
    rate, files, limited, done = bank.sample_rate_hz, [], 0, 0
    total = sum(plan.num_samples for plan in plans)
    for plan in plans:

        def report(samples: int, before: int = done) -> None:
            if progress is not None:
                progress((before + samples) // rate, total // rate)

        file, quieter = _write_file(out, plan, bank, options, report)
        files.append(file)
        limited += quieter
        done += plan.num_samples
    return files, limited


def _write_file(
    out: Path,
    plan: StreamFilePlan,
    bank: ClipBank,
    options: StreamOptions,
    report: Callable[[int], None],
) -> tuple[StreamFile, int]:
    """Render one recording with its labels, unless it is there; also how many were limited."""
    path, rows = out / f"stream-{plan.index:03d}.wav", out / _rows_name(plan.index)
    kept = read_json(rows, {})
    if kept and _is_whole(path, plan.num_samples):
        return stream_file(kept["file"]), int(kept["limited"])
    rate = bank.sample_rate_hz
    events: list[StreamEvent] = []
    limited = written = 0
    temporary = path.with_suffix(".writing")
    with soundfile.SoundFile(
        temporary, "w", samplerate=rate, channels=1, subtype="PCM_16", format="WAV"
    ) as file:
        for stretch in render_file(
            plan, bank, background_dbfs=options.background_dbfs, sample_rate_hz=rate
        ):
            file.write(stretch.audio)
            events += stretch.events
            limited += stretch.num_limited
            written += len(stretch.audio)
            report(written)
    os.replace(temporary, path)
    made = StreamFile(path.name, written, file_digest(path), tuple(events))
    _write_labels(path, made, bank)
    replace_text(rows, json.dumps({"file": asdict(made), "limited": limited}))
    return made, limited


def _write_labels(path: Path, file: StreamFile, bank: ClipBank) -> None:
    """Audacity's label tracks: the keywords, which judge, and beside them all else."""
    lines: dict[bool, list[str]] = {True: [], False: []}
    for event in file.events:
        clip = bank.clip(event.clip)
        start = event.onset_samples / bank.sample_rate_hz
        stop = (event.onset_samples + event.num_samples) / bank.sample_rate_hz
        lines[clip.role == "keyword"].append(f"{start:.6f}\t{stop:.6f}\t{clip.label}\n")
    replace_text(path.with_suffix(".txt"), "".join(lines[True]))
    replace_text(path.with_suffix(".others.txt"), "".join(lines[False]))


def _uses(plans: Sequence[StreamFilePlan]) -> Counter[str]:
    uses: Counter[str] = Counter()
    for plan in plans:
        uses.update(s.part.clip.clip_id for stretch in plan.stretches for s in stretch.sounds)
        uses.update(piece.part.clip.clip_id for piece in plan.backgrounds)
    return uses


def _used(bank: ClipBank, clip: Clip, uses: int) -> UsedClip:
    return UsedClip(
        clip_id=clip.clip_id,
        role=clip.role,
        kind=clip.kind,
        label=clip.label,
        speaker=clip.group,
        num_samples=clip.num_samples,
        peak=clip.peak,
        content_sha256=clip.content_sha256,
        samples_sha256=samples_digest(bank.samples(clip)),
        shared=clip.shared,
        uses=uses,
    )


def _counts(
    planner: StreamPlanner, files: Sequence[StreamFile], bank: ClipBank, limited: int
) -> dict[str, Any]:
    events = [event for file in files for event in file.events]
    kinds = Counter(bank.clip(event.clip).kind for event in events)
    snrs = [event.snr_db for event in events]
    reached = np.percentile(snrs, [0, 50, 100]).round(3).tolist() if snrs else []
    return {
        "keywords": kinds["keyword"],
        "others": {kind: n for kind, n in sorted(kinds.items()) if kind != "keyword"},
        "seconds": {kind: round(s, 1) for kind, s in sorted(planner.seconds.items())},
        "quieter_than_asked": limited,
        "snr_db": reached,
        "clips": planner.repeats(),
    }


def _is_whole(path: Path, num_samples: int) -> bool:
    """Whether a WAV of so many samples is there; it was renamed into place, so it is whole."""
    return path.is_file() and path.stat().st_size == 44 + 2 * num_samples


def _rows_name(index: int) -> str:
    return f".stream-{index:03d}.json"
