"""What the takes of a recipe are like: faults of single ones, and recordings that are there twice.

Takes are read again as they were recorded, because the clip bank holds only their active regions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.audio_file import read_audio, to_mono
from pipeline.clip_bank import ClipBank
from pipeline.material import list_material
from pipeline.material_files import MaterialFiles
from pipeline.quality import TakeQuality, faults, fingerprint, measure, near_doubles
from pipeline.splits import split_clips
from schemas.errors import AudioError
from schemas.recipe import Recipe
from schemas.units import FULL_SCALE

_MOST_LINES = 12


def check_material(
    recipe: Recipe,
    bank: ClipBank,
    base_dir: Path,
    system: MaterialFiles,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Return `takes` (each keyword take with its faults) and `near_doubles`, as plain values."""
    files = [file for file in list_material(recipe, base_dir, system) if file.role == "keyword"]
    known = {clip.clip_id for clip in bank.clips}
    measured: dict[str, dict[str, TakeQuality]] = {}
    for done, file in enumerate(files, start=1):
        if file.clip_id in known:
            try:
                with system.local_copy(file.path) as path:
                    x, rate = read_audio(path)
                measured.setdefault(file.label, {})[file.clip_id] = measure(to_mono(x), rate)
            except AudioError:
                pass  # in the bank's list of rejects, or changed since
        if progress is not None:
            progress(done, len(files))
    takes = [
        {"take": name, "label": label, "faults": words} | asdict(quality)
        for label, by_name in sorted(measured.items())
        for (name, quality), words in zip(
            by_name.items(), faults(list(by_name.values())), strict=True
        )
    ]
    return {"takes": takes, "near_doubles": _doubles(recipe, bank)}


def material_text(found: dict[str, Any]) -> str:
    """Return the result of `check_material` for people."""
    takes, doubles = found["takes"], found["near_doubles"]
    faulty = [take for take in takes if take["faults"]]
    lines = [f"takes: {len(takes)}, {len(faulty)} of them clipped, noisy, cut off or odd"]
    kinds = Counter(word.split(":")[0].split(" s long")[0] for t in faulty for word in t["faults"])
    odd = sum(count for kind, count in kinds.items() if kind[0].isdigit())
    named = [(kind, count) for kind, count in kinds.items() if not kind[0].isdigit()]
    named += [("of unusual length", odd)] if odd else []
    lines += [f"  {count} {kind}" for kind, count in sorted(named, key=lambda item: -item[1])]
    for take in sorted(faulty, key=lambda take: -len(take["faults"]))[:_MOST_LINES]:
        lines.append(f"    {take['take']}: {'; '.join(take['faults'])}")
    if len(faulty) > _MOST_LINES:
        lines.append(f"    and {len(faulty) - _MOST_LINES} more (--json lists all)")
    across = [pair for pair in doubles if pair["across_splits"]]
    if doubles:
        lines.append(f"{len(doubles)} pairs of clips sound the same, {len(across)} across splits")
        for pair in [*across, *(p for p in doubles if p not in across)][:_MOST_LINES]:
            mark = "across  " if pair["across_splits"] else ""
            lines.append(f"    {pair['likeness']:.3f}  {mark}{pair['one']} and {pair['other']}")
    if across:
        lines.append(
            "  what was trained on is judged on: remove one of each pair, or give both the same "
            "speaker (speaker_pattern)"
        )
    return "\n".join(lines)


def is_clean(found: dict[str, Any]) -> bool:
    """Return whether there is nothing to look at: what --strict asks for."""
    return not found["near_doubles"] and not any(take["faults"] for take in found["takes"])


def _doubles(recipe: Recipe, bank: ClipBank) -> list[dict[str, Any]]:
    clips = [clip for clip in bank.clips if clip.role in ("keyword", "negative")]
    if len(clips) < 2:
        return []
    home = {
        clip.clip_id: split
        for split, of in split_clips(bank.clips, recipe.splits).items()
        for clip in of
    }
    prints = np.stack(
        [
            fingerprint(
                bank.samples(clip).astype(np.float32) / np.float32(FULL_SCALE), bank.sample_rate_hz
            )
            for clip in clips
        ]
    )
    return [
        {
            "one": clips[i].clip_id,
            "other": clips[j].clip_id,
            "likeness": round(likeness, 4),
            "across_splits": home[clips[i].clip_id] != home[clips[j].clip_id],
        }
        for i, j, likeness in near_doubles(prints)
    ]
