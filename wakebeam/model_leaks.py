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

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from beam_jobs.made_from import recipe_and_bank
from beam_jobs.stored import read_dataset
from pipeline.clip_bank import ClipBank
from pipeline.splits import split_clips
from pipeline.stream_leaks import Leak, find_leaks
from schemas.clips import Clip
from schemas.errors import DatasetError, WakebeamError
from schemas.recipe import SPLITS, Recipe
from schemas.stream_set import StreamSet
from wakebeam.cutting import digests_in, short_digest

Generation = tuple[dict[str, tuple[Clip, ...]], ClipBank]
"""The splits and the clip bank of some scenes of a data set."""


class Known(NamedTuple):
    """A recording of a model's material: what is known of it by its nearest clip.

    Attributes:
        clip_id: a clip that it is, or that was cut out of it.
        split: of that clip; train before validation before test.
        cut: it isn't the clip, but was cut.
        mined: all that is known of it are hard negatives of training, kept together by its digest.
    """

    clip_id: str
    split: str
    cut: bool
    mined: bool

    def __str__(self) -> str:
        """Return it for a message that names the recording before."""
        what = "is what was cut out of it" if self.cut else "is this very file"
        return f"{self.clip_id} {what}, of the model's {self.split}"


def leaks_into(
    card: Mapping[str, Any], made: StreamSet, data: str
) -> tuple[list[Leak] | None, str]:
    """Return the leaks and how they were looked for; None where that couldn't be done, and why.

    Args:
        card: of the model.
        made: the stream set.
        data: folder or URI of the data set that it was trained on.
    """
    generations: list[Generation] = []
    try:
        recipe, digests = _recipe_of(card)
        if _of_one_bank(recipe, digests, made):
            split = made.made_from["options"]["split"]
            known = [] if split == "test" else [clip for clip in made.clips if not clip.shared]
            leaks = {c.clip_id: Leak(c.clip_id, c.clip_id, f"of split {split} is") for c in known}
            how = f"one clip bank, its split {split}"
            with contextlib.suppress(WakebeamError):
                generations = _generations(digests, data)
        else:
            leaks, how = {}, "by file, samples and speaker"
            generations = _generations(digests, data)
            for splits, bank in generations:
                heard = [*splits["train"], *splits["validation"]]
                leaks |= {leak.clip: leak for leak in find_leaks(made.clips, heard, bank.samples)}
    except WakebeamError as error:
        return None, f"not checked: {error.received}"
    own = _recordings_of(generations)
    found = ((file.name, own.get(short_digest(file.sha256))) for file in made.files)
    mined = [Leak(name, k.clip_id, "was mined for") for name, k in found if k and k.split != "test"]
    return [*leaks.values(), *mined], how


def own_recordings(card: Mapping[str, Any], data: str) -> dict[str, Known]:
    """Return the recordings of a model's material, by `short_digest`: clips, and what was cut.

    Args:
        card: of the model.
        data: folder or URI of the data set that it was trained on.

    Raises:
        DatasetError: the data set or its clip bank isn't there, or is of another model.
    """
    return _recordings_of(_generations(_recipe_of(card)[1], data))


def _recordings_of(generations: Iterable[Generation]) -> dict[str, Known]:
    found: dict[str, Known] = {}
    for splits, _ in generations:
        for split, clips in splits.items():
            for clip in clips:
                of = digests_in(clip.clip_id)
                mined = (clip.kind, split) == ("hard", "train") and of[:1] == [clip.group[-12:]]
                for digest in (short_digest(clip.content_sha256), *of):
                    one = Known(clip.clip_id, split, digest in of, mined and digest in of)
                    there = found.get(digest, one)
                    nearest = min(there, one, key=lambda known: SPLITS.index(known.split))
                    found[digest] = nearest._replace(mined=there.mined and one.mined)
    return found


def _recipe_of(card: Mapping[str, Any]) -> tuple[Recipe, list[str]]:
    """The recipe of a model's first generation of scenes, and the digests of all."""
    try:
        return Recipe.model_validate(card["recipe"]), card["dataset"]["recipe_digests"]
    except (KeyError, ValueError, TypeError):
        raise DatasetError("the model's card doesn't say what it was trained on") from None


def _generations(digests: list[str], data: str) -> list[Generation]:
    """The splits and the clip bank of each generation of scenes that a model learnt from."""
    try:
        generations = list(read_dataset(data).generations())[: len(digests)]
        if [manifest.recipe_digest for _, manifest in generations] != digests:
            raise DatasetError(f"{data} isn't the data set that the model was trained on")
        opened = [recipe_and_bank(folder, manifest, None) for folder, manifest in generations]
    except WakebeamError:
        raise
    except Exception as error:  # the libraries of stores have errors of their own
        said = f"{type(error).__name__}: {str(error)[:200]}"
        raise DatasetError(f"{data} or its clip bank can't be read ({said})") from error
    return [(split_clips(bank.clips, recipe.splits), bank) for recipe, bank in opened]


def _of_one_bank(recipe: Recipe, digests: list[str], made: StreamSet) -> bool:
    splits = recipe.splits.model_dump(mode="json")
    same_splits = splits == made.made_from["splits"]
    return same_splits and set(digests) == {recipe.content_digest(made.made_from["bank"])}
