"""Whether a model was trained, or its threshold chosen, on clips that a stream set is made of.

Where model and stream are of one clip bank and one division into splits, their digests say so: a
test clip isn't a training clip, and making the stream compared the samples too; a stream of another
split is all leak. Otherwise the data set that the model was trained on says, generation by
generation, which clip banks it was made from, and their training and validation clips are compared.
What a model was started from (`training.init_from`) is not looked at.

Any other recording is known by its bytes: as a clip of that material, or by the digest that the
names of clips carry which `wakebeam cut` and `wakebeam mine` took out of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from beam_jobs.made_from import recipe_and_bank
from beam_jobs.stored import read_dataset
from pipeline.clip_bank import ClipBank
from pipeline.splits import split_clips
from pipeline.stream_leaks import Leak, find_leaks
from schemas.clips import Clip
from schemas.errors import DatasetError, WakebeamError
from schemas.recipe import Recipe
from schemas.stream_set import StreamSet
from wakebeam.cutting import SPEAKER_PATTERN, short_digest


class Known(NamedTuple):
    """A clip of a model's material, and the split that it is in."""

    clip_id: str
    split: str


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
        recipe, digests = _recipe_of(card)
        if _of_one_bank(recipe, digests, made):
            split = made.made_from["options"]["split"]
            known = [] if split == "test" else [clip for clip in made.clips if not clip.shared]
            why = f"of split {split} is"
            found = [Leak(c.clip_id, c.clip_id, why) for c in known]
            return found, f"one clip bank, its split {split}"
        leaks: dict[str, Leak] = {}
        for splits, bank in _generations(digests, data):
            heard = [*splits["train"], *splits["validation"]]
            leaks |= {leak.clip: leak for leak in find_leaks(made.clips, heard, bank.samples)}
    except WakebeamError as error:
        return None, f"not checked: {error.received}"
    return list(leaks.values()), "by file, samples and speaker"


def own_recordings(card: Mapping[str, Any], data: str) -> dict[str, Known]:
    """Return the recordings of a model's material, by `short_digest`: clips, and what was cut.

    Args:
        card: of the model.
        data: folder or URI of the data set that it was trained on.

    Raises:
        DatasetError: the data set or its clip bank isn't there, or is of another model.
    """
    found: dict[str, Known] = {}
    for splits, _ in _generations(_recipe_of(card)[1], data):
        for split, clips in splits.items():
            for clip in clips:
                cut = re.search(SPEAKER_PATTERN, clip.clip_id)
                for digest in (short_digest(clip.content_sha256), *(cut.groups() if cut else ())):
                    found.setdefault(digest, Known(clip.clip_id, split))
    return found


def _recipe_of(card: Mapping[str, Any]) -> tuple[Recipe, list[str]]:
    """The recipe of a model's first generation of scenes, and the digests of all."""
    try:
        return Recipe.model_validate(card["recipe"]), card["dataset"]["recipe_digests"]
    except (KeyError, ValueError, TypeError):
        raise DatasetError("the model's card doesn't say what it was trained on") from None


def _generations(
    digests: list[str], data: str
) -> Iterator[tuple[dict[str, tuple[Clip, ...]], ClipBank]]:
    """Yield the splits and the clip bank of each generation of scenes that a model learnt from."""
    dataset = read_dataset(data)
    generations = list(dataset.generations())[: len(digests)]
    if [manifest.recipe_digest for _, manifest in generations] != digests:
        raise DatasetError(f"{data} isn't the data set that the model was trained on")
    for folder, manifest in generations:
        recipe, bank = recipe_and_bank(folder, manifest, None)
        yield split_clips(bank.clips, recipe.splits), bank


def _of_one_bank(recipe: Recipe, digests: list[str], made: StreamSet) -> bool:
    splits = recipe.splits.model_dump(mode="json")
    same_splits = splits == made.made_from["splits"]
    return same_splits and set(digests) == {recipe.content_digest(made.made_from["bank"])}
