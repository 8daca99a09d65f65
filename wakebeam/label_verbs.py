"""Verbs on files of labels: labels, cut."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from schemas.errors import RequestError
from wakebeam.app import APP, Overwrite
from wakebeam.console import say, show


@APP.command(epilog="Example: wakebeam labels day1.txt day2.txt --out days.csv")
def labels(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE…", help=".txt (Audacity), .csv, .tsv or .jams")
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE|DIR", help="what to write; else they are checked")
    ] = None,
    to: Annotated[
        str, typer.Option(help="format of the files in a folder: txt, csv, tsv or jams")
    ] = "txt",
    sort: Annotated[bool, typer.Option("--sort", help="accept lines in any order")] = False,
    annotation: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="of a .jams file that has several")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Check files of labels, and write them in another format.

    What the format has no place for is said and counted.
    """
    from pipeline.labels.label_files import losses, read_labels, write_labels

    recordings = [
        one for path in files for one in read_labels(path, sort=sort, annotation=annotation)
    ]
    stems = Counter(Path(one.name).stem for one in recordings)
    twice = [stem for stem, times in stems.items() if times > 1]
    if twice and out is not None:
        raise RequestError(f"{twice[0]} has labels in several of the files or lines")
    if out is not None:
        many = out.is_dir() or not out.suffix
        places = {out / f"{Path(one.name).stem}.{to}": [one] for one in recordings}
        if not many:
            places = {out: recordings}
        there = [path for path in places if path.exists() and not overwrite]
        if there:
            raise RequestError(f"{there[0]} is there already", fix="pass --overwrite")
        for path, of in places.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_labels(of, path)
        for loss in losses(recordings, f".{to}" if many else out.suffix):
            say(loss)
    counts = Counter(label.label for one in recordings for label in one.labels)
    told = ", ".join(f"{label} {number}" for label, number in counts.most_common(8))
    show(f"{len(recordings)} recordings with {counts.total()} labels" + f": {told}" * bool(told))


@APP.command(epilog="Example: wakebeam cut monday.wav monday.txt --out takes")
def cut(
    recording: Annotated[Path, typer.Argument(metavar="RECORDING")],
    labels: Annotated[
        Path | None, typer.Argument(metavar="LABELS", show_default="beside it, .txt")
    ] = None,
    out: Annotated[Path, typer.Option(help="gets a folder for each label")] = Path("takes"),
    only: Annotated[list[str] | None, typer.Option(help="these labels")] = None,
) -> None:
    """Cut labelled stretches out of a recording, as takes for a recipe."""
    from wakebeam.cutting import SPEAKER_PATTERN, cut_labels

    done = cut_labels(recording, labels or recording.with_suffix(".txt"), out, only)
    made, silent, left_over = done.made, done.silent, done.left_over
    show(f"{out}: {made.total()} clips cut out, {done.num_kept} were there")
    if silent:
        say(f"{len(silent)} of them are silent in the mix of all channels: {silent[0]}")
    if left_over:
        say(f"{len(left_over)} that were cut before have no label any more: {left_over[0]}")
    for folder in sorted(made):
        entry = f"{{path: {(out / folder).resolve()}, speaker_pattern: '{SPEAKER_PATTERN}'}}"
        say(f"  {made[folder]} in {folder}; in a recipe: {entry}")
