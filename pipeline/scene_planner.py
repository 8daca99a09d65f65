"""From an address to a ScenePlan. Planning reads no audio: lengths and levels come from the index.

Levels. A scene draws L uniformly in `level_dbfs` (or `level_lufs`); its backgrounds together lie at
B = L − max(snr_db) (active level, activity.py, or loudness.py), and each event gets an SNR drawn in
`snr_db`, which rendering sets against the background under it. With `event_level` events are as
loud as that says, and B = L. B never depends on whether a scene has events, so the background can't
tell a full scene from an empty one.

Clips. A keyword's label is drawn uniformly, then one of its clips. Negatives are drawn by
`negative_shares` where given. Within that, and for backgrounds, a folder of the recipe has a
weight proportional to the square root of its number of clips, so that a folder of thousands
doesn't drown one of hundreds, nor a handful be heard too often.

Backgrounds are drawn by background_planner.py.

Draws, in this order from one stream: counts and clips (feasibility.py); level and backgrounds;
pinned events; for each clip its level and effects; the layout (layout.py); ambient events; the
channel.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.background_planner import BackgroundPlanner
from pipeline.clip_choice import (
    CountChoice,
    between,
    choose,
    cumulated,
    folder_weights,
    label_weights,
)
from pipeline.feasibility import ClipPool, CountLaw, worst_case
from pipeline.layout import Layout
from pipeline.pinned_events import PinnedEvents
from pipeline.randomness import Draws, Purpose, Streams
from pipeline.scene_material import SceneMaterial
from pipeline.slot_law import SlotLaw
from schemas.clips import Clip
from schemas.effects import EFFECTS, AppliedEffect, effected_length, scaled_length
from schemas.errors import InfeasibleScene
from schemas.recipe import EffectRanges, Recipe
from schemas.scene import BackgroundUnit, LevelUnit, Overlay, PlacedEvent, ScenePlan, SceneSpec
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
        odd_keywords: those of a length that the recipe doesn't want to train with.
        event_unit: of the levels of events.

    Raises:
        MaterialError: a role that scenes need has no clip in this split, or nothing can fit.
        InfeasibleScene: `on_infeasible` is `refuse` and the worst case doesn't fit.
    """

    def __init__(self, recipe: Recipe, clips: Sequence[Clip], split: str) -> None:
        scene = recipe.scene
        self._scene, self._split = scene, split
        self._refuses = scene.on_infeasible == "refuse"
        self.spec = SceneSpec.of(recipe)
        self._streams = Streams(recipe.seed, Purpose.SCENE, split)
        self._material = SceneMaterial.of(scene, clips, split)
        self.odd_keywords = tuple(self._material.odd_keywords)
        self._under = BackgroundPlanner(
            scene, self.spec, self._material.backgrounds, self._material.talkers
        )
        self._pinned = PinnedEvents(
            scene,
            self.spec,
            self._material.keywords + self._material.negatives + self._material.ambient,
            self._longest_length,
            split,
        )
        self._layout = Layout(self.spec, scene.polyphony, self._pinned.worst_spans)
        self._prepare_law()
        self._prepare_ambient()
        self._prepare_levels()
        self._fade = seconds_to_samples(FADE_S, self.spec.sample_rate_hz)
        self._overlay = None
        if scene.overlay is not None:
            self._overlay = Overlay(scene.overlay.background_gain_db, scene.overlay.final_dbfs)
            self._fade = 0

    @property
    def fit_probability(self) -> float:
        """Probability that counts and clips drawn without any condition fit.

        Exact for one lane; for several places an estimate from below (slot_law.py).
        """
        return self._law.fit_probability

    def plan(self, index: int) -> ScenePlan:
        """Return the plan at (recipe, bank, seed, split, `index`); the same one every time."""
        draws = self._streams.at(index)
        scene, spec, material = self._scene, self.spec, self._material
        drawn = self._law.draw(draws)
        clips = [material.keywords[i] for i in drawn.keywords]
        clips += [material.negatives[i] for i in drawn.negatives]
        level = between(self._levels, draws.uniform())
        backgrounds, background_db = self._under.draw(draws, level - self._below_db)
        pinned = self._pinned.draw(draws)
        facts = [self._draw_event(draws, clip) for clip in clips]
        pinned_facts = [self._draw_event(draws, clip) for clip, _ in pinned]
        tracks, onsets = self._layout.draw(
            draws,
            [length for _, _, length in facts],
            len(drawn.keywords),
            [(at, at + fact[2]) for (_, at), fact in zip(pinned, pinned_facts, strict=True)],
            drawn.places,
        )
        for (clip, onset), fact in zip(pinned, pinned_facts, strict=True):
            clips.append(clip)
            facts.append(fact)
            onsets.append(onset)
            tracks.append(0)
        if self._ambient:
            count = self._num_ambient(draws.uniform())
            for i in range(count):
                clip = self._ambient[choose(self._ambient_choice, draws.uniform())]
                fact = self._draw_event(draws, clip)
                clips.append(clip)
                facts.append(fact)
                onsets.append(draws.below(spec.num_samples - fact[2] + 1))
                tracks.append(scene.polyphony + i)
        unit = self.event_unit
        events = [
            PlacedEvent(clip.clip_id, clip.label, clip.kind, onset, n, at, unit, effects, track)
            for clip, (at, effects, n), onset, track in zip(
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
            background_db=background_db,
            background_unit=self._background_unit,
            events=tuple(events),
            channel=self._draw_effects(draws, scene.channel) if scene.channel else (),
            fade_samples=self._fade,
            overlay=self._overlay,
        )

    def _draw_event(self, draws: Draws, clip: Clip) -> tuple[float, tuple[AppliedEffect, ...], int]:
        """Level, effects and the length after them."""
        level_db = 0.0
        if self._scene.overlay is None:
            level_db = round(between(self._event_levels, draws.uniform()), 3)
        if not self._scene.effects:
            return level_db, (), clip.num_samples
        effects = self._draw_effects(draws, self._scene.effects)
        return level_db, effects, effected_length(clip.num_samples, effects)

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
                rooms = self._material.rooms
                source = rooms[draws.below(len(rooms))].clip_id
            effects.append(AppliedEffect(name, value, place, source))
        return tuple(effects)

    def _prepare_law(self) -> None:
        """Set up counts and clips; refuse what the recipe says to refuse."""
        scene, spec, material = self._scene, self.spec, self._material
        of = (material.keywords, material.negatives)
        weights = (label_weights(material.keywords), material.negative_weights(scene))
        pools = tuple(
            ClipPool(np.array([self._longest_length(c) for c in clips], dtype=np.int64), weight)
            for clips, weight in zip(of, weights, strict=True)
        )
        counts = (scene.num_keywords, scene.num_negatives)
        self.worst_case = worst_case(pools, counts)
        fits = True
        try:
            self._layout.require(self.worst_case, len(worst_case(pools[:1], counts[:1])))
        except InfeasibleScene:
            if self._refuses:
                raise
            fits = False
        self._law: CountLaw | SlotLaw
        if fits or len(self._layout.rooms) == 1:
            self._law = CountLaw(
                *pools,
                num_keywords=counts[0],
                num_negatives=counts[1],
                room_samples=self._layout.rooms[0],
                gap_samples=spec.min_gap_samples,
                tail_samples=max(0, spec.tail_samples - spec.margin_samples),
                tick_samples=max(1, spec.sample_rate_hz // 1000),
                conditional=not fits,
            )
        else:
            self._law = SlotLaw(
                *pools,
                num_keywords=counts[0],
                num_negatives=counts[1],
                rooms=self._layout.rooms,
                gap_samples=spec.min_gap_samples,
            )
        self.never_placed = tuple(
            clip
            for role, clips in enumerate(of)
            for clip, drawn in zip(clips, self._law.can_be_drawn(role), strict=True)
            if counts[role].range[1] and not drawn
        )
        for role, clips in enumerate(of):
            if not counts[role].range[1]:
                self.never_placed += tuple(c for c in self._pinned.left_out if c in clips)

    def _prepare_ambient(self) -> None:
        wanted, n = self._scene.num_ambient, self.spec.num_samples
        every = self._material.ambient
        self.never_placed += tuple(clip for clip in every if self._longest_length(clip) > n)
        self._ambient = [clip for clip in every if self._longest_length(clip) <= n]
        if wanted is None or not wanted.range[1]:
            self._ambient = []
        elif len(self._ambient) < len(every if self._refuses else every[:1]):
            raise InfeasibleScene(
                f"{len(every) - len(self._ambient)} of {len(every)} ambient clips are longer than "
                "the scene at their slowest",
                fix="use shorter ambient clips, a longer scene (scene.duration_s), or "
                "scene.on_infeasible: condition, which leaves long ones out",
            )
        if self._ambient and wanted is not None:
            self._ambient_choice = cumulated(folder_weights(self._ambient))
            self._num_ambient = CountChoice(wanted)

    def _prepare_levels(self) -> None:
        scene = self._scene
        self._levels = scene.level_lufs or scene.level_dbfs
        self._background_unit: BackgroundUnit = "lufs" if scene.level_lufs else "dbfs"
        self.event_unit: LevelUnit = "snr_db"
        self._event_levels, self._below_db = scene.snr_db, scene.snr_db[1]
        if scene.event_level is not None:
            self.event_unit = scene.event_level.unit
            self._event_levels, self._below_db = scene.event_level.range, 0.0
        if scene.overlay is not None:
            self.event_unit = "gain_db"

    def _longest_length(self, clip: Clip) -> int:
        """Length of a clip at the slowest speed and tempo that may be drawn."""
        effects = self._scene.effects
        slowest = scaled_length(clip.num_samples, _least(effects, "speed"))
        return scaled_length(slowest, _least(effects, "tempo"))


def _by_onset(event: PlacedEvent) -> int:
    return event.onset_samples


def _least(ranges: EffectRanges, name: str) -> float:
    """The slowest that an effect may make a clip; 1 where it may be left out."""
    if name not in ranges:
        return 1.0
    low = ranges[name].range[0]
    return low if ranges[name].probability == 1.0 else min(1.0, low)
