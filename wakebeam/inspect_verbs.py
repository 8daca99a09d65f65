"""Verbs that show: inspect, doctor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from schemas.errors import RequestError
from wakebeam.app import APP, AsJson, Overwrite
from wakebeam.console import progress, show, show_json


@APP.command(
    epilog="Example: wakebeam inspect w/data, then open w/data.html in a browser. A detector: "
    "wakebeam inspect w/export --on w/stream"
)
def inspect(
    subject: Annotated[
        str, typer.Argument(metavar="DATASET|MODEL", help="a data set's folder or URI, or a model")
    ],
    on: Annotated[
        Path | None, typer.Option(metavar="STREAM", help="of a model: a stream set or a recording")
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="of a recording: its events")] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="HTML", show_default="its own name, beside it")
    ] = None,
    examples: Annotated[int, typer.Option(min=1, max=600, help="to see and hear")] = 60,
    seed: Annotated[int, typer.Option(min=0, help="chooses a data set's")] = 0,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="PNG|SVG", help="a picture too: histograms, or curves and scores"),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Write one page to look at and listen to: a data set, or what a model heard in a stream.

    It needs no network and can be sent to somebody else; sounds in it are MP3.
    """
    from pipeline.text_file import replace_text

    files_of_models = ("model.json", "metadata.json")
    if on is None and any((Path(subject) / name).exists() for name in files_of_models):
        raise RequestError(
            f"{subject} is a model: what is it to be looked at on?",
            fix=f"wakebeam inspect {subject} --on STREAM, which `wakebeam stream-set` makes; "
            "or --on RECORDING --labels FILE",
        )
    if (on is not None and on.is_dir() != (labels is None)) or (on is None and labels is not None):
        raise RequestError(
            "--labels is for --on RECORDING, which needs it; a stream set has its own",
            expected="MODEL --on FOLDER, or MODEL --on WAV --labels TXT",
        )
    name = subject.rstrip("/").rpartition("/")[2] + (f"-on-{on.resolve().stem}" if on else "")
    place = out or Path(f"{name}.html")
    if out is None and "://" not in subject:
        place = Path(subject).resolve().with_name(f"{Path(name).resolve().name}.html")
    if not place.parent.is_dir():
        raise RequestError(f"{place.parent} is no folder", fix="make it, or name another --out")
    if place.exists() and not overwrite and not place.read_bytes()[:64].startswith(b"<!doctype"):
        raise RequestError(
            f"{place} is there, and is no page", fix="name another with --out, or pass --overwrite"
        )
    if plot is not None:
        from models.plots import picture_suffix

        picture_suffix(plot)
    if on is not None:
        from wakebeam.stream_page import stream_page

        with progress("inspect", "s") as update:
            page = stream_page(
                Path(subject), on, labels, num_moments=examples, plot=plot, progress=update
            )
    else:
        from wakebeam.dataset_page import dataset_page

        with progress("inspect", "examples") as update:
            page = dataset_page(
                subject, num_examples=examples, seed=seed, plot=plot, progress=update
            )
    replace_text(place, page)
    show(f"{place}: {len(page) / 1e6:.1f} MB, to be opened in a browser")
    if plot is not None:
        show(f"{plot}: a picture")


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
