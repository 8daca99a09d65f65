"""Growing a data set: what a new generation must have in common with those that are there.

The new examples' indices go on where the last generation's end, so no address is given twice and
none of them repeats a scene. Nothing that is there is touched: readers see the data set as it was
until the new generation's manifest is written.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

from beam_jobs import files
from beam_jobs.job import SynthesisJob
from beam_jobs.made_from import recipe_and_bank
from beam_jobs.stored import read_dataset
from pipeline.clip_bank import ClipBank
from pipeline.splits import assign_splits
from schemas.dataset import MANIFEST_NAME, Manifest
from schemas.errors import RequestError
from schemas.recipe import Recipe
from schemas.scene import SceneSpec
from schemas.stored_dataset import StoredDataset, generation_folder


def next_generation(job: SynthesisJob, bank: ClipBank) -> SynthesisJob:
    """Return the job that adds `job`'s examples to the data set at `job.out`.

    Raises:
        DatasetError: that isn't complete, or a clip bank that it was made from is gone.
        RequestError: the new examples would not fit the old ones.
    """
    stored = read_dataset(job.out)
    _require_same_kind(stored, job.recipe)
    recipe = _with_same_splits(stored, job.recipe, bank)
    return replace(
        job,
        recipe_json=recipe.model_dump_json(by_alias=True),
        out=generation_folder(stored.location, len(stored.manifests)),
        first_example=stored.next_example(),
        follows=stored.identity(),
    )


def later_generations(out: str) -> Iterator[SynthesisJob]:
    """Yield the job that made each generation after the first, as its manifest tells it."""
    for folder, manifest in list(read_dataset(out).generations())[1:]:
        yield _job_again(folder, manifest)


def job_of_grown(job: SynthesisJob) -> SynthesisJob:
    """Return the job of generation 0, where the material has grown since and was appended.

    The recipe is the same and its material is that of a later generation: there is nothing to
    refuse, and generation 0 is what its own clip bank makes.
    """
    manifest_path = files.join(job.out, MANIFEST_NAME)
    if not files.exists(manifest_path):
        return job
    first, *later = read_dataset(job.out).manifests
    same = not first.changes(job.recipe) and first.content["bank"] != job.bank_digest
    if same and any(manifest.content["bank"] == job.bank_digest for manifest in later):
        return _job_again(job.out, first)
    return job


def _job_again(folder: str, manifest: Manifest) -> SynthesisJob:
    return SynthesisJob(
        recipe_json=json.dumps(manifest.run["recipe"]),
        bank=str(manifest.run["bank_directory"]),
        bank_digest=str(manifest.content["bank"]),
        out=folder,
        first_example=dict(manifest.first_example) if manifest.follows else {},
        follows=manifest.follows,
    )


def _require_same_kind(stored: StoredDataset, recipe: Recipe) -> None:
    spec = SceneSpec.of(recipe)
    wanted = {
        "sample_rate_hz": (spec.sample_rate_hz, stored.sample_rate_hz),
        "scene.duration_s in samples": (spec.num_samples, stored.example_samples),
        "dataset.encoding": (recipe.dataset.encoding, stored.encoding),
        "keyword labels": (recipe.labels, stored.labels),
    }
    for name, (new, old) in wanted.items():
        if new != old:
            raise RequestError(
                f"{name}: {new!r} in the recipe, {old!r} in {stored.location}",
                expected="examples of one kind in a data set",
                fix="change the recipe, or make a data set of its own",
            )


def _with_same_splits(stored: StoredDataset, recipe: Recipe, bank: ClipBank) -> Recipe:
    """The recipe, with everyone in the split that they were in; else the test would be no test.

    Other shares would move some, and so would new material where speakers are few. Recordings stay
    too that belong to somebody else now, as where a recipe has got a `speaker_pattern`.
    """
    homes: dict[str, set[str]] = {}
    for folder, manifest in stored.generations():
        made = recipe.content(bank.digest)
        if all(manifest.content[key] == made[key] for key in ("bank", "splits", "plan_version")):
            continue
        old_recipe, old_bank = recipe_and_bank(folder, manifest, None)
        for name, split in _splits_by_name(old_bank, old_recipe).items():
            homes.setdefault(name, {split})
    wanted: dict[str, set[str]] = {}
    for clip in bank.clips:
        for name in (clip.group, clip.content_sha256):
            if not clip.shared and name in homes:
                wanted.setdefault(clip.group, set()).update(homes[name])
    splits, keep = recipe.splits, dict[str, str]()
    while True:  # where some are kept, others may be moved in their stead
        new = assign_splits(bank.clips, splits)
        moved = sorted(group for group, home in wanted.items() if home != {new[group]})
        if keep.keys() >= set(moved):
            break
        keep |= {group: min(wanted[group]) for group in moved}
        splits = recipe.splits.model_copy(update={"keep": recipe.splits.keep | keep})
    if moved:
        raise RequestError(
            f"{len(moved)} speakers or sources would change their split, such as {moved[0]!r}: "
            f"{' and '.join(sorted(wanted[moved[0]]))} before, {new[moved[0]]} now",
            expected="everyone in the split that they were in, or the test would be no test",
            fix="recordings of one split are now under one name with those of another, by "
            "speaker_pattern or splits.keep: take that back, or make the data set anew "
            "(--overwrite)",
        )
    return recipe.model_copy(update={"splits": splits}) if keep else recipe


def _splits_by_name(bank: ClipBank, recipe: Recipe) -> dict[str, str]:
    """Return the split of each group and of each recording, which is named by its digest."""
    split_of = assign_splits(bank.clips, recipe.splits)
    recordings = {
        clip.content_sha256: split_of[clip.group]
        for clip in bank.clips
        if not clip.shared and clip.content_sha256
    }
    return split_of | recordings
