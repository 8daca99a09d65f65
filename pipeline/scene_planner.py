"""From an address to a ScenePlan. Planning reads no audio: lengths and levels come from the index.

Levels. A scene draws L uniformly in `level_dbfs`; its background lies at B = L − max(snr_db),
and each event, with its own SNR s drawn in `snr_db`, at B + s, never above L. B does not depend on
whether a scene has events, so loudness can't tell a full scene from an empty one. Both levels
are RMS over active frames (activity.py), so an SNR here is active speech against active noise.

Headroom. The largest sum of an event's peak and the background's peak is known from the index,
with 3 dB allowed for the overshoot of resampling and for the seam of a background that wraps
round (exact there: two equal-power ramps sum to √2 at most). Where the sum would pass full scale
the whole scene is turned down by `headroom_db`, which the plan records, instead of clipping.

Clips. A keyword's label is drawn uniformly, then one of its clips. Negatives and backgrounds are
drawn from each folder of the recipe in proportion to the square root of its number of clips, so
that a folder of thousands doesn't drown one of hundreds, nor a handful be heard too often.

Draws, in this order and from one generator: counts and clips (feasibility.py); then one block of
uniform numbers (level, background, and for each clip its SNR and speed); then one block of
integers for the layout (placement.py) and one for the background's offset.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from pipeline.feasibility import ClipPool, CountLaw, FloatArray, choose, worst_case
from pipeline.placement import place, require_feasible, slack
from pipeline.randomness import Purpose, generator
from schemas.clips import Clip
from schemas.effects import scaled_length
from schemas.errors import MaterialError
from schemas.recipe import Recipe
from schemas.scene import BackgroundWindow, PlacedEvent, ScenePlan, SceneSpec
from schemas.units import FULL_SCALE, db_to_gain, gain_to_db, seconds_to_samples

FADE_S = 0.005
CROSSFADE_S = 0.05
_SPEED_STEPS = 100
_PEAK_ALLOWANCE = math.sqrt(2.0)
_PEAK_LIMIT = 0.999 * FULL_SCALE


class ScenePlanner:
    """Plans the scenes of one split.

    Args:
        recipe: what to plan.
        clips: the split's clips, keywords, negatives and backgrounds together.
        split: its name.

    Raises:
        MaterialError: a role that scenes need has no clip in this split, or nothing can fit.
        InfeasibleScene: `on_infeasible` is `refuse` and the worst case doesn't fit.
    """

    def __init__(self, recipe: Recipe, clips: Sequence[Clip], split: str) -> None:
        self._recipe = recipe
        self._split = split
        self.spec = SceneSpec.of(recipe)
        by_role = {
            role: [clip for clip in clips if clip.role == role]
            for role in ("keyword", "negative", "background")
        }
        self._keywords, self._negatives = by_role["keyword"], by_role["negative"]
        self._backgrounds = by_role["background"]
        self._require_material()
        weights = _folder_weights(self._backgrounds)
        self._background_cumulative = np.cumsum(weights)
        self._speed_percents = _percents(recipe.scene.effects.speed)
        pools = (
            self._pool(self._keywords, _label_weights(self._keywords)),
            self._pool(self._negatives, _folder_weights(self._negatives)),
        )
        counts = (recipe.scene.num_keywords, recipe.scene.num_negatives)
        self.worst_case = worst_case(pools, counts)
        spec = self.spec
        room = spec.num_samples - 2 * spec.margin_samples + spec.min_gap_samples
        fits = (
            slack(
                self.worst_case,
                num_samples=spec.num_samples,
                min_gap_samples=spec.min_gap_samples,
                margin_samples=spec.margin_samples,
            )
            >= 0
        )
        if not fits and recipe.scene.on_infeasible == "refuse":
            self._refuse()
        self._law = CountLaw(
            *pools,
            num_keywords=counts[0],
            num_negatives=counts[1],
            room_samples=room,
            gap_samples=spec.min_gap_samples,
            tick_samples=max(1, spec.sample_rate_hz // 1000),
            conditional=not fits,
        )
        self.never_placed = tuple(
            clip
            for role, clips in enumerate((self._keywords, self._negatives))
            for clip, drawn in zip(clips, self._law.can_be_drawn(role), strict=True)
            if counts[role].range[1] and not drawn
        )

    @property
    def fit_probability(self) -> float:
        """Probability that counts and clips drawn without any condition fit."""
        return self._law.fit_probability

    def plan(self, index: int) -> ScenePlan:
        """Return the plan at (recipe, bank, seed, split, `index`); the same one every time."""
        rng = generator(self._recipe.seed, Purpose.SCENE, self._split, index)
        scene, spec = self._recipe.scene, self.spec
        drawn = self._law.draw(rng)
        clips = [self._keywords[i] for i in drawn.keywords]
        clips += [self._negatives[i] for i in drawn.negatives]
        numbers = rng.random(2 + 2 * len(clips)).tolist()
        level = _between(scene.level_dbfs, numbers[0])
        background_level = level - scene.snr_db[1]
        background = self._backgrounds[choose(self._background_cumulative, numbers[1])]
        snrs = [round(_between(scene.snr_db, u), 3) for u in numbers[2::2]]
        speeds = [self._speed(u) for u in numbers[3::2]]
        lengths = [
            scaled_length(clip.num_samples, speed)
            for clip, speed in zip(clips, speeds, strict=True)
        ]
        onsets = place(
            lengths,
            num_samples=spec.num_samples,
            rng=rng,
            min_gap_samples=spec.min_gap_samples,
            margin_samples=spec.margin_samples,
            sample_rate_hz=spec.sample_rate_hz,
        )
        starts = background.num_samples - spec.num_samples + 1
        offset = int(rng.integers(starts if starts > 0 else background.num_samples))
        gains = [
            round(background_level + snr - clip.level_dbfs, 3)
            for clip, snr in zip(clips, snrs, strict=True)
        ]
        background_gain = round(background_level - background.level_dbfs, 3)
        events = [
            PlacedEvent(
                source=clip.clip_id,
                label=clip.label,
                kind=clip.kind,
                onset_samples=onset,
                num_samples=length,
                gain_db=gain,
                snr_db=snr,
                speed=speed,
            )
            for clip, onset, length, gain, snr, speed in zip(
                clips, onsets, lengths, gains, snrs, speeds, strict=True
            )
        ]
        peaks = [
            clip.peak * db_to_gain(gain) * (_PEAK_ALLOWANCE if speed != 1.0 else 1.0)
            for clip, gain, speed in zip(clips, gains, speeds, strict=True)
        ]
        wraps = _PEAK_ALLOWANCE if starts <= 0 else 1.0
        peak = max(peaks, default=0.0) + background.peak * db_to_gain(background_gain) * wraps
        return ScenePlan(
            split=self._split,
            index=index,
            sample_rate_hz=spec.sample_rate_hz,
            num_samples=spec.num_samples,
            backgrounds=(BackgroundWindow(background.clip_id, offset, background_gain),),
            events=tuple(sorted(events, key=lambda event: event.onset_samples)),
            headroom_db=_headroom_db(peak),
            fade_samples=seconds_to_samples(FADE_S, spec.sample_rate_hz),
            crossfade_samples=seconds_to_samples(CROSSFADE_S, spec.sample_rate_hz),
        )

    def _speed(self, number: float) -> float:
        low, high = self._speed_percents
        return (low + int(number * (high - low + 1))) / _SPEED_STEPS

    def _pool(self, clips: Sequence[Clip], weights: FloatArray) -> ClipPool:
        lengths = [
            scaled_length(clip.num_samples, self._speed_percents[0] / _SPEED_STEPS)
            for clip in clips
        ]
        return ClipPool(np.array(lengths, dtype=np.int64), weights)

    def _require_material(self) -> None:
        scene = self._recipe.scene
        needs = (
            ("keyword", self._keywords, scene.num_keywords.range[1]),
            ("negative", self._negatives, scene.num_negatives.range[1]),
            ("background", self._backgrounds, 1),
        )
        for role, clips, most in needs:
            if most and not clips:
                raise MaterialError(
                    f"split {self._split!r} has no {role} clip",
                    expected=f"at least one, because scenes draw up to {most}",
                    fix=f"add {role} recordings by more speakers or sources, change the shares "
                    f"under splits, or set scene.num_{role}s to [0, 0]"
                    if role != "background"
                    else "add background recordings or change the shares under splits",
                )

    def _refuse(self) -> None:
        require_feasible(
            self.worst_case,
            num_samples=self.spec.num_samples,
            min_gap_samples=self.spec.min_gap_samples,
            margin_samples=self.spec.margin_samples,
            sample_rate_hz=self.spec.sample_rate_hz,
        )


def _percents(speed: tuple[float, float] | None) -> tuple[int, int]:
    """The speeds that may be drawn, in whole percent, inclusive."""
    if speed is None:
        return _SPEED_STEPS, _SPEED_STEPS
    return round(speed[0] * _SPEED_STEPS), round(speed[1] * _SPEED_STEPS)


def _between(bounds: tuple[float, float], number: float) -> float:
    return bounds[0] + number * (bounds[1] - bounds[0])


def _headroom_db(peak: float) -> float:
    """Largest gain ≤ 0 dB, in steps of 0.001 dB, that keeps `peak` below full scale."""
    if peak <= _PEAK_LIMIT:
        return 0.0
    return math.floor(1000.0 * gain_to_db(_PEAK_LIMIT / peak)) / 1000.0


def _label_weights(clips: Sequence[Clip]) -> FloatArray:
    counts = Counter(clip.label for clip in clips)
    return np.array([1.0 / (len(counts) * counts[clip.label]) for clip in clips])


def _folder_weights(clips: Sequence[Clip]) -> FloatArray:
    folders = [clip.clip_id.split("/")[1] for clip in clips]
    counts = Counter(folders)
    total = sum(math.sqrt(count) for count in counts.values())
    return np.array([1.0 / (math.sqrt(counts[folder]) * total) for folder in folders])
