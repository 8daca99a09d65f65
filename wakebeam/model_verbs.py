"""Verbs on models: train, retrain, evaluate, export."""

from __future__ import annotations

import contextlib
import json
import shlex
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from schemas.errors import RequestError, TrainingError
from wakebeam.app import APP, HERE, AsJson, Machine, Overwrite, RecipePath, Set, Workers
from wakebeam.console import say, show, show_json


@APP.command(epilog="Example: wakebeam train w/recipe.yaml")
def train(
    recipe: RecipePath = HERE,
    set_: Set = None,
    machine: Machine = None,
    init_from: Annotated[
        Path | None,
        typer.Option(help="a model's folder, .keras or .h5 to start from: training.init_from"),
    ] = None,
    sanity: Annotated[
        bool, typer.Option("--sanity", help="look at some batches and overfit one first")
    ] = False,
    overwrite: Overwrite = False,
    resume: Annotated[bool, typer.Option("--resume", help="go on; never begin anew")] = False,
    profile: Annotated[
        bool, typer.Option("--profile", help="record steps 10 to 20 for TensorBoard's profiler")
    ] = False,
) -> None:
    """Train on the data set; goes on where a killed run stopped.

    `tensorboard --logdir w/model/logs` shows curves, and sound, spectrogram and score of a scene.
    """
    from models.strategies import worker_to_be
    from wakebeam.stages import fit_task, make_model
    from wakebeam.tasks import TaskPlace, open_any

    settings = list(set_ or ())
    if init_from is not None:
        settings.append(f"training.init_from={json.dumps(str(init_from.resolve()))}")
    workspace = open_any(recipe, settings)
    if not isinstance(workspace, TaskPlace):
        workspace = workspace.on(machine, settings)
    elif machine is not None:
        raise RequestError("--machine with a task's recipe", expected="a detector's recipe")
    how = {"sanity": sanity, "overwrite": overwrite, "resume": resume, "profile": profile}
    # Of several workers the first keeps other runs out; the others are this run.
    first = worker_to_be(workspace.recipe.training.strategy) == 0
    with workspace.alone() if first else contextlib.nullcontext():
        if isinstance(workspace, TaskPlace):
            make = partial(workspace.verb("make_task"), workspace)
            result = fit_task(make, workspace.recipe.training, workspace.model, **how)
        else:
            result = make_model(workspace, **how)
    if result.already_complete:
        show(f"{workspace.model}: already trained")
    else:
        began = ""
        if result.resumed_from_epoch or result.resumed_from_step:
            began = f"went on after epoch {result.resumed_from_epoch}"
            began += f" and {result.resumed_from_step} steps; " * bool(result.resumed_from_step)
            began = began.removesuffix("; ") + "; "
        trained = f"{began}{result.card['epochs_trained']} epochs"
        show(f"{workspace.model}: {trained}{_size(workspace.model)}")
        if result.timing:
            show(f"time: {result.timing}")


@APP.command(epilog="Example: wakebeam retrain w/recipe.yaml --since w/model --append 2000")
def retrain(
    since: Annotated[Path, typer.Option(help="folder of the model in use")],
    recipe: RecipePath = HERE,
    append: Annotated[int | None, typer.Option(min=1, help="add so many training scenes")] = None,
    add_recipe: Annotated[
        Path | None, typer.Option(help="add all scenes of this recipe, such as new material")
    ] = None,
    test_on: Annotated[
        str | None, typer.Option(help="data set whose test split judges both; the recipe's own")
    ] = None,
    num_workers: Workers = 2,
    set_: Set = None,
    as_json: AsJson = False,
) -> None:
    """Add scenes, train from the model in use, and replace it only where the new one is better.

    Both are judged event by event on the same test split, each at the threshold that the recipe's
    own validation split chooses. The new one takes the place of --since where the 95 % interval of
    the difference and an exact sign test by takes say that it is better; the old one is kept beside
    it. Report and export are brought up to date by the commands that are printed.
    """
    from models.promotion import comparison_text
    from wakebeam.retraining import retrain as retrain_model
    from wakebeam.stages import make_scenes
    from wakebeam.workspace import Workspace

    if append and add_recipe:
        raise RequestError("--append and --add-recipe", expected="one or the other")
    workspace = Workspace.open(recipe, set_ or ())

    grow = partial(
        make_scenes,
        workspace,
        workspace.data,
        append=append,
        add_recipe=add_recipe,
        num_workers=num_workers,
    )
    with workspace.alone():
        found = retrain_model(
            workspace, since, grow=grow if append or add_recipe else None, test_on=test_on
        )
    if as_json:
        show_json(found)
        return
    show(comparison_text(found))
    if found["promoted"]:
        show(f"{since} is the new model now; the one before is {found['kept']}")
        model, data = shlex.quote(str(since)), shlex.quote(workspace.data)
        show(f"next: wakebeam evaluate {model} --dataset {data}")
        out = shlex.quote(str(workspace.export))
        show(f"      wakebeam export {model} --out {out} --dataset {data}")
    else:
        show(f"{since} stays; the new one is {workspace.folder / 'candidate'}")


@APP.command(epilog="Example: wakebeam evaluate w/export --stream w/stream")
def evaluate(
    model: Path,
    dataset: Annotated[
        str | None,
        typer.Option(
            help="judge on its test split; with --stream: what the model was trained on",
            show_default="with --stream: MODEL/../data",
        ),
    ] = None,
    stream: Annotated[
        Path | None, typer.Option(help="a stream set's folder, or a recording with --labels")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="of a recording: .txt (Audacity), .csv, .tsv, .jams")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="folder for a stream's report", show_default="MODEL-on-STREAM"),
    ] = None,
    allow_leak: Annotated[
        bool, typer.Option("--allow-leak", help="judge also on what the model was trained on")
    ] = False,
    plot: Annotated[
        Path | None, typer.Option(metavar="PNG|SVG", help="a detector's curves as a picture too")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Count misses and false accepts per hour, with intervals, or sound events, with F1 and PSDS.

    Writes text, JSON, curves and HTML.

    MODEL is a trained model; with --stream it may be an export too. Its threshold is the one that
    validation chose. A stream set of which the model has learnt some clips is refused by name.
    """
    task = _task_of(model)
    if plot is not None:
        from models.plots import picture_suffix

        suffix = picture_suffix(plot)
    if task is not None:
        from wakebeam.tasks import task_verb

        if plot is not None:
            raise RequestError(
                f"--plot with a model of the task {task}",
                expected="a detector",
                fix=f"look at {model / 'evaluation.png'}, which is always written",
            )
        values = task_verb(task, "evaluate")(model)
        if as_json:
            show_json(values)
        else:
            show(task_verb(task, "report")(values))
        return
    is_set = stream is not None and stream.is_dir()
    if (
        (stream is None and (dataset is None or labels is not None))
        or (stream is not None and is_set != (labels is None))
        or (stream is None and (out is not None or allow_leak))
    ):
        raise RequestError(
            "give either --dataset, or --stream: a stream set, or a recording with --labels",
            expected="MODEL --dataset DATA, MODEL --stream FOLDER, or "
            "MODEL --stream WAV --labels TXT",
        )
    from models.measures import measure_of
    from models.model_files import read_card

    where = model
    if stream is not None:
        from wakebeam.console import progress
        from wakebeam.stream_evaluation import evaluate_stream

        with progress("listen", "seconds") as update:
            report, where = evaluate_stream(
                model,
                stream,
                labels,
                out=out,
                data=dataset,
                allow_leak=allow_leak,
                progress=update,
            )
        values = report.values
    else:
        values = measure_of(read_card(model)["evaluation"]).evaluate(model, str(dataset))
    if plot is not None:
        from models.plots import write_picture

        title = f"{model.resolve().name} on {stream.resolve().name if stream else 'test'}"
        write_picture(plot, measure_of(values).picture(values, title, suffix))
    if as_json:
        show_json(values)
    else:
        show(measure_of(values).report_text(values))
        show(f"the same with curves: {where / 'evaluation.html'}")


@APP.command(epilog="Example: wakebeam export w/model --out w/export --dataset w/data")
def export(
    model: Path,
    out: Annotated[Path, typer.Option(help="folder of the export")],
    dataset: Annotated[str | None, typer.Option(help="to check with; MODEL/../data")] = None,
    onnx: Annotated[
        bool, typer.Option("--onnx", help="an ONNX file too (pip install 'wakebeam[onnx]')")
    ] = False,
) -> None:
    """Write SavedModel, TFLite in float32 and in integers, and metadata; each is checked first."""
    task = _task_of(model)
    if task is not None:
        from wakebeam.tasks import task_verb

        show(task_verb(task, "export")(model, out))
        return
    from models.export import export as export_model
    from models.export_folder import data_beside

    metadata = export_model(model, out, data=dataset or data_beside(model), onnx=onnx)
    largest = max(metadata["parity"].values())
    show(f"{out}: largest difference in score from the trained model {largest:.1e}, of all forms")
    for name, why in metadata["refused"].items():
        say(f"{name} is left out: {why}")


def _size(model: Path) -> str:
    """Say what a trained network is and costs; nothing where another process writes its card."""
    from models.model_files import read_card

    try:
        card = read_card(model)
    except TrainingError:
        return ""
    cost = card.get("multiply_adds_per_second")
    return f", {card['parameters']:,} parameters" + (
        f", {cost / 1e6:.1f} million multiply-adds/s" if cost else ""
    )


def _task_of(model: Path) -> str | None:
    """Return which task a trained model is of; None for a detector or what isn't a model."""
    try:
        card = json.loads((model / "model.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return card.get("task") if isinstance(card, dict) else None
