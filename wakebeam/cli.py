"""The command line. Each verb is a few lines in a `…_verbs` module; the work is done elsewhere.

Results go to stdout, progress and errors to stderr. Exit code 0: done; 1: the work failed or fell
short; 2: the request was wrong. An error is one paragraph; `--debug` shows the traceback.
"""

from __future__ import annotations

import atexit
import importlib.metadata
import logging
import os
import signal
import sys
import threading
import warnings
from typing import Annotated, NoReturn

import typer

from schemas.errors import WakebeamError
from wakebeam import (
    dataset_verbs,
    detect_verbs,
    inspect_verbs,
    label_verbs,
    material_verbs,
    model_verbs,
    record_verbs,
    stream_verbs,
    studio_verbs,
    whole_verbs,
)
from wakebeam.app import APP
from wakebeam.console import show

VERBS = (
    material_verbs,
    whole_verbs,
    dataset_verbs,
    model_verbs,
    stream_verbs,
    detect_verbs,
    label_verbs,
    inspect_verbs,
    record_verbs,
    studio_verbs,
)
"""The modules that add verbs to the application when they are imported."""

_ORDER = (
    "init check run synth verify inspect train retrain stream_set evaluate export detect mine "
    "labels cut record studio regenerate speak rooms noises effects doctor demo"
).split()
APP.registered_commands.sort(key=lambda verb: _ORDER.index(getattr(verb.callback, "__name__", "")))
_REPEATED = ("--keyword", "--negative", "--near-miss", "--background")
_INTERRUPTED = 130


@APP.callback(invoke_without_command=True)
def _main(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="print the version")] = False,
) -> None:
    if version:
        show(f"wakebeam {importlib.metadata.version('wakebeam')}")
    elif context.invoked_subcommand is None:
        show(context.get_help())


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
    if not debug:  # Google's clients, which Beam imports, count the days of this Python's support
        warnings.filterwarnings("ignore", category=FutureWarning, module=r"google\.")
    signal.signal(signal.SIGINT, _stop)
    try:
        code = APP(args=spread(arguments), standalone_mode=False, prog_name="wakebeam")
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
    _leave(code if isinstance(code, int) else 0)


def _leave(code: int) -> NoReturn:
    """End with `code`. Python takes a second or two to take TensorFlow apart; nobody waits for it.

    And tensorflow-io's S3 client aborts a process that ends as usual.
    """
    if "tensorflow" not in sys.modules:
        sys.exit(code)
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        code = 1
    os._exit(code)


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
