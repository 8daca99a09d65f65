"""The verb that makes long recordings to judge on: stream-set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from schemas.errors import RequestError
from wakebeam.app import APP, HERE, AsJson, Overwrite, RecipePath, Set
from wakebeam.console import progress, show, show_json

_LOUDEST_EVENT_DBFS = -22.0
_FEW = {"keyword": 10, "background": 3}


@APP.command(epilog="Example: wakebeam stream-set w --hours 2 --snr 5,20 --out w/stream")
def stream_set(
    recipe: RecipePath = HERE,
    hours: Annotated[float, typer.Option(help="of sound")] = 1.0,
    out: Annotated[
        Path | None, typer.Option(help="folder", show_default="stream, beside the recipe")
    ] = None,
    snr: Annotated[
        str, typer.Option(help="dB of events over the background: one value, or LOW,HIGH")
    ] = "10",
    keywords_per_hour: Annotated[
        float, typer.Option(help="on average; 0: every detection is a false accept")
    ] = 80.0,
    split: Annotated[str, typer.Option(help="whose clips are heard")] = "test",
    level: Annotated[
        float | None,
        typer.Option(help="of the background, dBFS", show_default="the recipe's quietest"),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="of every choice", show_default="the recipe's")
    ] = None,
    set_: Set = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Make long continuous recordings from the test split, with every event's time.

    Conversations with keywords, talk without, background alone and silence, as WAV files with
    Audacity labels and stream-set.json. Each take is heard once before any is heard again. Clips
    that training or validation material has too are refused. `evaluate --stream FOLDER` judges it.
    """
    from pipeline.stream_writer import make_stream_set
    from schemas.stream_set import StreamOptions
    from wakebeam.stages import make_bank
    from wakebeam.workspace import Workspace

    workspace = Workspace.open(recipe, set_ or ())
    snr_db = _range(snr)
    quietest = workspace.recipe.scene.level_dbfs[0]
    options = StreamOptions(
        hours=hours,
        seed=workspace.recipe.seed if seed is None else seed,
        split=split,
        snr_db=snr_db,
        keywords_per_hour=keywords_per_hour,
        background_dbfs=min(quietest, _LOUDEST_EVENT_DBFS - snr_db[1]) if level is None else level,
    )
    folder = out or workspace.folder / "stream"
    with workspace.alone():
        bank, _ = make_bank(workspace)
        with progress("stream-set", "seconds") as update:
            made, reused = make_stream_set(
                workspace.recipe,
                bank,
                options,
                folder,
                overwrite=overwrite,
                progress=update,
            )
    if as_json:
        values = {"counts": made.counts, "leak_check": made.leak_check, "hours": made.hours}
        show_json(values | {"out": str(folder), "identity": made.identity(), "reused": reused})
    else:
        show(f"{folder}: {'already complete' if reused else 'made'}\n{stream_set_text(made)}")


def stream_set_text(made: Any) -> str:
    """Return what is in a schemas.stream_set.StreamSet, for people."""
    counts = made.counts
    others = ", ".join(f"{n} {kind}" for kind, n in counts["others"].items()) or "no other events"
    lines = [
        f"{made.hours:.2f} h in {len(made.files)} files: {counts['keywords']} keywords, {others}; "
        f"identity {made.identity()[:16]}",
        "minutes: " + ", ".join(f"{s / 60:.0f} {kind}" for kind, s in counts["seconds"].items()),
    ]
    if counts["snr_db"]:
        low, median, high = counts["snr_db"]
        lines.append(f"SNR as reached: {low:.1f} … {median:.1f} … {high:.1f} dB")
    for role, row in counts["clips"].items():
        again = f", {row['repeats']} of them again" if row["repeats"] else ", none twice"
        lines.append(f"{role}: {row['different']} different, {row['heard']} heard{again}")
        if row["heard"] and row["different"] < _FEW.get(role, 0):
            lines.append(
                f"  so few {role}s judge the detector on those alone: more material, or a larger "
                f"splits.{made.made_from['options']['split']}"
            )
    if counts["quieter_than_asked"]:
        lines.append(
            f"{counts['quieter_than_asked']} events are quieter than asked: none is made louder "
            "than half of full scale"
        )
    against = made.leak_check["against"]
    checked = " and ".join(f"{n} of {name}" for name, n in against.items())
    shared = made.leak_check["shared_by_recipe"]
    lines.append(
        f"leaks: none of {len(made.clips)} clips is among the {checked}"
        + (f"; {shared} backgrounds are shared by the recipe" if shared else "")
    )
    return "\n".join(lines)


def _range(text: str) -> tuple[float, float]:
    """`10` or `5,20` as a range.

    Raises:
        RequestError: neither.
    """
    try:
        values = [float(part) for part in text.split(",")]
        if not 1 <= len(values) <= 2:
            raise ValueError
    except ValueError:
        raise RequestError(f"--snr {text}", expected="dB, such as 10, or 5,20") from None
    return values[0], values[-1]
