"""Which placement law a scene follows: one lane, several lanes, or windows among pinned events.

| scene | free clips |
|---|---|
| polyphony 1, nothing pinned | one lane: placement.py |
| polyphony p, nothing pinned | p lanes: placement.py |
| polyphony 1, pinned events | windows between them: pinned_placement.py |
| polyphony p, pinned events | p − 1 lanes; the pinned events have one of their own |
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.pinned_placement import (
    Span,
    free_windows,
    num_layouts,
    place_among_pinned,
    require_layouts,
)
from pipeline.placement import assign_lanes, place, require_feasible, require_lanes
from pipeline.randomness import Draws
from schemas.scene import SceneSpec


class Layout:
    """Lays out the clips of a scene by the law that its recipe asks for.

    Args:
        spec: the scene's lengths.
        polyphony: how many clips may sound at once.
        worst_pinned: half-open spans of the pinned events with their longest clips.

    Attributes:
        rooms: of each place where clips may lie, in samples: what lengths and gaps may add up to.
    """

    def __init__(self, spec: SceneSpec, polyphony: int, worst_pinned: Sequence[Span]) -> None:
        self._spec = spec
        self._among = bool(worst_pinned) and polyphony == 1
        self._first_lane = 1 if worst_pinned and polyphony > 1 else 0
        self._num_lanes = polyphony - self._first_lane
        self._limits = {
            "num_samples": spec.num_samples,
            "min_gap_samples": spec.min_gap_samples,
            "margin_samples": spec.margin_samples,
        }
        gap = spec.min_gap_samples
        if self._among:
            self._worst_windows = free_windows(worst_pinned, **self._limits)
            self.rooms = [stop - start + gap for start, stop in self._worst_windows]
        else:
            whole = spec.num_samples - 2 * spec.margin_samples + gap
            self.rooms = [whole] * self._num_lanes

    def require(self, worst_case: Sequence[int], num_keywords: int) -> None:
        """Refuse a worst case that doesn't fit.

        Args:
            worst_case: lengths, keywords first.
            num_keywords: how many of them are keywords.

        Raises:
            InfeasibleScene: names lengths, need and room.
        """
        spec = self._spec
        if self._among:
            windows = self._worst_windows
            count = num_layouts(worst_case, windows, min_gap_samples=spec.min_gap_samples)
            require_layouts(count, worst_case, windows)
        elif self._num_lanes == 1:
            require_feasible(
                worst_case,
                tail_samples=spec.tail_samples,
                num_tailed=num_keywords,
                sample_rate_hz=spec.sample_rate_hz,
                **self._limits,
            )
        else:
            require_lanes(
                worst_case,
                num_lanes=self._num_lanes,
                sample_rate_hz=spec.sample_rate_hz,
                **self._limits,
            )

    def draw(
        self,
        draws: Draws,
        lengths: Sequence[int],
        num_keywords: int,
        pinned: Sequence[Span],
        places: Sequence[int],
    ) -> tuple[list[int], list[int]]:
        """Return track and onset of each free clip; pinned events are on track 0.

        Args:
            draws: random numbers.
            lengths: of the free clips, keywords first.
            num_keywords: how many of them are keywords.
            pinned: half-open spans of this scene's pinned events.
            places: lane of each clip, where the law of clips chose it; else it is drawn here.

        Raises:
            InfeasibleScene: the clips don't fit.
        """
        spec = self._spec
        if self._among:
            onsets = place_among_pinned(lengths, pinned, draws=draws, **self._limits)
            return [0] * len(lengths), onsets
        if self._num_lanes == 1:
            onsets = place(
                lengths,
                draws=draws,
                tail_samples=spec.tail_samples,
                num_tailed=num_keywords,
                sample_rate_hz=spec.sample_rate_hz,
                **self._limits,
            )
            return [self._first_lane] * len(lengths), onsets
        lanes = list(places) or assign_lanes(
            lengths,
            num_lanes=self._num_lanes,
            room_samples=self.rooms[0],
            gap_samples=spec.min_gap_samples,
            draws=draws,
        )
        onsets = [0] * len(lengths)
        for lane in range(self._num_lanes):
            inside = [i for i, of in enumerate(lanes) if of == lane]
            placed = place([lengths[i] for i in inside], draws=draws, **self._limits)
            for i, onset in zip(inside, placed, strict=True):
                onsets[i] = onset
        return [self._first_lane + lane for lane in lanes], onsets
