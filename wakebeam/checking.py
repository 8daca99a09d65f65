"""`wakebeam check`: what a recipe's material is like and what it would make, before it is made.

Nothing is written but the clip bank. Time and bytes come from a short calibration: some scenes of
each split are made and written to memory here and now. They are for one core of this machine.
"""

from __future__ import annotations

import io
import time
from collections import Counter
from typing import Any

import numpy as np

from pipeline.clip_bank import ClipBank
from pipeline.scene_source import SceneSource
from pipeline.shard_counts import ShardCounts
from pipeline.splits import split_clips
from pipeline.tfrecord import RecordWriter
from schemas.dataset import plan_shards
from schemas.recipe import SPLITS, Recipe

_CALIBRATION_S = 0.6
_FEWEST_CALIBRATED, _MOST_CALIBRATED = 16, 400
_FEW_TAKES = 10
_DONE_WITH = {
    "train": "learnt from",
    "validation": "chosen on",
    "test": "measured on",
}
_MORE_OF = {
    "keyword": "record more, of other people",
    "negative": "add folders of other speech (--negative)",
}


def check(recipe: Recipe, bank: ClipBank) -> dict[str, Any]:
    """Return material, splits, feasibility and size as plain values; raises what synth would.

    Raises:
        MaterialError, InfeasibleScene: the recipe can't be made, with what to change.
    """
    by_split = split_clips(bank.clips, recipe.splits)
    splits: dict[str, Any] = {}
    seconds = total_bytes = 0.0
    for split in SPLITS:
        wanted = getattr(recipe.dataset.num_examples, split)
        if not wanted:
            continue
        source = SceneSource(recipe, bank, split)
        planner = source.planner
        each_s, each_bytes = _calibrate(source, wanted)
        seconds += each_s * wanted
        total_bytes += each_bytes * wanted
        splits[split] = {
            "examples": wanted,
            "fit_probability": planner.fit_probability,
            "worst_case_s": sum(planner.worst_case) / recipe.sample_rate_hz,
            "never_placed": [clip.clip_id for clip in planner.never_placed],
            "odd_keywords": [clip.clip_id for clip in planner.odd_keywords],
            "clips": _table(by_split[split]),
        }
    return {
        "clips": len(bank.clips),
        "hours_of_material": sum(c.num_samples for c in bank.clips) / bank.sample_rate_hz / 3600,
        "rejects": [reject.to_json() for reject in bank.rejects],
        "duplicates": _duplicates(bank),
        "without_speaker": sum(
            c.group.startswith("file ") for c in bank.clips if c.role in ("keyword", "negative")
        ),
        "shared": sum(clip.shared for clip in bank.clips),
        "splits": splits,
        "shards": len(plan_shards(recipe)),
        "bytes": int(total_bytes),
        "bytes_per_example": int(total_bytes / max(1, sum(v["examples"] for v in splits.values()))),
        "core_hours": seconds / 3600,
        "cost": _cost(recipe, seconds / 3600, total_bytes),
    }


def _calibrate(source: SceneSource, wanted: int) -> tuple[float, float]:
    """Seconds (median) and bytes (mean) of a scene, made as the job makes it, from plan to CRC."""
    _ = source[0]  # compiles what isn't compiled yet
    writer = RecordWriter(io.BytesIO())
    counts = ShardCounts()
    times: list[float] = []
    while len(times) < min(wanted, _MOST_CALIBRATED):
        began_s = time.perf_counter()
        example = source[len(times)]
        writer.write(*example.pieces)
        counts.add(example.scene.audio, example.plan.sample_rate_hz, example.events)
        times.append(time.perf_counter() - began_s)
        if len(times) >= _FEWEST_CALIBRATED and sum(times) > _CALIBRATION_S:
            break
    return float(np.median(times)), writer.num_bytes / len(times)


def _cost(recipe: Recipe, core_hours: float, num_bytes: float) -> dict[str, Any] | None:
    if recipe.prices is None:
        return None
    return {
        "currency": recipe.prices.currency,
        "to_make": recipe.prices.core_hour * core_hours,
        "to_keep_a_month": recipe.prices.gb_month * num_bytes / 1e9,
    }


def check_text(found: dict[str, Any], recipe: Recipe) -> str:
    """Return the result of `check` for people."""
    lines = [
        f"material: {found['clips']} clips, {found['hours_of_material']:.2f} h; "
        f"{len(found['rejects'])} files can't be used; {len(found['duplicates'])} exact duplicates"
    ]
    lines += [f"  {item['path']}: {item['reason']}" for item in found["rejects"]]
    if found["shared"]:
        lines.append(
            f"{found['shared']} backgrounds are heard in training and in test, as the recipe says: "
            "the test can't tell how the detector takes to new ones"
        )
    if not recipe.material.negative:
        lines.append(
            "no negatives: a detector trained so fires on any speech, and its test can't see it"
        )
    elif all(entry.kind == "near_miss" for entry in recipe.material.negative):
        lines.append(
            "only near misses and no other speech: how often it alarms in everyday talk is neither "
            "learnt nor measured; folders of talk belong under material.negative (--negative)"
        )
    if found["without_speaker"]:
        lines.append(
            f"{found['without_speaker']} clips have no known speaker: they are split by file, so "
            "one speaker may be heard in training and in test"
        )
    for split, values in found["splits"].items():
        table = ", ".join(
            f"{name} {row['clips']} ({row['groups']} groups)"
            for name, row in values["clips"].items()
        )
        lines.append(f"{split}: {values['examples']} scenes from {table}")
        for name, row in values["clips"].items():
            cure = _MORE_OF.get(name.partition(" ")[0])
            if cure and row["clips"] < _FEW_TAKES:
                takes = f"{row['clips']} take{'s' * (row['clips'] != 1)}"
                lines.append(
                    f"  only {takes} of {name}: what is {_DONE_WITH[split]} so few holds for those "
                    f"alone; {cure}"
                )
        if values["fit_probability"] < 1.0 - 1e-9:
            lines.append(
                f"  the worst case needs {values['worst_case_s']:.1f} s of clips in "
                f"{recipe.scene.duration_s:g} s; {100 * values['fit_probability']:.1f} % of free "
                "draws fit, and scenes hold only what does"
            )
        if values["never_placed"]:
            names = values["never_placed"]
            lines.append(f"  {len(names)} clips are too long ever to be placed, e.g. {names[0]}")
        if values["odd_keywords"]:
            names = values["odd_keywords"]
            lines.append(
                f"  {len(names)} keywords are much longer or shorter than the others and aren't "
                f"trained with (scene.keyword_lengths), e.g. {names[0]}"
            )
    lines.append(
        f"makes {sum(v['examples'] for v in found['splits'].values())} scenes in "
        f"{found['shards']} shards, about {found['bytes'] / 1e6:.0f} MB "
        f"({found['bytes_per_example'] / 1e3:.0f} kB each) and {_time_of_one_core(found)}"
    )
    if found["cost"]:
        cost = found["cost"]
        lines.append(
            f"at the recipe's prices {cost['to_make']:.2f} {cost['currency']} to make, and "
            f"{cost['to_keep_a_month']:.2f} {cost['currency']} a month to keep"
        )
    return "\n".join(lines)


def _time_of_one_core(found: dict[str, Any]) -> str:
    hours = found["core_hours"]
    return f"{hours:.1f} core-hours" if hours >= 1 else f"{60 * hours:.1f} minutes of one core"


def _table(clips: Any) -> dict[str, dict[str, int]]:
    counts: Counter[str] = Counter()
    groups: dict[str, set[str]] = {}
    for clip in clips:
        name = f"{clip.role} {clip.label}" if clip.role == "keyword" else clip.role
        counts[name] += 1
        groups.setdefault(name, set()).add(clip.group)
    return {name: {"clips": n, "groups": len(groups[name])} for name, n in sorted(counts.items())}


def _duplicates(bank: ClipBank) -> list[list[str]]:
    same: dict[str, list[str]] = {}
    for clip in bank.clips:
        same.setdefault(clip.content_sha256, []).append(clip.clip_id)
    return [names for names in same.values() if len(names) > 1]
