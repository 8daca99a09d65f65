"""Verbs on data sets: synth, verify, regenerate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from schemas.dataset import Manifest
from schemas.errors import WakebeamError
from wakebeam.app import APP, HERE, AsJson, Overwrite, RecipePath, Set, Workers
from wakebeam.console import show, show_json


@APP.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    epilog="Example: wakebeam synth w/recipe.yaml --out gs://bucket/data --runner=DataflowRunner",
)
def synth(
    context: typer.Context,
    recipe: RecipePath = HERE,
    out: Annotated[str | None, typer.Option(help="folder or URI instead of dataset.out")] = None,
    set_: Set = None,
    num_workers: Workers = 2,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Make the data set with Beam; options that aren't listed here go to Beam (--runner=…)."""
    from wakebeam.stages import make_bank, make_dataset
    from wakebeam.workspace import Workspace

    workspace = Workspace.open(recipe, set_ or ())
    with workspace.alone():
        bank, _ = make_bank(workspace)
        result = make_dataset(
            workspace,
            bank,
            out=out,
            beam_arguments=context.args,
            num_workers=num_workers,
            overwrite=overwrite,
        )
    manifest = result.manifest
    if as_json:
        show_json(
            {
                "out": out or workspace.data,
                "identity": manifest.identity(),
                "recipe_digest": manifest.recipe_digest,
                "shards_made": result.num_made,
                "shards_reused": result.num_reused,
                "examples_rejected": sum(manifest.num_rejected.values()),
            }
        )
        _require_whole(result.manifest, out or workspace.data)
        return
    done = "already complete" if result.already_complete else f"{result.num_made} shards made"
    kept = f", {result.num_reused} kept" if result.num_reused and result.num_made else ""
    show(f"{out or workspace.data}: {done}{kept}; identity {manifest.identity()[:16]}")
    _require_whole(result.manifest, out or workspace.data)


def _require_whole(manifest: Manifest, out: str) -> None:
    rejected = sum(manifest.num_rejected.values())
    if rejected:
        raise WakebeamError(
            f"{rejected} examples could not be made and are not in {out}",
            fix="rejects.jsonl there says which and why; dataset.max_reject_fraction allowed them",
        )


@APP.command(epilog="Example: wakebeam verify w/data --deep --render 20")
def verify(
    dataset: str,
    deep: Annotated[
        bool, typer.Option("--deep", help="decode every record and check what it holds")
    ] = False,
    render: Annotated[
        int, typer.Option(min=0, help="make so many examples again and compare their bytes")
    ] = 0,
    bank: Annotated[Path | None, typer.Option(help="the clip bank, if it was moved")] = None,
    as_json: AsJson = False,
) -> None:
    """Check a data set against its manifest: every byte of every shard."""
    from beam_jobs.verification import verify as verify_dataset
    from wakebeam.console import progress

    with progress("verify", "bytes") as update:
        found = verify_dataset(dataset, deep=deep, render=render, bank=bank, progress=update)
    if as_json:
        values = {"records": found.num_records, "problems": found.problems}
        show_json(values | {"decoded": found.num_decoded, "rendered": found.num_rendered})
    else:
        more = f", {found.num_decoded} decoded" * deep
        more += f", {found.num_rendered} made again and compared" * bool(render)
        end = "" if found.problems else "; all of them sound"
        show("\n".join([*found.problems, f"{found.num_records} records checked{more}{end}"]))
    if found.problems:
        raise WakebeamError(
            f"{dataset} is damaged in {len(found.problems)} places",
            fix="delete the shards named above, and run `wakebeam synth` again to make them anew",
        )


@APP.command(epilog="Example: wakebeam regenerate w/data train/000000123 --wav one.wav")
def regenerate(
    dataset: str,
    example_id: Annotated[str, typer.Argument(metavar="ID", help="such as train/000000123")],
    wav: Annotated[Path | None, typer.Option(help="write the sound here")] = None,
    bank: Annotated[Path | None, typer.Option(help="the clip bank, if it was moved")] = None,
) -> None:
    """Make one example again from its address; print its plan, compare it with the shard."""
    from wakebeam.regenerating import regenerate as make_again
    from wakebeam.regenerating import write_wav

    found = make_again(dataset, example_id, bank=bank)
    if wav is not None:
        write_wav(found["example"], wav)
    scene = found["example"].scene
    show_json(
        {
            "plan": found["plan"],
            "gains_db": scene.gains_db,
            "snrs_db": scene.snrs_db,
            "headroom_db": scene.headroom_db,
            "identical": found["identical"],
        }
    )
    if found["identical"] is False:
        raise WakebeamError(
            f"{example_id} is stored with other bytes than this release makes",
            fix="see `wakebeam verify` and the changelog",
        )
