"""The stages of a recipe, each skipped if it is done and current, resumed if it was interrupted.

A stage knows what it was made from by digests, never by time stamps. One that was made from
something else is an error until `overwrite` allows to replace it: nothing is silently lost.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from beam_jobs.bank_building import open_or_build_bank
from beam_jobs.runners import DEFAULT_NUM_WORKERS
from beam_jobs.stored import read_dataset
from beam_jobs.synthesize import SynthesisResult, synthesize
from pipeline.clip_bank import ClipBank
from schemas.errors import DatasetError, RequestError, WakebeamError
from schemas.recipe import SPLITS, Recipe
from schemas.recipe_training import Fitting
from wakebeam.console import clock, progress, say
from wakebeam.speaking import speak_recipe
from wakebeam.workspace import Workspace


def run_all(
    workspace: Workspace, *, num_workers: int = DEFAULT_NUM_WORKERS, overwrite: bool = False
) -> dict[str, Any]:
    """Do what is not already done, from material to exported detector.

    Returns:
        The values of the evaluation's report.

    Raises:
        RequestError: the recipe makes nothing to train on, to choose a threshold on or to judge.
    """
    _require_judgeable(workspace.recipe)

    def stage(name: str, work: Callable[[], tuple[str, str]]) -> None:
        began_s = time.monotonic()
        state, remark = work()
        say(f"{name:9} {state:8} {remark} ({clock(time.monotonic() - began_s)})")

    if workspace.recipe.speech:
        stage("speak", lambda: _speak_stage(workspace))
    stage("bank", lambda: _bank_stage(workspace))
    stage("synth", lambda: _synth_stage(workspace, num_workers, overwrite))
    stage("train", lambda: _train_stage(workspace, overwrite))
    stage("evaluate", lambda: _evaluate_stage(workspace))
    stage("export", lambda: _export_stage(workspace))
    return _report(workspace)


def make_bank(
    workspace: Workspace,
    *,
    beam_arguments: list[str] | None = None,
    num_workers: int = DEFAULT_NUM_WORKERS,
) -> tuple[ClipBank, bool]:
    """Return the recipe's clip bank, and whether it was there already."""
    with progress("bank", "files") as update:
        bank, reused = open_or_build_bank(
            workspace.recipe,
            base_dir=workspace.folder,
            bank_root=workspace.bank_root,
            beam_arguments=beam_arguments,
            num_workers=num_workers,
            progress=update,
        )
    if bank.rejects and not reused:
        say(f"bank: {len(bank.rejects)} files can't be used:\n{reject_summary(bank)}")
    return bank, reused


def make_dataset(
    workspace: Workspace,
    bank: ClipBank,
    *,
    recipe: Recipe | None = None,
    out: str | None = None,
    beam_arguments: list[str] | None = None,
    num_workers: int = DEFAULT_NUM_WORKERS,
    overwrite: bool = False,
) -> SynthesisResult:
    """Run the Beam job with progress; `recipe`'s examples are added to what there is."""
    with progress("synth", "scenes") as update:
        return synthesize(
            recipe or workspace.recipe,
            bank.location,
            out or workspace.data,
            beam_arguments=beam_arguments,
            num_workers=num_workers,
            overwrite=overwrite,
            append=recipe is not None,
            progress=update,
        )


def make_scenes(
    workspace: Workspace,
    where: str,
    *,
    append: int | None = None,
    add_recipe: Path | None = None,
    beam_arguments: list[str] | None = None,
    num_workers: int = DEFAULT_NUM_WORKERS,
    overwrite: bool = False,
) -> SynthesisResult:
    """Make the recipe's data set at `where`, or add to it.

    Args:
        workspace: of the recipe.
        where: folder or URI.
        append: add so many training scenes.
        add_recipe: add all scenes of that recipe, not together with `append`.
        beam_arguments: options for Beam.
        num_workers: local processes, where no runner is named.
        overwrite: replace what another recipe made.
    """
    added = Workspace.open(add_recipe) if add_recipe else workspace
    wanted = added.recipe if add_recipe else _more(workspace.recipe, where, append or 0)
    bank, _ = make_bank(added, beam_arguments=beam_arguments, num_workers=num_workers)
    return make_dataset(
        workspace,
        bank,
        recipe=wanted,
        out=where,
        beam_arguments=beam_arguments,
        num_workers=num_workers,
        overwrite=overwrite,
    )


def make_model(workspace: Workspace, **how: bool) -> Any:
    """Train with progress; returns models.fitting.FitResult.

    Raises:
        DatasetError: the data set was made from another recipe.
    """
    from models.measures import measure_of

    changes = read_dataset(workspace.data).first.changes(workspace.recipe)
    if changes:
        raise DatasetError(
            f"{workspace.data} was made from another recipe: {'; '.join(changes[:5])}",
            expected="a data set of this recipe",
            fix="run `wakebeam synth --overwrite` first, or change the recipe back",
        )
    recipe = workspace.recipe
    measure = measure_of(recipe.evaluation.model_dump())
    make = partial(measure.task, recipe, workspace.data, cache=filled_cache(workspace))
    return fit_task(make, recipe.training, workspace.model, **how)


def fit_task(
    make: Callable[[], Any], config: Fitting, folder: Path, *, sanity: bool = False, **how: bool
) -> Any:
    """Fit any task with progress; takes and returns what models.fitting.fit does.

    `make` makes the task, after the strategy: several workers must have met before TensorFlow does
    anything. `training.init_from` starts at the recipe's folder, in which `folder` lies. With
    `sanity` one batch is overfitted first.
    """
    from models.fitting import fit
    from models.initial_weights import InitialWeights
    from models.strategies import create_strategy

    strategy = create_strategy(config.strategy)
    task = make()
    start = task.fitting.init_from
    init_from = InitialWeights.of(folder.parent / start) if start else None
    if sanity:
        from models.sanity import require_sane

        say(f"sanity: {require_sane(task)}")
    remark = ""
    with progress("train", "steps") as update:

        def show(done: int, total: int, text: str) -> None:
            nonlocal remark
            if text != remark:
                remark = text
                say(f"train: {text}")
            update(done, total)

        return fit(task, folder, strategy=strategy, init_from=init_from, progress=show, **how)


def reject_summary(bank: ClipBank, most: int = 10) -> str:
    """Name the files that can't be used and why."""
    rows = [f"  {reject.path}: {reject.reason}" for reject in bank.rejects[:most]]
    more = len(bank.rejects) - most
    return "\n".join(rows + ([f"  and {more} more (wakebeam check lists all)"] if more > 0 else []))


def filled_cache(workspace: Workspace) -> Path | None:
    """Return the folder of the shards' copies, all of them there; None where none is wanted."""
    from pipeline.input_dataset import read_dataset as read_stored
    from pipeline.inputs.shard_cache import fill_cache

    if not workspace.recipe.training.cache:
        return None
    cache = workspace.folder / workspace.recipe.training.cache
    with progress("cache", "shards") as update:
        fill_cache(read_stored(workspace.data), cache, update)
    return cache


def _speak_stage(workspace: Workspace) -> tuple[str, str]:
    made, kept = speak_recipe(workspace.recipe, workspace.folder)
    return ("made" if made else "current"), f"{made + kept} takes"


def _bank_stage(workspace: Workspace) -> tuple[str, str]:
    bank, reused = make_bank(workspace)
    remark = f"{len(bank.clips)} clips, {len(bank.rejects)} files rejected"
    return ("current" if reused else "made"), remark


def _synth_stage(workspace: Workspace, num_workers: int, overwrite: bool) -> tuple[str, str]:
    bank, _ = make_bank(workspace)
    result = make_dataset(workspace, bank, num_workers=num_workers, overwrite=overwrite)
    shards = result.manifest.shards
    remark = f"{sum(s.num_examples for s in shards)} scenes in {len(shards)} shards"
    rejected = sum(result.manifest.num_rejected.values())
    if rejected:
        remark += f", {rejected} could not be made (rejects.jsonl)"
    if result.already_complete:
        return "current", remark
    if result.num_reused:
        return "resumed", f"{remark}, {result.num_reused} of them from the interrupted run"
    return "made", remark


def _train_stage(workspace: Workspace, overwrite: bool) -> tuple[str, str]:
    result = make_model(workspace, overwrite=overwrite)
    remark = f"{result.card['epochs_trained']} epochs, {result.card['parameters']:,} parameters"
    if result.already_complete:
        return "current", remark
    if result.resumed_from_epoch:
        return "resumed", f"{remark}, went on after epoch {result.resumed_from_epoch}"
    return "made", remark


def _evaluate_stage(workspace: Workspace) -> tuple[str, str]:
    from models.evaluation import evaluation_identity
    from models.measures import measure_of
    from models.model_files import read_card

    card = read_card(workspace.model)
    measure = measure_of(card["evaluation"])
    wanted = evaluation_identity(card, read_dataset(workspace.data).identity())
    values = _report(workspace)
    state = "current"
    if values.get("model") != wanted:
        values, state = measure.evaluate(workspace.model, workspace.data), "made"
    return state, measure.headline(values)


def _export_stage(workspace: Workspace) -> tuple[str, str]:
    from models.export import export, is_whole
    from models.export_folder import METADATA_NAME

    metadata = _read_json(workspace.export / METADATA_NAME)
    state = "current"
    if metadata.get("evaluation") != _report(workspace)["model"] or not is_whole(workspace.export):
        metadata = export(workspace.model, workspace.export, data=workspace.data)
        state = "made"
    return state, ", without ".join([f"{workspace.export}", *metadata["refused"]])


def _report(workspace: Workspace) -> dict[str, Any]:
    from models.evaluation import REPORT_NAME

    return _read_json(workspace.model / REPORT_NAME)


def _require_judgeable(recipe: Recipe) -> None:
    counts = recipe.dataset.num_examples.model_dump()
    if not all(counts.values()) or not recipe.scene.num_keywords.range[1]:
        raise RequestError(
            f"{counts} examples with up to {recipe.scene.num_keywords.range[1]} keywords each",
            expected="examples in all three splits, and keywords in them: one split to train on, "
            "one to choose a threshold on, one to judge",
            fix="raise dataset.num_examples or scene.num_keywords; `wakebeam synth` makes a data "
            "set of any shape",
        )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(value, dict):
        raise WakebeamError(f"{path} is damaged", fix="delete it and run the same command again")
    return value


def _more(recipe: Recipe, out: str, append: int) -> Recipe | None:
    """The recipe with `append` training scenes and no others; None where none are added.

    Raises:
        RequestError: the data set there was made from another recipe.
    """
    if not append:
        return None
    changes = read_dataset(out).first.changes(recipe)
    if changes:
        raise RequestError(
            f"{out} was made from another recipe: {'; '.join(changes[:5])}",
            expected="the same recipe; its material may have grown",
            fix="change the recipe back, or name the changed one with --add-recipe",
        )
    counts = recipe.dataset.num_examples.model_copy(
        update={split: append if split == "train" else 0 for split in SPLITS}
    )
    return recipe.model_copy(
        update={"dataset": recipe.dataset.model_copy(update={"num_examples": counts})}
    )
