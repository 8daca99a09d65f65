"""Any example of a recipe, any time, alone: `source[i]` is what a shard holds at i, byte for byte.

Nothing is stored: a scene is planned from its address, rendered from the clip bank and encoded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.clip_bank import ClipBank
from pipeline.example_codec import encode_example
from pipeline.scene_planner import ScenePlanner
from pipeline.scene_renderer import RenderedScene, render_scene
from pipeline.splits import split_clips
from pipeline.tfrecord import Piece, joined
from schemas.errors import RequestError
from schemas.example import LabelledEvent
from schemas.recipe import Recipe
from schemas.scene import ScenePlan


@dataclass(frozen=True)
class SceneExample:
    """One example: its plan, what was rendered, and the record that stores both, in pieces."""

    plan: ScenePlan
    scene: RenderedScene
    pieces: tuple[Piece, ...]

    @property
    def record(self) -> bytes:
        """The record in one piece: a copy."""
        return joined(self.pieces)

    @property
    def events(self) -> tuple[LabelledEvent, ...]:
        """The events as the record labels them."""
        scene = self.scene
        return tuple(
            LabelledEvent(e.onset_samples, e.offset_samples, e.label, e.kind, e.source, gain, snr)
            for e, gain, snr in zip(self.plan.events, scene.gains_db, scene.snrs_db, strict=True)
        )


class SceneSource(Sequence[SceneExample]):
    """The examples of one split, rendered when asked for.

    Args:
        recipe: what to make.
        bank: its clips.
        split: `train`, `validation` or `test`.

    Attributes:
        planner: what plans them.

    Raises:
        MaterialError, InfeasibleScene: the recipe can't be made from this bank.
    """

    def __init__(self, recipe: Recipe, bank: ClipBank, split: str) -> None:
        clips = split_clips(bank.clips, recipe.splits)[split]
        self.planner = ScenePlanner(recipe, clips, split)
        self._bank = bank
        self._encoding = recipe.dataset.encoding
        self._digest = recipe.content_digest(bank.digest)
        self._length = int(getattr(recipe.dataset.num_examples, split))

    def __len__(self) -> int:
        """Examples that the recipe asks for; any other index can be made as well."""
        return self._length

    def __getitem__(self, index: int) -> SceneExample:  # type: ignore[override]
        """Make example `index`, which may lie beyond the end: a data set can grow.

        Raises:
            RequestError: a negative index.
        """
        if index < 0:
            raise RequestError(f"example {index}", expected="an index from 0 on")
        plan = self.planner.plan(index)
        scene = render_scene(plan, self._bank)
        pieces = encode_example(plan, scene, encoding=self._encoding, recipe_digest=self._digest)
        return SceneExample(plan, scene, pieces)
