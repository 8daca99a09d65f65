"""Verbs on data sets: synth, verify, regenerate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from schemas.errors import RequestError, WakebeamError
from schemas.recipe import SPLITS
from wakebeam.app import APP, HERE, AsJson, Overwrite, RecipePath, Set, Workers
from wakebeam.console import show, show_json

if TYPE_CHECKING:
    from wakebeam.workspace import Workspace


@APP.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    epilog="Example: wakebeam synth w/recipe.yaml --append 1000; docs/scale.md has other machines",
)
def synth(
    context: typer.Context,
    recipe: RecipePath = HERE,
    out: Annotated[str | None, typer.Option(help="folder or URI instead of dataset.out")] = None,
    set_: Set = None,
    num_workers: Workers = 2,
    append: Annotated[
        int | None, typer.Option(min=1, help="add so many training scenes to the data set")
    ] = None,
    add_recipe: Annotated[
        Path | None, typer.Option(help="add all scenes of this recipe to the data set")
    ] = None,
    plan_only: Annotated[
        bool, typer.Option("--plan-only", help="plan all scenes, sum up what they hold, stop")
    ] = False,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Make the data set with Beam; options that aren't listed here go to Beam (--runner=…).

    --append and --add-recipe leave all shards as they are and add a generation of new ones, whose
    scenes continue where the last ended; readers see it when it is whole.

    --plan-only plans all scenes and says what they would hold; it renders and writes nothing.
    """
    from beam_jobs.stored import read_dataset
    from wakebeam.stages import make_scenes
    from wakebeam.tasks import TaskPlace, open_any
    from wakebeam.tasks.data import refuse_options_of_scenes, synthesize_task

    if append and add_recipe:
        raise RequestError("--append and --add-recipe", expected="one or the other")
    if add_recipe and set_:
        raise RequestError(
            "--set with --add-recipe", expected="the added recipe as it is in its file"
        )
    how: dict[str, Any] = {
        "beam_arguments": context.args,
        "num_workers": num_workers,
        "overwrite": overwrite,
    }
    workspace = open_any(recipe, set_ or ())
    if isinstance(workspace, TaskPlace):
        refuse_options_of_scenes(workspace, grows=bool(append or add_recipe), plan_only=plan_only)
        data = synthesize_task(workspace, out, **how)
        show_json(data.values()) if as_json else show(data.text())
        return
    if plan_only:
        if append or add_recipe or overwrite:
            raise RequestError(
                "--plan-only with --append, --add-recipe or --overwrite",
                expected="--plan-only alone: it writes no data set",
            )
        _plan_only(workspace, context.args, num_workers, as_json)
        return
    where = out or workspace.data
    with workspace.alone():
        result = make_scenes(workspace, where, append=append, add_recipe=add_recipe, **how)
    stored = read_dataset(where)
    if as_json:
        show_json(
            {
                "out": where,
                "identity": stored.identity(),
                "generations": len(stored.manifests),
                "recipe_digest": result.manifest.recipe_digest,
                "shards_made": result.num_made,
                "shards_reused": result.num_reused,
                "examples_rejected": stored.num_rejected(),
            }
        )
    else:
        done = "already complete" if result.already_complete else f"{result.num_made} shards made"
        kept = f", {result.num_reused} kept" if result.num_reused and result.num_made else ""
        total = sum(stored.num_examples(split) for split in SPLITS)
        more = f", {len(stored.manifests)} generations" if len(stored.manifests) > 1 else ""
        show(
            f"{where}: {done}{kept}; {total} scenes{more}; identity {stored.identity()[:16]}",
        )
    if stored.num_rejected():
        raise WakebeamError(
            f"{stored.num_rejected()} examples could not be made and are not in {where}",
            fix="rejects.jsonl there says which and why; dataset.max_reject_fraction allowed them",
        )


def _plan_only(
    workspace: Workspace, beam_arguments: list[str], num_workers: int, as_json: bool
) -> None:
    from beam_jobs.planning import plan_only
    from wakebeam.plan_summary import summary_text
    from wakebeam.stages import make_bank

    with workspace.alone():
        bank, _ = make_bank(workspace, beam_arguments=beam_arguments, num_workers=num_workers)
    found = plan_only(
        workspace.recipe,
        bank.location,
        beam_arguments=beam_arguments,
        num_workers=num_workers,
    )
    show_json(found) if as_json else show(summary_text(found))
    rejected = sum(values["rejected"] for values in found["splits"].values())
    if rejected:
        raise WakebeamError(f"{rejected} scenes can't be planned", fix="see the reasons above")


@APP.command(epilog="Example: wakebeam verify w/data --deep --render 20")
def verify(
    dataset: str,
    deep: Annotated[
        bool, typer.Option("--deep", help="decode every record and check what it holds")
    ] = False,
    render: Annotated[
        int, typer.Option(min=0, help="make so many examples again and compare their bytes")
    ] = 0,
    bank: Annotated[str | None, typer.Option(help="the clip bank, if it was moved")] = None,
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
    bank: Annotated[str | None, typer.Option(help="the clip bank, if it was moved")] = None,
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
