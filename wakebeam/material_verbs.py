"""Verbs that make or look at material: init, check, speak, rooms, effects."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from schemas.errors import RequestError, WakebeamError
from wakebeam.app import APP, HERE, NO_NEGATIVES, AsJson, RecipePath, Set
from wakebeam.console import say, show, show_json

_TAKES, _TAKES_OF_A_NEAR_MISS = 100, 6


@APP.command(
    epilog="Example: wakebeam init w --keyword takes/hello --negative speech --background noise"
)
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="gets recipe.yaml")],
    keyword: Annotated[list[Path], typer.Option(help="folders of takes; the name is the label")],
    background: Annotated[list[Path], typer.Option(help="folders of ambient sound")],
    negative: Annotated[list[Path] | None, typer.Option(help="folders of other sounds")] = None,
    near_miss: Annotated[
        list[Path] | None, typer.Option(help="folders of what it is mistaken for")
    ] = None,
    name: Annotated[str | None, typer.Option(help="of the recipe")] = None,
    preset: Annotated[
        str, typer.Option(help="wake-word, commands, soundscape or ten-second-activate")
    ] = "wake-word",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace the recipe")] = False,
) -> None:
    """Write a commented recipe for the material given."""
    from wakebeam.new_recipe import write_recipe

    path = write_recipe(
        folder,
        keywords=keyword,
        negatives=negative or [],
        near_misses=near_miss or [],
        backgrounds=background,
        name=name,
        preset=preset,
        overwrite=overwrite,
    )
    where = shlex.quote(str(path))
    show(f"wrote {path}\nnext: wakebeam check {where}; wakebeam run {where}")
    if not negative and not near_miss:
        say(NO_NEGATIVES)


@APP.command(epilog="Example: wakebeam check w/recipe.yaml")
def check(
    recipe: RecipePath = HERE,
    set_: Set = None,
    as_json: AsJson = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="fail if any take or pair of takes is to be looked at")
    ] = False,
) -> None:
    """Show what the material is like and what the recipe would make; makes no scenes."""
    from beam_jobs.material_files import AnyFiles
    from wakebeam.checking import check as check_recipe
    from wakebeam.checking import check_text
    from wakebeam.console import progress
    from wakebeam.material_check import check_material, is_clean, material_text
    from wakebeam.stages import make_bank
    from wakebeam.workspace import Workspace

    workspace = Workspace.open(recipe, set_ or ())
    bank, _ = make_bank(workspace)
    with progress("check", "takes") as update:
        material = check_material(workspace.recipe, bank, workspace.folder, AnyFiles(), update)
    found = check_recipe(workspace.recipe, bank)
    if as_json:
        show_json(found | material)
    else:
        show(material_text(material))
        show(check_text(found, workspace.recipe))
    if strict and (bank.rejects or not is_clean(material)):
        raise WakebeamError(
            "the material has rejects, faults or doubles, and --strict was given",
            fix="look at what is listed, and remove or replace it",
        )


@APP.command(epilog='Example: wakebeam speak "hello beacon" --out takes')
def speak(
    phrases: Annotated[list[str] | None, typer.Argument(metavar="[PHRASE…]")] = None,
    out: Annotated[Path | None, typer.Option(help="folder; each phrase gets one in it")] = None,
    recipe: Annotated[
        Path | None, typer.Option(help="speak what this recipe's `speech` says, instead")
    ] = None,
    takes: Annotated[
        int | None,
        typer.Option(min=1, help="of each phrase", show_default="100, of a near miss 6"),
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = 7,
    language: Annotated[
        list[str] | None, typer.Option(help="espeak-ng's code, such as de; may be repeated")
    ] = None,
    near_misses: Annotated[
        int, typer.Option(min=0, help="speak so many phrases that it is mistaken for, instead")
    ] = 0,
) -> None:
    """Speak phrases in many voices, rates and pitches; takes that exist are kept.

    A phrase between slashes is IPA, one in double brackets is in espeak-ng's phonemes:
    "/həˈloʊ/", "[[h@l'oU]]". Another engine than espeak-ng is a line under `speech` in a recipe.
    """
    from pydantic import ValidationError

    from pipeline.recipe_file import problems
    from schemas.recipe import Speech
    from wakebeam.speaking import speak_entry, speak_recipe
    from wakebeam.workspace import Workspace

    if recipe is not None:
        if phrases or out:
            raise RequestError("phrases or --out beside --recipe", expected="one or the other")
        workspace = Workspace.open(recipe)
        made, kept = speak_recipe(workspace.recipe, workspace.folder)
        show(f"{recipe}: {made} takes spoken, {kept} were there")
        return
    if not phrases or not all(phrases) or out is None:
        raise RequestError("no phrase, or no --out", expected="phrases and a folder, or --recipe")
    try:
        entry = Speech(
            phrases=tuple(phrases),
            out=str(out),
            takes=takes or (_TAKES_OF_A_NEAR_MISS if near_misses else _TAKES),
            near_misses=near_misses,
            languages=tuple(language or ("en",)),
        )
    except ValidationError as error:
        raise RequestError(f"this can't be spoken: {problems(error)}") from error
    made, kept = speak_entry(entry, out, seed, Path())
    show(f"{out}: {made} takes spoken, {kept} were there")
    if near_misses:
        show(f"next: wakebeam init DIR --keyword … --near-miss {shlex.quote(str(out))} …")
        return
    folders = sorted(shlex.quote(str(path)) for path in out.iterdir() if path.is_dir())
    keyword = folders[0] if len(folders) == 1 else f"{shlex.quote(str(out))}/PHRASE"
    show(f"next: wakebeam init DIR --keyword {keyword} --negative … --background …")
    if len(folders) > 1:
        show(f"      or all of them as other speech: --negative {shlex.quote(str(out))}")


@APP.command(epilog="Example: wakebeam rooms --out rooms --count 60")
def rooms(
    out: Annotated[Path, typer.Option(help="folder")],
    count: Annotated[int, typer.Option(min=1, max=10_000)] = 60,
    seed: Annotated[int, typer.Option(min=0)] = 7,
    rate_hz: Annotated[int, typer.Option("--rate", min=8000, max=96_000)] = 16_000,
) -> None:
    """Make impulse responses of rooms, for material.room and the effect `room`."""
    from pipeline.rooms import generate_rooms
    from wakebeam.console import progress

    with progress("rooms", "rooms") as update:
        made = generate_rooms(out, count=count, seed=seed, sample_rate_hz=rate_hz, progress=update)
    show(
        f"{out}: {made} rooms made, {count - made} were there\n"
        f"next: in the recipe, material.room: [{{path: {out.resolve()}}}] and "
        "scene.effects.room: [0.5, 1.0]"
    )


@APP.command(epilog="Example: wakebeam effects")
def effects(as_json: AsJson = False) -> None:
    """List the effects that a recipe may ask for under scene.effects and scene.channel."""
    from dataclasses import asdict

    from schemas.effects import EFFECTS

    if as_json:
        show_json({name: asdict(effect) for name, effect in EFFECTS.items()})
        return
    for name, effect in EFFECTS.items():
        bounds = f"{effect.low:g} … {effect.high:g} {effect.unit}"
        show(f"{name:20}{bounds:32}{effect.help}")


@APP.command(epilog="Example: wakebeam noises --out noise --count 12")
def noises(
    out: Annotated[Path, typer.Option(help="folder")],
    count: Annotated[int, typer.Option(min=1, max=10_000, help="of each kind")] = 12,
    seconds: Annotated[float, typer.Option(min=1.0, max=600.0)] = 12.0,
    seed: Annotated[int, typer.Option(min=0)] = 7,
    rate_hz: Annotated[int, typer.Option("--rate", min=8000, max=96_000)] = 16_000,
) -> None:
    """Make backgrounds: noise of many colours, hum, fans, rain, engines, tones."""
    from pipeline.noise import generate_backgrounds

    total = generate_backgrounds(
        out, seed=seed, count_per_kind=count, duration_s=seconds, sample_rate_hz=rate_hz
    )
    show(
        f"{out}: {total} backgrounds\n"
        f"next: wakebeam init DIR --keyword … --background {shlex.quote(str(out))}"
    )
