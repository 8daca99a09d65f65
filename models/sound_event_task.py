"""A detector that is judged by sound events: `evaluation: {measure: sound_events}`.

It is fitted like any detector; the best epoch is that of the highest macro F1 on validation, each
class at the threshold that is best for it there.
"""

from __future__ import annotations

from pathlib import Path

import tf_keras as keras

from models.detection_task import DetectionTask
from models.event_f1 import micro
from models.sound_event_judging import choose, clock_of
from models.task import Judgement
from schemas.errors import RecipeError
from schemas.recipe import Recipe, SoundEvents


class SoundEventTask(DetectionTask):
    """As DetectionTask, which says what it takes.

    Raises:
        RecipeError: the recipe is judged by something else.
    """

    def __init__(self, recipe: Recipe, data: str, cache: Path | None = None) -> None:
        if not isinstance(recipe.evaluation, SoundEvents):
            raise RecipeError(
                f"evaluation.measure is {recipe.evaluation.measure}", expected="sound_events"
            )
        super().__init__(recipe, data, cache)
        self._judging = recipe.evaluation

    def judge(self, network: keras.Model) -> Judgement:
        """Find and count events on the validation split."""
        recordings = self._scored(network)
        clock = clock_of(self._detector, self._judging, self.recipe.training.label_window)
        choice = choose(recordings, self._detector.labels, clock, self._judging)
        together = micro(choice.counts.values())
        values = {
            "macro_f1": choice.macro_f1,
            "precision": together.precision,
            "recall": together.recall if together.num_reference else 0.0,
        }
        remark = (
            f"macro event F1 {100 * choice.macro_f1:.1f} % on validation "
            f"({together.num_reference} events)"
        )
        return Judgement(1.0 - choice.macro_f1, values, remark)
