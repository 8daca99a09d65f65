"""Reports against the plan: of every shard exactly one, of all its examples, and the file is there.

An engine may run a step twice, or lose what it made; a worker that outlived its job may write over
a shard. None of that may end in a manifest that says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from beam_jobs.job import ShardJob
from beam_jobs.output_state import existing_shards
from schemas.dataset import ShardReport


def one_each(reports: Iterable[ShardReport]) -> list[ShardReport]:
    """Return one report of each name: that of a shard that is there before one that failed."""
    kept: dict[str, ShardReport] = {}
    for report in reports:
        if report.name not in kept or kept[report.name].status == "failed":
            kept[report.name] = report
    return list(kept.values())


def differences(job: ShardJob, reports: Sequence[ShardReport]) -> dict[str, str]:
    """Return {shard: how its report or its file differs from the plan}; failed ones aside.

    Args:
        job: whose shards.
        reports: one of each name; those without a split are of something else.
    """
    by_name = {report.name: report for report in reports if report.split}
    if any(report.status == "failed" for report in reports):
        return {}
    there = existing_shards(job)
    found = dict.fromkeys(by_name, "it was made and isn't planned")
    for spec in job.shards:
        report = by_name.get(spec.name)
        found.pop(spec.name, None)
        if report is None:
            found[spec.name] = "the engine brought no report of it"
            continue
        planned, made = spec.stop - spec.start, report.num_examples + len(report.rejects)
        if planned and made != planned:
            found[spec.name] = f"it was planned for {planned} examples and reported {made}"
        elif there.get(spec.name, 0) != report.num_bytes:
            found[spec.name] = (
                f"it was written with {report.num_bytes} bytes and has {there.get(spec.name, 0)}: "
                "something else wrote there"
            )
    return found
