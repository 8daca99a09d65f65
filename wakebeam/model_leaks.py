"""Whether a model was trained, or its threshold chosen, on clips that a stream set is made of.

Where model and stream are of one clip bank and one division into splits, their digests say so: a
test clip isn't a training clip, and making the stream compared the samples too; a stream of another
split is all leak. Otherwise the data set that the model was trained on says, generation by
generation, which clip banks it was made from, and their training and validation clips are compared.
What a model was started from (`training.init_from`) is not looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from beam_jobs.made_from import recipe_and_bank
from beam_jobs.stored import read_dataset
from pipeline.splits import split_clips
from pipeline.stream_leaks import Leak, find_leaks
from schemas.errors import WakebeamError
from schemas.recipe import Recipe
from schemas.stream_set import StreamSet


def leaks_into(
    card: Mapping[str, Any], made: StreamSet, data: str
) -> tuple[list[Leak] | None, str]:
    """Return the leaks and how they were looked for; None where that couldn't be done, and why.

    Args:
        card: of the model.
        made: the stream set.
        data: folder or URI of the data set that it was trained on.
    """
    try:
        recipe, digests = Recipe.model_validate(card["recipe"]), card["dataset"]["recipe_digests"]
    except (KeyError, ValueError, TypeError):
        return None, "not checked: the model's card doesn't say what it was trained on"
    if _of_one_bank(recipe, digests, made):
        split = made.made_from["options"]["split"]
        known = [] if split == "test" else [clip for clip in made.clips if not clip.shared]
        why = f"of split {split} is"
        return [Leak(c.clip_id, c.clip_id, why) for c in known], f"one clip bank, its split {split}"
    try:
        dataset = read_dataset(data)
        generations = list(dataset.generations())[: len(digests)]
        if [manifest.recipe_digest for _, manifest in generations] != digests:
            return None, f"not checked: {data} isn't the data set that the model was trained on"
        leaks: dict[str, Leak] = {}
        for folder, manifest in generations:
            of, bank = recipe_and_bank(folder, manifest, None)
            splits = split_clips(bank.clips, of.splits)
            heard = [*splits["train"], *splits["validation"]]
            leaks |= {leak.clip: leak for leak in find_leaks(made.clips, heard, bank.samples)}
    except WakebeamError as error:
        return None, f"not checked: {error.received}"
    return list(leaks.values()), "by file, samples and speaker"


def _of_one_bank(recipe: Recipe, digests: list[str], made: StreamSet) -> bool:
    splits = recipe.splits.model_dump(mode="json")
    same_splits = splits == made.made_from["splits"]
    return same_splits and set(digests) == {recipe.content_digest(made.made_from["bank"])}
