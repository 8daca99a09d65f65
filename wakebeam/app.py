"""The application that verbs are added to, and the options that several of them have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

APP = typer.Typer(
    name="wakebeam",
    help="From a handful of recordings, or only a phrase to speak, to a sound detector.",
    epilog="--debug anywhere shows where an error came from.",
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

RecipePath = Annotated[
    Path, typer.Argument(help="recipe.yaml, or the folder that holds it", show_default="here")
]
HERE = Path()
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="override, e.g. --set dataset.out=data2"),
]
Machine = Annotated[
    str | None,
    typer.Option("--machine", help="weak or strong: sizes of batch and network, before --set"),
]
Workers = Annotated[int, typer.Option("--num-workers", min=1, help="local worker processes")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="replace what another recipe made")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON on stdout")]
NO_NEGATIVES = (
    "no negatives: a detector trained so fires on any speech, and its test has no speech in it. "
    "Name folders of other sounds with --negative; `wakebeam speak` can make some"
)
