"""Verbs that show: inspect, doctor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from schemas.errors import RequestError
from wakebeam.app import APP, AsJson, Overwrite
from wakebeam.console import progress, show, show_json


@APP.command(epilog="Example: wakebeam inspect w/data, then open w/data.html in a browser")
def inspect(
    data: Annotated[str, typer.Argument(metavar="DATASET", help="folder or URI of a data set")],
    out: Annotated[
        Path | None, typer.Option(metavar="HTML", show_default="the data set's name, beside it")
    ] = None,
    examples: Annotated[int, typer.Option(min=1, max=600, help="to see and hear")] = 60,
    seed: Annotated[int, typer.Option(min=0, help="chooses them")] = 0,
    overwrite: Overwrite = False,
) -> None:
    """Write one page to look at and listen to a data set: figures, then examples with their events.

    It needs no network and can be sent to somebody else; sounds in it are MP3.
    """
    from pipeline.text_file import replace_text
    from wakebeam.inspecting import dataset_page

    place = out or Path(f"{data.rstrip('/').rpartition('/')[2]}.html")
    if out is None and "://" not in data:
        place = Path(data).resolve().with_name(f"{Path(data).resolve().name}.html")
    if place.exists() and not overwrite and not place.read_bytes()[:64].startswith(b"<!doctype"):
        raise RequestError(
            f"{place} is there, and is no page", fix="name another with --out, or pass --overwrite"
        )
    with progress("inspect", "examples") as update:
        page = dataset_page(data, num_examples=examples, seed=seed, progress=update)
    replace_text(place, page)
    show(f"{place}: {len(page) / 1e6:.1f} MB, to be opened in a browser")


@APP.command(epilog="Example: wakebeam doctor")
def doctor(as_json: AsJson = False) -> None:
    """Try what wakebeam needs on this machine, and say what to install."""
    from wakebeam.doctor import doctor_text, examine

    findings = []
    for finding in examine(Path.cwd()):
        findings.append(finding)
        if not as_json:
            show(doctor_text(finding))
    if as_json:
        show_json([finding.to_json() for finding in findings])
    if any(finding.needed and finding.state != "works" for finding in findings):
        raise typer.Exit(1)
