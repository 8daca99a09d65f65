"""Where events of a scene may begin by the law of placement, found by trying.

The law (pipeline/placement.py): each layout that keeps edges, gaps and tails is as likely as any
other. Here layouts are drawn without any of them and kept where they do, which shares no line with
how scenes are made, so that a histogram of a data set can be held against it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from schemas.scene import PlacedEvent, SceneSpec

_TRIES = 2000
BINS = 20


def expected_onsets(
    spec: SceneSpec, events: Sequence[PlacedEvent], rng: np.random.Generator
) -> np.ndarray | None:
    """Return (20,) the expected number of onsets in each twentieth of a scene.

    Args:
        spec: lengths of edges, gaps and tails.
        events: of one scene, of one track, all placed by the law.
        rng: draws the layouts.

    Returns:
        None where too few of 2,000 layouts are possible to tell.
    """
    lengths = np.array([event.num_samples for event in events])
    after = np.array(
        [
            max(spec.margin_samples, spec.tail_samples if event.kind == "keyword" else 0)
            for event in events
        ]
    )
    latest = spec.num_samples - lengths - after
    if (latest < spec.margin_samples).any():
        return None
    onsets = rng.integers(spec.margin_samples, latest + 1, (_TRIES, len(events)))
    order = np.argsort(onsets, axis=1)
    begins = np.take_along_axis(onsets, order, 1)
    ends = begins + lengths[order]
    fits = (begins[:, 1:] - ends[:, :-1] >= spec.min_gap_samples).all(axis=1)
    if np.count_nonzero(fits) < _TRIES // 100:
        return None
    bins = onsets[fits] * BINS // spec.num_samples
    counts = np.bincount(bins.ravel(), minlength=BINS)
    return np.asarray(counts / np.count_nonzero(fits))
