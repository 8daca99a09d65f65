"""Verbs on exported detectors: detect, mine."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from schemas.errors import AudioError, RequestError
from wakebeam.app import APP, AsJson
from wakebeam.console import say, show

if TYPE_CHECKING:
    from models.streaming import StreamingDetector
    from wakebeam.model_leaks import Known


_MOST_NAMED = 5


@APP.command(
    epilog="Example: wakebeam detect --model w/export recording.m4a. Live: arecord -q -t raw -f "
    "S16_LE -c 1 -r 16000 | wakebeam detect --model w/export --stdin --live"
)
def detect(
    model: Annotated[Path, typer.Option(help="folder of an export")],
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="FILE…", help="or folders of recordings")
    ] = None,
    threshold: Annotated[float | None, typer.Option(min=0.0, max=1.0)] = None,
    stdin: Annotated[bool, typer.Option("--stdin", help="raw int16 samples")] = False,
    rate: Annotated[
        int | None, typer.Option(min=4000, max=384000, help="of --stdin; else the model's")
    ] = None,
    channels: Annotated[int, typer.Option(min=1, max=64, help="of --stdin, interleaved")] = 1,
    live: Annotated[
        bool, typer.Option("--live", help="--stdin doesn't wait: if we're late, the newest wins")
    ] = False,
    microphone: Annotated[bool, typer.Option("--microphone", help="until Ctrl-C")] = False,
    device: Annotated[str | None, typer.Option(help="microphone's name or number")] = None,
    on_detect: Annotated[
        str | None,
        typer.Option(metavar="COMMAND", help="start this, e.g. 'notify-send {label}'; no shell"),
    ] = None,
    write_clips: Annotated[
        Path | None, typer.Option(metavar="DIR", help="what was heard around each detection")
    ] = None,
    chime: Annotated[
        Path | None,
        typer.Option(metavar="WAV|DIR", help="copy of the recording with a chime at each"),
    ] = None,
    chime_sound: Annotated[Path | None, typer.Option(help="your own chime")] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="PNG|SVG|DIR", help="spectrogram and score over time")
    ] = None,
    int8: Annotated[bool, typer.Option("--int8", help="the network in integers")] = False,
    as_json: AsJson = False,
) -> None:
    """Find the keywords in recordings, or in sound as it comes; a line for each detection."""
    if bool(files) + stdin + microphone != 1:
        raise RequestError("name files, or pass --stdin or --microphone: one of the three")
    if live and not stdin:
        raise RequestError("--live is for --stdin")
    if not files and (chime or plot):
        raise RequestError("--chime and --plot are for files")
    from models.live_buffer import LiveBuffer
    from models.operating_points import threshold_text
    from models.plots import SUFFIXES
    from models.step_model import StepModel
    from models.streaming import StreamingDetector
    from wakebeam import detect_outputs as to
    from wakebeam.detecting import (
        Output,
        Source,
        file_source,
        listen,
        live_source,
        microphone_source,
        pcm_source,
        stopped_by_ctrl_c,
    )

    step = StepModel(model, "int8" if int8 else "float32")
    own_hz = int(step.metadata["sample_rate_hz"])
    paths = list(_recordings(files or []))
    command = to.Command(on_detect) if on_detect else None

    stems = to.stems_of(paths)
    chimes = to.places_of(chime, stems, (".wav",)) if chime else {}
    plots = to.places_of(plot, stems, SUFFIXES) if plot else {}

    highest = to.Highest()

    def hear(source: Source) -> int:
        detector = StreamingDetector(step, threshold=threshold, input_rate_hz=source.rate_hz)
        outputs: list[Output] = [to.Lines(as_json), highest]
        outputs += [command] if command else []
        if write_clips:
            stem = stems[source.path] if source.path else time.strftime("live-%Y%m%d-%H%M%S")
            outputs.append(to.Clips(write_clips, stem, source))
        if source.path and chime:
            outputs.append(to.Chimes(chimes[source.path], source.path, chime_sound))
        if source.path and plot:
            outputs.append(to.Picture(plots[source.path], source.path, detector))
        return listen(detector, source, outputs)

    if not files:
        rate_hz = own_hz if microphone else rate or own_hz
        buffer = LiveBuffer(rate_hz)
        source = (
            microphone_source(buffer, rate_hz, device)
            if microphone
            else pcm_source(rate_hz, channels)
        )
        if live:
            source = live_source(source, buffer)
        with stopped_by_ctrl_c():
            hear(source)
        if buffer.lost_s:
            say(f"{buffer.lost_s:.1f} s of sound were lost in all: the machine was too slow")
        return
    failed = num_found = 0
    for path in paths:
        try:
            num_found += hear(file_source(path, own_hz))
        except AudioError as error:
            say(f"wakebeam: {error}")
            failed += 1
    found = f"{num_found} detection{'s' * (num_found != 1)}"
    say(f"{found}; {len(paths) - failed} of {len(paths)} files could be read")
    least = step.metadata.get("threshold") if threshold is None else threshold
    if not num_found and highest.score is not None and least is not None:
        heard, wanted = threshold_text(highest.score), threshold_text(least)
        say(f"the highest score was {heard}, the threshold is {wanted}")
    if failed:
        raise typer.Exit(1)


@APP.command(epilog="Example: wakebeam mine --model w/export radio/*.mp3 --out hard")
def mine(
    model: Annotated[Path, typer.Option(help="folder of an export")],
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE…", help="or folders, without the keyword")
    ],
    out: Annotated[Path, typer.Option(help="folder for the clips")],
    threshold: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="lower finds more")
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(help="what the model was trained on", show_default="MODEL/../data"),
    ] = None,
) -> None:
    """Cut false accepts out of recordings in which the keyword is not spoken.

    Left out are the model's own recordings, whose clips could come into another split than they are
    in, and stream sets, which judge. Don't mine what shall judge the detector later.
    """
    from models.export_folder import data_beside
    from models.operating_points import threshold_text
    from models.streaming import StreamingDetector
    from wakebeam.console import progress
    from wakebeam.cutting import SPEAKER_PATTERN, ClipNames
    from wakebeam.mining import mine as mine_file
    from wakebeam.mining import why_not

    detector = StreamingDetector(model, threshold=threshold)
    paths = list(_recordings(files))
    own = _own_recordings(detector, dataset or data_beside(model))
    made = kept = failed = left_out = 0
    with progress("mine", "files") as update:
        for done, path in enumerate(paths):
            update(done, len(paths))
            try:
                names = ClipNames(path)
                if reason := why_not(path, names, own):
                    left_out += 1
                    if left_out <= _MOST_NAMED:
                        say(f"{path} is left out: {reason}")
                    continue
                counts = mine_file(detector, path, names, out)
            except AudioError as error:
                say(f"wakebeam: {error}")
                failed += 1
                continue
            made, kept = made + counts[0], kept + counts[1]
        update(len(paths), len(paths))
    at = threshold_text(detector.threshold)
    counted = f"{made} false accepts cut out at threshold {at}, {kept} were there"
    show(f"{out}: {counted}" + f"; {left_out} recordings left out" * bool(left_out))
    if made:
        entry = f"{{path: {out.resolve()}, kind: hard, speaker_pattern: '{SPEAKER_PATTERN}'}}"
        show(f"next: add `- {entry}` to material.negative, then")
        show("      wakebeam run RECIPE --overwrite, or with the next retraining")
    if failed:
        raise typer.Exit(1)


def _own_recordings(detector: StreamingDetector, dataset: str) -> dict[str, Known]:
    """The recordings of the detector's own material; none where that isn't known, and said so."""
    from schemas.errors import WakebeamError
    from wakebeam.model_leaks import own_recordings

    try:
        return own_recordings(detector.metadata.get("card", {}), dataset)
    except WakebeamError as error:
        say(f"not checked whether these are the model's own recordings: {error.received}")
        return {}


def _recordings(files: Sequence[Path]) -> Iterator[Path]:
    """The files, and of folders what is in them.

    Raises:
        RequestError: a folder holds no sound.
    """
    from wakebeam.new_recipe import audio_names

    for path in files:
        names = audio_names(path) if path.is_dir() else None
        if names == []:
            raise RequestError(f"{path} holds no sound file")
        yield from [path] if names is None else [path / name for name in names]
