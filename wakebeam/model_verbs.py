"""Verbs on models: train, evaluate, export, detect, mine."""

from __future__ import annotations

import contextlib
import json
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from schemas.errors import AudioError, RequestError, TrainingError
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
    from models.strategies import this_worker
    from wakebeam.stages import fit_task, make_model
    from wakebeam.tasks import TaskPlace, open_task
    from wakebeam.workspace import Workspace

    settings = list(set_ or ())
    if init_from is not None:
        settings.append(f"training.init_from={json.dumps(str(init_from.resolve()))}")
    workspace: TaskPlace | Workspace | None = open_task(recipe, settings)
    if workspace is None:
        workspace = Workspace.open(recipe, settings).on(machine, settings)
    elif machine is not None:
        raise RequestError("--machine with a task's recipe", expected="a detector's recipe")
    how = {"sanity": sanity, "overwrite": overwrite, "resume": resume, "profile": profile}
    # Of several workers the first keeps other runs out; the others are this run.
    with workspace.alone() if this_worker() == 0 else contextlib.nullcontext():
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

    Both are judged event by event on the same test split. The new one takes the place of --since
    where the 95 % interval of the difference says that it is better; the old one is kept beside it.
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
    else:
        show(f"{since} stays; the new one is {workspace.folder / 'candidate'}")


@APP.command(epilog="Example: wakebeam evaluate w/model --dataset w/data")
def evaluate(
    model: Path,
    dataset: Annotated[str | None, typer.Option(help="its validation and test splits")] = None,
    stream: Annotated[Path | None, typer.Option(help="a recording, with --labels")] = None,
    labels: Annotated[Path | None, typer.Option(help="Audacity labels of --stream")] = None,
    as_json: AsJson = False,
) -> None:
    """Count misses and false accepts per hour, with intervals; or sound events, with F1 and PSDS.

    MODEL is a trained model with --dataset, an export with --stream.
    """
    task = _task_of(model)
    if task is not None:
        from wakebeam.tasks import task_verb

        values = task_verb(task, "evaluate")(model)
        if as_json:
            show_json(values)
        else:
            show(task_verb(task, "report")(values))
        return
    if (dataset is None) == (stream is None) or (stream is None) != (labels is None):
        raise RequestError(
            "give either --dataset, or --stream together with --labels",
            expected="MODEL --dataset DATA, or EXPORT --stream WAV --labels TXT",
        )
    from models.measures import measure_of
    from models.model_files import read_card

    if dataset is not None:
        values = measure_of(read_card(model)["evaluation"]).evaluate(model, dataset)
    elif stream is not None and labels is not None:
        from wakebeam.stream_evaluation import evaluate_stream

        values = evaluate_stream(model, stream, labels).values
    if as_json:
        show_json(values)
    else:
        show(measure_of(values).report_text(values))


@APP.command(epilog="Example: wakebeam export w/model --out w/export --dataset w/data")
def export(
    model: Path,
    out: Annotated[Path, typer.Option(help="folder of the export")],
    dataset: Annotated[str | None, typer.Option(help="to check with; MODEL/../data")] = None,
) -> None:
    """Write SavedModel, TFLite float32 and int8, and metadata; refuses where they disagree."""
    task = _task_of(model)
    if task is not None:
        from wakebeam.tasks import task_verb

        show(task_verb(task, "export")(model, out))
        return
    from models.export import export as export_model

    metadata = export_model(model, out, data=dataset or str(model.resolve().parent / "data"))
    parity = metadata["parity"]
    show(
        f"{out}: largest difference in score from the trained model: SavedModel "
        f"{parity['saved_model']:.1e}, stream {parity['stream_float32']:.1e}, int8 "
        f"{parity['stream_int8']:.1e} ({parity['int8_detections_agreeing']} of "
        f"{parity['float_detections']} detections alike)"
    )


@APP.command(epilog="Example: wakebeam detect --model w/export recording.m4a")
def detect(
    model: Annotated[Path, typer.Option(help="folder of an export")],
    files: Annotated[list[Path] | None, typer.Argument(metavar="FILE…")] = None,
    threshold: Annotated[float | None, typer.Option(min=0.0, max=1.0)] = None,
    stdin: Annotated[
        bool, typer.Option("--stdin", help="raw int16 mono at the model's rate")
    ] = False,
) -> None:
    """Print a JSON line for each detection: time_s, onset_s, label, score.

    Of a detector of sound events: onset_s, offset_s, label, score.
    """
    if bool(files) == stdin:
        raise RequestError("name files or pass --stdin, one of the two")
    from models.streaming import StreamingDetector
    from wakebeam.detecting import detect_file, detect_pcm

    detector = StreamingDetector(model, threshold=threshold)
    if stdin:
        for line in detect_pcm(detector):
            show_json(line)
    failed = found = 0
    for path in files or []:
        try:
            for line in detect_file(detector, path):
                show_json(line | ({"file": str(path)} if len(files or []) > 1 else {}))
                found += 1
        except AudioError as error:
            say(f"wakebeam: {error}")
            failed += 1
    if files:
        say(f"{found} detections in {len(files) - failed} of {len(files)} files")
    if failed:
        raise typer.Exit(1)


@APP.command(epilog="Example: wakebeam mine --model w/export radio/*.mp3 --out hard")
def mine(
    model: Annotated[Path, typer.Option(help="folder of an export")],
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE…", help="or folders, without the keyword")
    ],
    out: Annotated[Path, typer.Option(help="folder for the clips")],
    threshold: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="lower finds more")
    ] = None,
) -> None:
    """Cut false accepts out of recordings in which the keyword is not spoken.

    Don't mine recordings that shall judge the detector later.
    """
    from models.streaming import StreamingDetector
    from wakebeam.console import progress
    from wakebeam.mining import SPEAKER_PATTERN
    from wakebeam.mining import mine as mine_file
    from wakebeam.new_recipe import audio_names

    detector = StreamingDetector(model, threshold=threshold)
    paths = [
        found
        for path in files
        for found in ([path / n for n in audio_names(path)] if path.is_dir() else [path])
    ]
    made = kept = failed = 0
    with progress("mine", "files") as update:
        for done, path in enumerate(paths):
            update(done, len(paths))
            try:
                counts = mine_file(detector, path, out)
            except AudioError as error:
                say(f"wakebeam: {error}")
                failed += 1
                continue
            made, kept = made + counts[0], kept + counts[1]
        update(len(paths), len(paths))
    show(
        f"{out}: {made} false accepts cut out at threshold {detector.threshold:.3f}, {kept} were "
        "there"
    )
    if made:
        entry = f"{{path: {out.resolve()}, kind: hard, speaker_pattern: '{SPEAKER_PATTERN}'}}"
        show(f"next: add `- {entry}` to material.negative, and run the recipe again")
    if failed:
        raise typer.Exit(1)


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
