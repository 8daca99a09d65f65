"""The command line. Each verb is a few lines here; the work is done elsewhere.

Results go to stdout, progress and errors to stderr. Exit code 0: done; 1: the work failed or fell
short; 2: the request was wrong. An error is one paragraph; `--debug` shows the traceback.
"""

from __future__ import annotations

import importlib.metadata
import logging
import os
import shlex
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from schemas.errors import AudioError, RequestError, WakebeamError
from wakebeam.console import say, show, show_json

NO_NEGATIVES = (
    "no negatives: a detector trained so fires on any speech, and its test has no speech in it. "
    "Name folders of other sounds with --negative; `wakebeam speak` can make some"
)
_USELESS = 0.5
_REPEATED = ("--keyword", "--negative", "--near-miss", "--background")
_INTERRUPTED = 130

app = typer.Typer(
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
Workers = Annotated[int, typer.Option("--num-workers", min=1, help="local worker processes")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="replace what another recipe made")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON on stdout")]


@app.callback(invoke_without_command=True)
def _main(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="print the version")] = False,
) -> None:
    if version:
        show(f"wakebeam {importlib.metadata.version('wakebeam')}")
    elif context.invoked_subcommand is None:
        show(context.get_help())


@app.command(
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


@app.command(epilog="Example: wakebeam check w/recipe.yaml")
def check(
    recipe: RecipePath = HERE,
    set_: Set = None,
    as_json: AsJson = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="fail if any take or pair of takes is to be looked at")
    ] = False,
) -> None:
    """Show what the material is like and what the recipe would make; makes no scenes."""
    from wakebeam.checking import check as check_recipe
    from wakebeam.checking import check_text
    from wakebeam.console import progress
    from wakebeam.material_check import check_material, is_clean, material_text
    from wakebeam.stages import make_bank
    from wakebeam.workspace import Workspace

    workspace = Workspace.open(recipe, set_ or ())
    bank, _ = make_bank(workspace)
    with progress("check", "takes") as update:
        material = check_material(workspace.recipe, bank, workspace.folder, update)
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


@app.command(epilog="Example: wakebeam run w/recipe.yaml --set training.epochs=20")
def run(
    recipe: RecipePath = HERE,
    set_: Set = None,
    num_workers: Workers = 2,
    overwrite: Overwrite = False,
) -> None:
    """Make all that is not already made: bank, data set, model, evaluation, export."""
    from models.evaluation import report_text
    from wakebeam.stages import run_all
    from wakebeam.workspace import Workspace

    workspace = Workspace.open(recipe, set_ or ())
    values = run_all(workspace, num_workers=num_workers, overwrite=overwrite)
    show(report_text(values))
    if not workspace.recipe.material.negative:
        say(NO_NEGATIVES)
    if values["miss_rate"] > _USELESS:
        say(
            "this detector misses most keywords: give it more takes, more examples "
            "(dataset.num_examples) or more epochs (training.epochs)"
        )
    else:
        show(f"next: wakebeam detect --model {shlex.quote(str(workspace.export))} FILE")


@app.command(
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
            }
        )
        return
    done = "already complete" if result.already_complete else f"{result.num_made} shards made"
    kept = f", {result.num_reused} kept" if result.num_reused and result.num_made else ""
    show(f"{out or workspace.data}: {done}{kept}; identity {manifest.identity()[:16]}")


@app.command(epilog="Example: wakebeam regenerate w/data train/000000123 --wav one.wav")
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


@app.command(epilog="Example: wakebeam effects")
def effects(as_json: AsJson = False) -> None:
    """List the effects that a recipe may ask for under scene.effects and scene.channel."""
    from dataclasses import asdict

    from schemas.effects import EFFECTS

    if as_json:
        show_json({name: asdict(effect) for name, effect in EFFECTS.items()})
        return
    for name, effect in EFFECTS.items():
        bounds = f"{effect.low:g} … {effect.high:g} {effect.unit}"
        show(f"{name:20}{bounds:24}{effect.help}")


@app.command(epilog="Example: wakebeam verify w/data")
def verify(dataset: str, as_json: AsJson = False) -> None:
    """Check a data set: manifest, checksums, every record against the schema."""
    from beam_jobs.verification import verify as verify_dataset
    from wakebeam.console import progress

    with progress("verify", "bytes") as update:
        found = verify_dataset(dataset, progress=update)
    if as_json:
        show_json({"records": found.num_records, "problems": found.problems})
    else:
        end = "" if found.problems else ", all of them sound"
        show("\n".join([*found.problems, f"{found.num_records} records checked{end}"]))
    if found.problems:
        raise WakebeamError(
            f"{dataset} is damaged in {len(found.problems)} places",
            fix="run `wakebeam synth` again: it makes missing and damaged shards anew",
        )


@app.command(epilog="Example: wakebeam train w/recipe.yaml")
def train(recipe: RecipePath = HERE, set_: Set = None, overwrite: Overwrite = False) -> None:
    """Train on the data set; goes on where a killed run stopped."""
    from wakebeam.stages import make_model
    from wakebeam.workspace import Workspace

    workspace = Workspace.open(recipe, set_ or ())
    result = make_model(workspace, overwrite=overwrite)
    if result.already_complete:
        show(f"{workspace.model}: already trained")
    else:
        began = f"went on after epoch {result.resumed_from_epoch}; " * bool(
            result.resumed_from_epoch
        )
        show(f"{workspace.model}: {began}{result.card['epochs_trained']} epochs")


@app.command(epilog="Example: wakebeam evaluate w/model --dataset w/data")
def evaluate(
    model: Path,
    dataset: Annotated[str | None, typer.Option(help="its validation and test splits")] = None,
    stream: Annotated[Path | None, typer.Option(help="a recording, with --labels")] = None,
    labels: Annotated[Path | None, typer.Option(help="Audacity labels of --stream")] = None,
    as_json: AsJson = False,
) -> None:
    """Count misses and false accepts per hour, with intervals.

    MODEL is a trained model with --dataset, an export with --stream.
    """
    if (dataset is None) == (stream is None) or (stream is None) != (labels is None):
        raise RequestError(
            "give either --dataset, or --stream together with --labels",
            expected="MODEL --dataset DATA, or EXPORT --stream WAV --labels TXT",
        )
    from models.evaluation import evaluate as evaluate_model
    from models.evaluation import report_text

    if dataset is not None:
        values = evaluate_model(model, dataset).values
    elif stream is not None and labels is not None:
        from wakebeam.stream_evaluation import evaluate_stream

        values = evaluate_stream(model, stream, labels).values
    if as_json:
        show_json(values)
    else:
        show(report_text(values))


@app.command(epilog="Example: wakebeam export w/model --out w/export --dataset w/data")
def export(
    model: Path,
    out: Annotated[Path, typer.Option(help="folder of the export")],
    dataset: Annotated[str | None, typer.Option(help="to check with; MODEL/../data")] = None,
) -> None:
    """Write SavedModel, TFLite float32 and int8, and metadata; refuses where they disagree."""
    from models.export import export as export_model

    metadata = export_model(model, out, data=dataset or str(model.resolve().parent / "data"))
    parity = metadata["parity"]
    show(
        f"{out}: largest difference in score from the trained model: SavedModel "
        f"{parity['saved_model']:.1e}, stream {parity['stream_float32']:.1e}, int8 "
        f"{parity['stream_int8']:.1e} ({parity['int8_detections_agreeing']} of "
        f"{parity['float_detections']} detections alike)"
    )


@app.command(epilog="Example: wakebeam detect --model w/export recording.m4a")
def detect(
    model: Annotated[Path, typer.Option(help="folder of an export")],
    files: Annotated[list[Path] | None, typer.Argument(metavar="FILE…")] = None,
    threshold: Annotated[float | None, typer.Option(min=0.0, max=1.0)] = None,
    stdin: Annotated[
        bool, typer.Option("--stdin", help="raw int16 mono at the model's rate")
    ] = False,
) -> None:
    """Print a JSON line for each detection: time_s, onset_s, label, score."""
    if bool(files) == stdin:
        raise RequestError("name files or pass --stdin, one of the two")
    from models.streaming import StreamingDetector
    from wakebeam.detecting import detect_file, detect_pcm

    detector = StreamingDetector(model, threshold=threshold)
    if stdin:
        for line in detect_pcm(detector):
            show_json(line)
    failed = found = 0
    for path in files or []:
        try:
            for line in detect_file(detector, path):
                show_json(line | ({"file": str(path)} if len(files or []) > 1 else {}))
                found += 1
        except AudioError as error:
            say(f"wakebeam: {error}")
            failed += 1
    if files:
        say(f"{found} detections in {len(files) - failed} of {len(files)} files")
    if failed:
        raise typer.Exit(1)


@app.command(epilog='Example: wakebeam speak "hello beacon" --out takes')
def speak(
    phrases: Annotated[list[str], typer.Argument(metavar="PHRASE…")],
    out: Annotated[Path, typer.Option(help="folder; each phrase gets a folder in it")],
    takes: Annotated[int, typer.Option(min=1, help="of each phrase")] = 100,
    seed: Annotated[int, typer.Option(min=0)] = 7,
    near_misses: Annotated[
        int, typer.Option(min=0, help="speak so many phrases that it is mistaken for, instead")
    ] = 0,
) -> None:
    """Speak phrases in many voices, rates and pitches; takes that exist are kept.

    A phrase in double brackets is spelt in espeak-ng's phonemes: "[[h@l'oU]]".
    """
    from pipeline.speech import speak_near_misses, speak_takes
    from wakebeam.console import progress

    made = kept = 0
    with progress("speak", "takes") as update:
        if near_misses:
            each = {"count": near_misses, "num_takes": takes, "seed": seed}
            for phrase in phrases:
                counts = speak_near_misses(phrase, out, **each, progress=update)
                made, kept = made + counts[0], kept + counts[1]
        else:
            made, kept = speak_takes(phrases, out, num_takes=takes, seed=seed, progress=update)
    show(f"{out}: {made} takes spoken, {kept} were there")
    if near_misses:
        show(f"next: wakebeam init DIR --keyword … --near-miss {shlex.quote(str(out))} …")
        return
    folders = sorted(shlex.quote(str(path)) for path in out.iterdir() if path.is_dir())
    show(f"next: wakebeam init DIR --keyword {folders[0]} --negative … --background …")


@app.command(epilog="Example: wakebeam rooms --out rooms --count 60")
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
        f"next: in the recipe, material.room: [{{path: {out}}}] and scene.effects.room: [0.5, 1.0]"
    )


@app.command(epilog="Example: wakebeam demo")
def demo(
    out: Annotated[Path, typer.Option(help="folder")] = Path("wakebeam-demo"),
    seed: Annotated[int, typer.Option(min=0)] = 7,
) -> None:
    """Make, train, judge and run a detector in minutes, without any data."""
    from wakebeam.demo import run_demo

    show(run_demo(out, seed=seed))


def spread(argv: list[str]) -> list[str]:
    """Let `init --keyword A B` mean `init --keyword A --keyword B`, which click can't parse."""
    if argv[:1] != ["init"]:
        return argv
    out, current = argv[:1], None
    for word in argv[1:]:
        if word.startswith("-"):
            current = word if word in _REPEATED else None
            if current is None:
                out.append(word)
        elif current is not None:
            out += [current, word]
        else:
            out.append(word)
    return out


def main(argv: list[str] | None = None) -> None:
    """Run the command line; exits with 0, 1 or 2."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    arguments = [word for word in arguments if word != "--debug"]
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "0" if debug else "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    logging.basicConfig(level=logging.INFO if debug else logging.ERROR)
    for name in ("tensorflow", "absl", "apache_beam"):
        logging.getLogger(name).setLevel(logging.INFO if debug else logging.ERROR)
    signal.signal(signal.SIGINT, _stop)
    try:
        code = app(args=spread(arguments), standalone_mode=False, prog_name="wakebeam")
    except WakebeamError as error:
        if debug:
            raise
        code = _fail(str(error), error.exit_code)
    except typer.Exit as error:
        code = error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except Exception as error:
        if debug:
            raise
        code = _unexpected(error)
    sys.exit(code if isinstance(code, int) else 0)


def _stop(number: int, frame: object) -> None:
    """End at once: all work is safe to kill, and a busy library may swallow an exception."""
    show_cursor = "\x1b[?25h" if sys.stderr.isatty() else ""
    text = f"{show_cursor}\nwakebeam: stopped; the same command goes on where it was\n"
    os.write(2, text.encode())
    os._exit(_INTERRUPTED)


def _fail(text: str, code: int) -> int:
    sys.stderr.write(f"wakebeam: {text}\n")
    return code


def _unexpected(error: Exception) -> int:
    if hasattr(error, "format_message"):  # click's, whichever copy of click typer brings
        command = getattr(getattr(error, "ctx", None), "command_path", "wakebeam")
        return _fail(f"{error.format_message()} See `{command} --help`.", 2)
    if isinstance(error, OSError):
        return _fail(f"{error.strerror or error}: {error.filename or ''}".rstrip(": "), 1)
    return _fail(f"{type(error).__name__}: {error} (--debug shows where)", 1)


if __name__ == "__main__":
    main()
