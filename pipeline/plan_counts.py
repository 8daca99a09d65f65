"""What plans hold, in counts that add up: a million scenes are summed up without being rendered.

What a record's events are counted by and a plan decides is counted alike (shard_counts.py). More:

| name | key | counts |
|---|---|---|
| `level` | lower edge of 1 dB | events, by the level that is planned, in the recipe's unit |
| `background_level` | lower edge of 1 dB | scenes, by the planned level of what lies under them |
| `backgrounds` | clip id | scenes that it is heard under |

A planned SNR is not always the one that is reached: scene_renderer.py says why. The size of the
counts grows with the clip bank, not with the number of scenes.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.scene_planner import ScenePlanner
from pipeline.shard_counts import PLANNED_NAMES, Counts, added, count_events, in_order
from schemas.dataset import SceneReject, ShardSpec
from schemas.errors import WakebeamError
from schemas.scene import example_id

NAMES = (*PLANNED_NAMES, "level", "background_level", "backgrounds")
_MOST_REJECTS = 10
_LONGEST_REASON = 300


@dataclass(frozen=True, slots=True)
class PlanCounts:
    """Counts of some scenes of one split.

    Attributes:
        split: its name.
        num_scenes: that were planned.
        counts: {name: {key: number}}.
        num_rejected: scenes that can't be planned.
        rejects: the first of them.
    """

    split: str
    num_scenes: int
    counts: Counts
    num_rejected: int = 0
    rejects: tuple[SceneReject, ...] = ()


def count_plans(spec: ShardSpec, planner: ScenePlanner) -> PlanCounts:
    """Plan every scene of a shard and count what is in it."""
    counters: dict[str, Counter[str]] = {name: Counter() for name in NAMES}
    level, under = counters["level"], counters["background_level"]
    backgrounds = counters["backgrounds"]
    rejects = []
    for index in range(spec.start, spec.stop):
        try:
            plan = planner.plan(index)
        except Exception as error:
            reason = str(error) if isinstance(error, WakebeamError) else repr(error)
            rejects.append(SceneReject(example_id(spec.split, index), reason[:_LONGEST_REASON]))
            continue
        count_events(counters, plan.events, plan.num_samples, plan.sample_rate_hz)
        for event in plan.events:
            level[str(math.floor(event.level_db))] += 1
        if plan.overlay is None:  # else nothing is drawn: the clips are laid over as they are
            under[str(math.floor(plan.background_db))] += 1
        for source in {piece.source for piece in plan.backgrounds}:
            backgrounds[source] += 1
    num_scenes = spec.stop - spec.start - len(rejects)
    return PlanCounts(
        spec.split, num_scenes, counters, len(rejects), tuple(rejects[:_MOST_REJECTS])
    )


def summed_plans(parts: Iterable[PlanCounts]) -> list[PlanCounts]:
    """Return one sum a split, in order of their names, whatever the order of the parts."""
    by_split: dict[str, list[PlanCounts]] = {}
    for part in parts:
        by_split.setdefault(part.split, []).append(part)
    return [_sum(split, by_split[split]) for split in sorted(by_split)]


def _sum(split: str, parts: list[PlanCounts]) -> PlanCounts:
    rejects = sorted((r for p in parts for r in p.rejects), key=lambda reject: reject.example_id)
    return PlanCounts(
        split,
        sum(part.num_scenes for part in parts),
        in_order(added((part.counts for part in parts), NAMES)),
        sum(part.num_rejected for part in parts),
        tuple(rejects[:_MOST_REJECTS]),
    )
