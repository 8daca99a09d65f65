"""What lies under a scene: windows of long recordings, short ones joined, several layers, babble.

A clip longer than the scene gives a window at a uniform offset. A shorter one is begun at a uniform
offset and joined, with equal power over 50 ms, to others of its own folder. Layers share the level
of the backgrounds equally; babble is a number of talkers, each a chain of other speech.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pipeline.clip_choice import CountChoice, between, choose, cumulated, folder_weights
from pipeline.randomness import Draws
from schemas.clips import Clip
from schemas.recipe import Scene
from schemas.scene import BackgroundPiece, SceneSpec
from schemas.units import seconds_to_samples

CROSSFADE_S = 0.05


class BackgroundPlanner:
    """Draws the backgrounds of one split's scenes.

    Args:
        scene: the recipe's section.
        spec: the same in samples.
        backgrounds: at least one clip.
        talkers: speech for babble; at least one if the scene asks for it.
    """

    def __init__(
        self,
        scene: Scene,
        spec: SceneSpec,
        backgrounds: Sequence[Clip],
        talkers: Sequence[Clip],
    ) -> None:
        self._backgrounds, self._talkers = backgrounds, talkers
        self._babble = scene.babble
        self._as_recorded = scene.overlay is not None
        self._num_samples = spec.num_samples
        self._crossfade = seconds_to_samples(CROSSFADE_S, spec.sample_rate_hz)
        self._count = CountChoice(scene.num_backgrounds)
        self._choice = cumulated(folder_weights(backgrounds))
        self._folders: dict[str, list[Clip]] = {}
        for clip in backgrounds:
            self._folders.setdefault(_folder(clip), []).append(clip)
        if self._babble is not None:
            self._num_talkers = CountChoice(self._babble.num_talkers)

    def draw(self, draws: Draws, level_dbfs: float) -> tuple[tuple[BackgroundPiece, ...], float]:
        """Return the pieces of all layers, and the level that they have together.

        Args:
            draws: random numbers.
            level_dbfs: of the backgrounds together, babble aside.
        """
        layers = self._count(draws.uniform())
        each = level_dbfs - 10.0 * math.log10(layers)
        pieces: list[BackgroundPiece] = []
        for _ in range(layers):
            clip = self._backgrounds[choose(self._choice, draws.uniform())]
            siblings = self._folders[_folder(clip)]
            pieces += self._chain(draws, clip, siblings, each)
        babble = self._babble
        if babble is not None and draws.uniform() < babble.probability:
            talkers = self._num_talkers(draws.uniform())
            louder = round(between(babble.level_db, draws.uniform()), 3)
            for _ in range(talkers):
                clip = self._talkers[draws.below(len(self._talkers))]
                level = level_dbfs + louder - 10.0 * math.log10(talkers)
                pieces += self._chain(draws, clip, self._talkers, level)
            level_dbfs += 10.0 * math.log10(1.0 + 10.0 ** (louder / 10.0))
        return tuple(pieces), round(level_dbfs, 3)

    def _chain(
        self, draws: Draws, clip: Clip, siblings: Sequence[Clip], level_dbfs: float
    ) -> list[BackgroundPiece]:
        """One layer: a window of a long clip, or short ones joined end to end."""
        n = self._num_samples
        if clip.num_samples >= n:
            offset = draws.below(clip.num_samples - n + 1)
            gain_db = self._gain(level_dbfs, clip)
            return [BackgroundPiece(clip.clip_id, offset, 0, n, gain_db)]
        pieces = []
        position = fade_in = 0
        offset = draws.below(clip.num_samples)
        while True:
            length = min(clip.num_samples - offset, n - position)
            last = position + length >= n
            following = clip if last else siblings[draws.below(len(siblings))]
            shortest = min(length - fade_in, following.num_samples // 2)
            fade_out = 0 if last else max(0, min(self._crossfade, shortest))
            gain_db = self._gain(level_dbfs, clip)
            pieces.append(
                BackgroundPiece(clip.clip_id, offset, position, length, gain_db, fade_in, fade_out)
            )
            if last:
                return pieces
            position += length - fade_out
            clip, offset, fade_in = following, 0, fade_out

    def _gain(self, level_dbfs: float, clip: Clip) -> float:
        return 0.0 if self._as_recorded else round(level_dbfs - clip.level_dbfs, 3)


def _folder(clip: Clip) -> str:
    return clip.clip_id.rsplit("/", 1)[0]
