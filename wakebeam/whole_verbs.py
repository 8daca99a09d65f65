"""Verbs that do everything: run, demo."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from wakebeam.app import APP, HERE, NO_NEGATIVES, Machine, Overwrite, RecipePath, Set, Workers
from wakebeam.console import say, show

_USELESS = 0.5


@APP.command(epilog="Example: wakebeam run w/recipe.yaml --set training.epochs=20")
def run(
    recipe: RecipePath = HERE,
    set_: Set = None,
    machine: Machine = None,
    num_workers: Workers = 2,
    overwrite: Overwrite = False,
) -> None:
    """Make all that is not already made: bank, data set, model, evaluation, export."""
    from models.measures import measure_of
    from wakebeam.stages import run_all
    from wakebeam.workspace import Workspace

    workspace = Workspace.open(recipe, set_ or ()).on(machine, set_ or ())
    with workspace.alone():
        values = run_all(workspace, num_workers=num_workers, overwrite=overwrite)
    measure = measure_of(values)
    show(measure.report_text(values))
    show(f"the same with curves: {workspace.model / 'evaluation.html'}")
    if not workspace.recipe.material.negative:
        say(NO_NEGATIVES)
    if measure.share_missed(values) > _USELESS:
        say(
            "this detector misses most of what it is for: give it more takes, more examples "
            "(dataset.num_examples) or more epochs (training.epochs), with --overwrite"
        )
    show(f"next: wakebeam detect --model {shlex.quote(str(workspace.export))} FILE")


@APP.command(epilog="Example: wakebeam demo")
def demo(
    out: Annotated[Path, typer.Option(help="folder")] = Path("wakebeam-demo"),
    seed: Annotated[int, typer.Option(min=0)] = 7,
) -> None:
    """Make, train, judge and run a detector in minutes, without any data."""
    from wakebeam.demo import run_demo

    show(run_demo(out, seed=seed))
