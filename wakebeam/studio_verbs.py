"""The verb that opens a page to work in: studio."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from schemas.errors import RequestError
from wakebeam.app import APP
from wakebeam.console import say, show


@APP.command(epilog="Example: wakebeam studio recordings --model w/export")
def studio(
    folder: Annotated[
        Path, typer.Argument(help="recordings to label, trainings to watch", show_default="here")
    ] = Path(),
    model: Annotated[
        Path | None, typer.Option(help="an export, to listen and to propose labels")
    ] = None,
    takes: Annotated[
        Path | None, typer.Option(help="gets a folder KEYWORD", show_default="FOLDER/takes")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free")] = 0,
    browser: Annotated[bool, typer.Option(help="open it in the browser")] = True,
) -> None:
    """Record, label, watch a training and listen, in a browser on this machine.

    Only this machine can open it, with the address that is printed. Ctrl-C ends it.
    """
    try:
        from wakebeam.studio.server import serve_until_ctrl_c
    except ModuleNotFoundError as error:
        if error.name != "aiohttp":
            raise
        raise RequestError(
            "the studio needs the package aiohttp", fix="pip install 'wakebeam[studio]'"
        ) from error

    def opened(address: str) -> None:
        show(address)
        how = (
            "opens in the browser; if none comes up," if browser else "in a browser of this machine"
        )
        say(f"{how} paste this address; Ctrl-C ends the studio")
        if browser:
            webbrowser.open(address)

    serve_until_ctrl_c(folder, takes or folder / "takes", model, port, opened)
