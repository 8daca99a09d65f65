"""From shard reports to `manifest.json`, the file that closes a data set."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, astuple
from typing import Any

from beam_jobs import files
from beam_jobs.job import ClosingManifest, SynthesisJob
from beam_jobs.output_state import FAILURES_NAME, REJECTS_NAME
from pipeline.clip_bank import ClipBank
from pipeline.shard_counts import summed
from pipeline.splits import split_clips
from schemas.clips import Clip
from schemas.dataset import (
    FOLDERS,
    MANIFEST_NAME,
    Manifest,
    RecordReject,
    SceneReject,
    ShardEntry,
    ShardReport,
)
from schemas.recipe import SPLITS, Recipe
from schemas.scene import SceneSpec

_SOFTWARE = ("wakebeam", "numpy", "scipy", "soundfile", "soxr", "protobuf", "apache-beam")


def build_manifest(
    reports: Sequence[ShardReport], *, job: SynthesisJob, bank: ClipBank, run: Mapping[str, Any]
) -> Manifest:
    """Summarise a finished job; everything but `run` depends on recipe and bank alone."""
    recipe = job.recipe
    ordered = in_order(reports)
    spec = SceneSpec.of(recipe)
    return Manifest(
        recipe_digest=job.recipe_digest,
        content=recipe.content(job.bank_digest),
        name=recipe.name,
        labels=recipe.labels,
        sample_rate_hz=spec.sample_rate_hz,
        example_samples=spec.num_samples,
        encoding=recipe.dataset.encoding,
        shards=entries(ordered),
        counts={s: summed(r.counts for r in ordered if r.split == s) for s in SPLITS},
        num_rejected={s: sum(len(r.rejects) for r in ordered if r.split == s) for s in SPLITS},
        first_example={s: job.first_example.get(s, 0) for s in SPLITS},
        follows=job.follows,
        material=_material(recipe, bank.clips),
        software={name: importlib.metadata.version(name) for name in _SOFTWARE},
        run={
            "python": platform.python_version(),
            "rejects": [reject.to_json() for reject in bank.rejects],
            "recipe": json.loads(job.recipe_json),
            "bank_directory": job.bank,
            **run,
        },
    )


def in_order(reports: Iterable[ShardReport]) -> list[ShardReport]:
    """Return the reports of shards by split and index."""
    shards = [report for report in reports if report.split]
    return sorted(shards, key=lambda r: (FOLDERS.index(r.split), r.shard_index))


def entries(ordered: Iterable[ShardReport]) -> tuple[ShardEntry, ...]:
    """Return shards as a manifest lists them; one that had nothing to hold was not written."""
    return tuple(
        ShardEntry(r.name, r.split, r.num_examples, r.num_bytes, r.crc32c)
        for r in ordered
        if r.crc32c
    )


def close(
    out: str,
    reports: Sequence[ShardReport],
    manifest: Callable[[], ClosingManifest],
    *,
    max_reject_fraction: float,
    needs_records: bool = False,
    differences: Mapping[str, str],
) -> None:
    """Write the manifest, or `failures.json` if a shard failed or too many examples did.

    `rejects.jsonl` has a line for each example that could not be made. With `needs_records` it is
    a failure that none could; so is each of `differences` (report_check.py).
    """
    failures = {report.name: report.error for report in reports if report.status == "failed"}
    failures |= differences
    rejects = sorted((reject for report in reports for reject in report.rejects), key=astuple)
    if rejects:
        lines = [json.dumps(asdict(reject), ensure_ascii=False) + "\n" for reject in rejects]
        files.write_text(files.join(out, REJECTS_NAME), "".join(lines))
    made = sum(report.num_examples for report in reports)
    wanted = len(rejects) + made
    if not failures and needs_records and not made:
        first = f"{_place(rejects[0])}: {rejects[0].reason}, …" if rejects else "nothing is there"
        what = "no record can be used" if rejects else "no record was found"
        failures[what] = f"{first} ({len(rejects)} were rejected)"
    if not failures and len(rejects) > max_reject_fraction * wanted:
        failures[_place(rejects[0])] = (
            f"{rejects[0].reason.rstrip('.')} ({len(rejects)} of {wanted} examples could not be "
            f"made, dataset.max_reject_fraction allows {max_reject_fraction:g}; see {REJECTS_NAME})"
        )
    if failures:
        text = json.dumps(failures, indent=1, sort_keys=True) + "\n"
        files.write_text(files.join(out, FAILURES_NAME), text)
        files.delete([files.join(out, MANIFEST_NAME)])
    else:
        files.delete([files.join(out, FAILURES_NAME)])
        files.write_text(files.join(out, MANIFEST_NAME), manifest().to_json())


def _place(reject: SceneReject | RecordReject) -> str:
    return reject.example_id if isinstance(reject, SceneReject) else reject.place


def _material(recipe: Recipe, clips: Sequence[Clip]) -> dict[str, Any]:
    by_split = split_clips(clips, recipe.splits)
    summary: dict[str, Any] = {}
    for split in SPLITS:
        counts: Counter[str] = Counter()
        groups: dict[str, set[str]] = {}
        for clip in by_split[split]:
            name = clip.label if clip.role == "keyword" else clip.kind
            counts[f"{clip.role}/{name}"] += 1
            groups.setdefault(f"{clip.role}/{name}", set()).add(clip.group)
        summary[split] = {
            name: {"clips": count, "groups": len(groups[name])}
            for name, count in sorted(counts.items())
        }
    licences: Counter[str] = Counter(clip.licence or "not stated" for clip in clips)
    return {
        "splits": summary,
        "licences": dict(sorted(licences.items())),
    }
