"""Which clips the recipe's pinned events get, and how long they may be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from pipeline.clip_choice import choose, cumulated
from pipeline.randomness import Draws
from schemas.clips import Clip
from schemas.errors import InfeasibleScene, MaterialError
from schemas.recipe import Scene
from schemas.scene import SceneSpec
from schemas.units import seconds_to_samples


class _Pin(NamedTuple):
    onset_samples: int
    probability: float
    clips: list[Clip]
    cumulative: list[float]
    longest: int


class PinnedEvents:
    """Draws the clips of pinned events: each of the label alike.

    A clip has room until the gap before the next pinned onset, whether that event is in the scene
    or not, or until the end of the scene (for a keyword, less its tail). Under `condition`, clips
    that are longer are left out.

    Args:
        scene: the recipe's section.
        spec: the same in samples.
        clips: keywords and negatives of the split.
        longest_length: of a clip, at the slowest that its effects may make it.
        split: for messages.

    Attributes:
        worst_spans: half-open [onset, offset) of each event with its longest clip.
        left_out: clips that are too long for every event of their label.

    Raises:
        MaterialError: no clip of the split has the label.
        InfeasibleScene: a clip is too long (`refuse`), or all are.
    """

    def __init__(
        self,
        scene: Scene,
        spec: SceneSpec,
        clips: Sequence[Clip],
        longest_length: Callable[[Clip], int],
        split: str,
    ) -> None:
        self._pins: list[_Pin] = []
        asked: list[Clip] = []
        rows = sorted(scene.pinned, key=lambda row: row.onset_s)
        onsets = [seconds_to_samples(row.onset_s, spec.sample_rate_hz) for row in rows]
        for i, (row, onset) in enumerate(zip(rows, onsets, strict=True)):
            of = [clip for clip in clips if clip.label == row.label]
            if not of:
                raise MaterialError(
                    f"split {split!r} has no clip with the label {row.label!r}",
                    expected="at least one, because scene.pinned asks for it",
                )
            tail = spec.tail_samples if of[0].role == "keyword" else 0
            end = spec.num_samples - tail
            if i + 1 < len(rows):
                end = min(end, onsets[i + 1] - spec.min_gap_samples)
            lengths = [longest_length(clip) for clip in of]
            fitting = [c for c, n in zip(of, lengths, strict=True) if onset + n <= end]
            if not fitting or (len(fitting) < len(of) and scene.on_infeasible == "refuse"):
                raise InfeasibleScene(
                    f"scene.pinned: {len(of) - len(fitting)} of the {len(of)} clips of "
                    f"{row.label!r} don't fit at {row.onset_s:g} s: the longest has "
                    f"{max(lengths) / spec.sample_rate_hz:.3f} s at its slowest, there is room for "
                    f"{max(0, end - onset) / spec.sample_rate_hz:.3f} s",
                    fix="pin it earlier or further from the next one, or use shorter clips"
                    + "; scene.on_infeasible: condition leaves long clips out" * bool(fitting),
                )
            asked += of
            self._pins.append(
                _Pin(
                    onset,
                    row.probability,
                    fitting,
                    cumulated(np.ones(len(fitting))),
                    max(n for n in lengths if onset + n <= end),
                )
            )
        heard = {clip.clip_id for pin in self._pins for clip in pin.clips}
        self.left_out = tuple(clip for clip in dict.fromkeys(asked) if clip.clip_id not in heard)
        self.worst_spans = [
            (pin.onset_samples, pin.onset_samples + pin.longest) for pin in self._pins
        ]

    def draw(self, draws: Draws) -> list[tuple[Clip, int]]:
        """Return (clip, onset in samples) of each event that this scene has, by onset."""
        events = []
        for pin in self._pins:
            if pin.probability < 1.0 and draws.uniform() >= pin.probability:
                continue
            clip = pin.clips[choose(pin.cumulative, draws.uniform())]
            events.append((clip, pin.onset_samples))
        return events
