"""From an address to a ScenePlan. Planning reads no audio: lengths and levels come from the index.

Levels. A scene draws L uniformly in `level_dbfs`; its backgrounds together lie at B = L −
max(snr_db) (active level, activity.py), and each event gets an SNR drawn in `snr_db`, which
rendering sets against the background under it. B does not depend on whether a scene has events,
so loudness can't tell a full scene from an empty one.

Clips. A keyword's label is drawn uniformly, then one of its clips. Negatives are drawn by
`negative_shares` where given. Within that, and for backgrounds, a folder of the recipe has a
weight proportional to the square root of its number of clips, so that a folder of thousands
doesn't drown one of hundreds, nor a handful be heard too often.

Backgrounds are drawn by background_planner.py.

Draws, in this order from one stream: counts and clips (feasibility.py); level and backgrounds; for
each clip its SNR and effects; the layout (placement.py); ambient events; the channel.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.background_planner import BackgroundPlanner
from pipeline.clip_choice import (
    CountChoice,
    FloatArray,
    between,
    choose,
    cumulated,
    folder_weights,
    label_weights,
)
from pipeline.feasibility import ClipPool, CountLaw, worst_case
from pipeline.placement import assign_lanes, place, require_feasible, require_lanes
from pipeline.randomness import Draws, Purpose, Streams
from schemas.clips import Clip
from schemas.effects import EFFECTS, AppliedEffect, effected_length, scaled_length
from schemas.errors import InfeasibleScene, MaterialError
from schemas.recipe import EffectRanges, Recipe
from schemas.scene import Overlay, PlacedEvent, ScenePlan, SceneSpec
from schemas.units import seconds_to_samples

FADE_S = 0.005
_PLACES = 10**6


class ScenePlanner:
    """Plans the scenes of one split.

    Args:
        recipe: what to plan.
        clips: the split's clips of all roles.
        split: its name.

    Attributes:
        spec: the scene's lengths in samples.
        worst_case: lengths of the most and longest clips that may be drawn.
        never_placed: clips that fit into no scene.

    Raises:
        MaterialError: a role that scenes need has no clip in this split, or nothing can fit.
        InfeasibleScene: `on_infeasible` is `refuse` and the worst case doesn't fit.
    """

    def __init__(self, recipe: Recipe, clips: Sequence[Clip], split: str) -> None:
        scene = recipe.scene
        self._scene, self._split = scene, split
        self.spec = SceneSpec.of(recipe)
        self._streams = Streams(recipe.seed, Purpose.SCENE, split)
        by_role = {
            role: [clip for clip in clips if clip.role == role]
            for role in ("keyword", "negative", "background", "room")
        }
        self._clips = by_role["keyword"], by_role["negative"]
        self._ambient: list[Clip] = []
        if scene.num_ambient is not None:
            self._ambient = [c for c in by_role["negative"] if c.kind == "ambient"]
            self._clips = by_role["keyword"], [c for c in self._clips[1] if c.kind != "ambient"]
        self._backgrounds, self._rooms = by_role["background"], by_role["room"]
        self._talkers = [c for c in by_role["negative"] if c.kind == "speech"]
        self._require_material()
        self._under = BackgroundPlanner(scene, self.spec, self._backgrounds, self._talkers)
        self._limits = {
            "num_samples": self.spec.num_samples,
            "min_gap_samples": self.spec.min_gap_samples,
            "margin_samples": self.spec.margin_samples,
            "sample_rate_hz": self.spec.sample_rate_hz,
        }
        self._prepare_law()
        self._prepare_ambient()
        self._fade = seconds_to_samples(FADE_S, self.spec.sample_rate_hz)
        self._overlay = None
        if scene.overlay is not None:
            self._overlay = Overlay(scene.overlay.background_gain_db, scene.overlay.final_dbfs)
            self._fade = 0

    @property
    def fit_probability(self) -> float:
        """Probability that counts and clips drawn without any condition fit."""
        return self._law.fit_probability

    def plan(self, index: int) -> ScenePlan:
        """Return the plan at (recipe, bank, seed, split, `index`); the same one every time."""
        draws = self._streams.at(index)
        scene, spec = self._scene, self.spec
        drawn = self._law.draw(draws)
        clips = [self._clips[0][i] for i in drawn.keywords]
        clips += [self._clips[1][i] for i in drawn.negatives]
        level = between(scene.level_dbfs, draws.uniform())
        backgrounds, background_dbfs = self._under.draw(draws, level - scene.snr_db[1])
        facts = [self._draw_event(draws, clip) for clip in clips]
        lengths = [fact[2] for fact in facts]
        tracks, onsets = self._lay_out(draws, lengths, len(drawn.keywords))
        if self._ambient:
            count = self._num_ambient(draws.uniform())
            for i in range(count):
                clip = self._ambient[choose(self._ambient_choice, draws.uniform())]
                fact = self._draw_event(draws, clip)
                clips.append(clip)
                facts.append(fact)
                onsets.append(draws.below(spec.num_samples - fact[2] + 1))
                tracks.append(scene.polyphony + i)
        events = [
            PlacedEvent(
                clip.clip_id, clip.label, clip.kind, onset, length, snr, 0.0, effects, track
            )
            for clip, (snr, effects, length), onset, track in zip(
                clips, facts, onsets, tracks, strict=True
            )
        ]
        events.sort(key=_by_onset)
        return ScenePlan(
            split=self._split,
            index=index,
            sample_rate_hz=spec.sample_rate_hz,
            num_samples=spec.num_samples,
            backgrounds=backgrounds,
            background_dbfs=background_dbfs,
            events=tuple(events),
            channel=self._draw_effects(draws, scene.channel) if scene.channel else (),
            fade_samples=self._fade,
            overlay=self._overlay,
        )

    def _draw_event(
        self, draws: Draws, clip: Clip
    ) -> tuple[float | None, tuple[AppliedEffect, ...], int]:
        """SNR, effects and the length after them."""
        scene = self._scene
        snr = None
        if self._overlay is None:
            snr = round(between(scene.snr_db, draws.uniform()), 3)
        if not scene.effects:
            return snr, (), clip.num_samples
        effects = self._draw_effects(draws, scene.effects)
        return snr, effects, effected_length(clip.num_samples, effects)

    def _draw_effects(self, draws: Draws, ranges: EffectRanges) -> tuple[AppliedEffect, ...]:
        effects = []
        for name, wanted in ranges.items():
            if wanted.probability < 1.0 and draws.uniform() >= wanted.probability:
                continue
            effect = EFFECTS[name]
            value = effect.draw(*wanted.range, draws.uniform())
            place = draws.below(_PLACES) / _PLACES if effect.placed else 0.0
            source = ""
            if effect.needs_room:
                source = self._rooms[draws.below(len(self._rooms))].clip_id
            effects.append(AppliedEffect(name, value, place, source))
        return tuple(effects)

    def _lay_out(
        self, draws: Draws, lengths: list[int], num_keywords: int
    ) -> tuple[list[int], list[int]]:
        """Track and onset of each clip."""
        spec, lanes = self.spec, self._scene.polyphony
        if lanes == 1:
            tail = spec.tail_samples
            onsets = place(
                lengths, draws=draws, tail_samples=tail, num_tailed=num_keywords, **self._limits
            )
            return [0] * len(lengths), onsets
        tracks = assign_lanes(
            lengths,
            num_lanes=lanes,
            room_samples=self._room,
            gap_samples=spec.min_gap_samples,
            draws=draws,
        )
        onsets = [0] * len(lengths)
        for lane in range(lanes):
            inside = [i for i, track in enumerate(tracks) if track == lane]
            placed = place([lengths[i] for i in inside], draws=draws, **self._limits)
            for i, onset in zip(inside, placed, strict=True):
                onsets[i] = onset
        return tracks, onsets

    def _prepare_law(self) -> None:
        """Set up counts and clips; refuse what the recipe says to refuse."""
        scene, spec = self._scene, self.spec
        weights = (label_weights(self._clips[0]), self._negative_weights(self._clips[1]))
        pools = tuple(
            ClipPool(
                np.array([self._longest_length(clip) for clip in of], dtype=np.int64),
                weight,
            )
            for of, weight in zip(self._clips, weights, strict=True)
        )
        counts = (scene.num_keywords, scene.num_negatives)
        self.worst_case = worst_case(pools, counts)
        fits = True
        try:
            if scene.polyphony == 1:
                require_feasible(
                    self.worst_case,
                    tail_samples=spec.tail_samples,
                    num_tailed=len(worst_case(pools[:1], counts[:1])),
                    **self._limits,
                )
            else:
                require_lanes(self.worst_case, num_lanes=scene.polyphony, **self._limits)
        except InfeasibleScene:
            if scene.on_infeasible == "refuse":
                raise
            fits = False
        self._room = spec.num_samples - 2 * spec.margin_samples + spec.min_gap_samples
        room = self._room
        if scene.polyphony > 1:
            # The most that any order of clips can be given lanes for: see placement.py.
            costs = [c for p in pools for c in (p.lengths + spec.min_gap_samples).tolist()]
            longest = max((cost for cost in costs if cost <= room), default=0)
            room = scene.polyphony * (room + 1) - (scene.polyphony - 1) * longest - 1
            pools = tuple(_without_longer(p, self._room - spec.min_gap_samples) for p in pools)
        self._law = CountLaw(
            *pools,
            num_keywords=counts[0],
            num_negatives=counts[1],
            room_samples=room,
            gap_samples=spec.min_gap_samples,
            tail_samples=max(0, spec.tail_samples - spec.margin_samples),
            tick_samples=max(1, spec.sample_rate_hz // 1000),
            conditional=not fits,
        )
        self.never_placed = tuple(
            clip
            for role, clips in enumerate(self._clips)
            for clip, drawn in zip(clips, self._law.can_be_drawn(role), strict=True)
            if counts[role].range[1] and not drawn
        )

    def _prepare_ambient(self) -> None:
        wanted, n = self._scene.num_ambient, self.spec.num_samples
        fitting = [clip for clip in self._ambient if self._longest_length(clip) <= n]
        self.never_placed += tuple(c for c in self._ambient if self._longest_length(c) > n)
        self._ambient = fitting if wanted is not None and wanted.range[1] else []
        if self._ambient and wanted is not None:
            self._ambient_choice = cumulated(folder_weights(self._ambient))
            self._num_ambient = CountChoice(wanted)

    def _longest_length(self, clip: Clip) -> int:
        """Length of a clip at the slowest speed and tempo that may be drawn."""
        effects = self._scene.effects
        slowest = scaled_length(clip.num_samples, _least(effects, "speed"))
        return scaled_length(slowest, _least(effects, "tempo"))

    def _negative_weights(self, clips: Sequence[Clip]) -> FloatArray:
        shares = self._scene.negative_shares
        if shares is None or not clips:
            return folder_weights(clips)
        kinds = sorted({clip.kind for clip in clips})  # summed in an order of its own, always
        total = sum(shares.get(kind, 0.0) for kind in kinds)  # type: ignore[call-overload]
        if total <= 0.0:
            raise MaterialError(
                f"split {self._split!r} has negatives of kind {', '.join(kinds)} only",
                expected=f"some of {', '.join(shares)}, as scene.negative_shares says",
            )
        weights = np.zeros(len(clips))
        for kind in kinds:
            of = [i for i, clip in enumerate(clips) if clip.kind == kind]
            share = shares.get(kind, 0.0) / total  # type: ignore[call-overload]
            weights[of] = share * folder_weights([clips[i] for i in of])
        return weights

    def _require_material(self) -> None:
        scene = self._scene
        needs = [
            ("keyword", "keyword", self._clips[0], scene.num_keywords.range[1]),
            ("negative", "negative", self._clips[1], scene.num_negatives.range[1]),
            ("background", "background", self._backgrounds, 1),
            (
                "room",
                "effects.room",
                self._rooms,
                int("room" in {**scene.effects, **scene.channel}),
            ),
            ("speech negative", "babble", self._talkers, int(scene.babble is not None)),
        ]
        if scene.num_ambient is not None:
            needs.append(("ambient negative", "ambient", self._ambient, scene.num_ambient.range[1]))
        for name, key, clips, most in needs:
            if not most or clips:
                continue
            instead = f"or set scene.num_{key}{'' if key == 'ambient' else 's'} to [0, 0]"
            raise MaterialError(
                f"split {self._split!r} has no {name} clip",
                expected=f"at least one, because scenes draw up to {most}",
                fix=f"add {name} recordings by more speakers or sources, change the shares under "
                f"splits, {instead}"
                if key in ("keyword", "negative", "ambient")
                else f"add {name} recordings or change the shares under splits",
            )


def _by_onset(event: PlacedEvent) -> int:
    return event.onset_samples


def _least(ranges: EffectRanges, name: str) -> float:
    """The slowest that an effect may make a clip; 1 where it may be left out."""
    if name not in ranges:
        return 1.0
    low = ranges[name].range[0]
    return low if ranges[name].probability == 1.0 else min(1.0, low)


def _without_longer(pool: ClipPool, most: int) -> ClipPool:
    weights = np.where(pool.lengths <= most, pool.weights, 0.0)
    total = float(weights.sum())
    return ClipPool(pool.lengths, weights / total if total else weights)
