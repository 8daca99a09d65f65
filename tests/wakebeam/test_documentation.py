"""The documentation: it builds without a warning, names what there is, and its tutorials run.

A block of `sh` in a tutorial is run line by line, in the order of the page, in a reduced size; one
that can't be run here says why in a comment before it. So are the lines of other pages that begin
with `wakebeam`, but for those that need what isn't here (_NEEDS).
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from tests.audio_factory import material, write
from tests.wakebeam.conftest import Workplace
from tests.wakebeam.studio_client import session
from wakebeam.app import APP

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
TUTORIALS = sorted((DOCS / "tutorials").glob("*.md"))
_BLOCK = re.compile(r"(?:<!-- not run: ([^\n]+?) -->\n)?```sh\n(.*?)```", re.DOTALL)
_LINES = re.DOTALL | re.MULTILINE
_SETTINGS = (
    "dataset.num_examples={train: 48, validation: 12, test: 12}",
    "dataset.shard_bytes=2MiB",
    "scene.duration_s=4.0",
    "scene.num_keywords=[0, 1]",
    "scene.num_negatives=[0, 1]",
    "scene.margin_s=0.3",
    "model={family: stream_tcn, channels: 8, num_blocks: 2}",
    "training={batch_size: 8, epochs: 2}",
    "evaluation.hit_window_s=0.9",
)
_SETS = [word for setting in _SETTINGS for word in ("--set", setting)]
_OPTIONS = {
    "--takes": "4",
    "--near-misses": "3",
    "--count": "1",
    "--hours": "0.05",
    "--append": "16",
}
_NEEDS = {
    "--microphone": "a microphone",
    "record ": "a microphone",
    "--runner": "a cluster; tests/integration starts them",
    "s3://": "a store; tests/integration starts one",
    "--add-recipe": "another recipe; tests/beam_jobs/test_appending.py has one",
    "--int8": "a network that was trained well: a toy's integers are left out by name",
}
_ELSEWHERE = {
    "README": "the tutorials type the same",
    "command-line": "a shell to be completed, and a machine for `doctor`: test_command_line.py",
    "dataflow": "Google Cloud; tests/integration/test_dataflow.py",
    "embeddings": "AudioSet's files; test_embeddings.py",
    "studio": "a browser; test_studio.py",
    "training": "several processes; test_workers.py",
}
_TAKES_SETTINGS = ("run", "check", "synth", "train", "retrain", "stream-set")


def _blocks(page: Path) -> list[tuple[str | None, list[str]]]:
    """(why it isn't run, its commands) of each block."""
    found = _BLOCK.findall(page.read_text(encoding="utf-8"))
    return [(why or None, text.replace("\\\n", " ").strip().splitlines()) for why, text in found]


def _smaller(words: list[str], *, scenes: bool) -> list[str]:
    """The same command in a reduced size."""
    made = [_OPTIONS.get(before, word) for before, word in zip(["", *words], words, strict=False)]
    if made[1] == "speak" and "--takes" not in made:
        made += ["--takes", "16"]
    if made[1] in _TAKES_SETTINGS:
        own = {word.partition("=")[0] for word in made}
        sets = _SETS[:4] if scenes else _SETS
        made += [
            word
            for flag, setting in zip(sets[::2], sets[1::2], strict=True)
            if not any(name.startswith(setting.partition("=")[0]) for name in own)
            for word in (flag, setting)
        ]
    return made


@pytest.fixture(scope="module")
def workplace(tmp_path_factory) -> Workplace:
    """Folders `kw`, `other`, `noise` and `radio`, and recordings, as the pages call them."""
    folder = tmp_path_factory.mktemp("reader")
    material(folder, keywords=30, negatives=30, backgrounds=12)
    material(folder / "elsewhere", keywords=0, negatives=3, backgrounds=0)
    (folder / "elsewhere/other").rename(folder / "radio")
    material(folder / "new", keywords=4, negatives=0, backgrounds=0)
    for day, takes in {"monday": ("0", "1"), "tuesday": ("2", "3"), "long": ("2", "3")}.items():
        sound = session(folder / "new", [f"kw/{take}.wav" for take in takes])
        write(folder / f"{day}.wav", sound)
        begin_s = 1.2 + 3000 / 16000
        (folder / f"{day}.txt").write_text(f"{begin_s}\t{begin_s + 0.3}\tkw\n")
    write(folder / "talks/recording.wav", sound)
    shutil.copy(folder / "talks/recording.wav", folder / "recording.wav")
    shutil.copy(folder / "talks/recording.wav", folder / "recording.m4a")  # ffmpeg looks inside
    return Workplace(folder)


@pytest.mark.parametrize(
    "name", ["first-wake-word", "from-recordings", "retraining", "soundscapes", "million-examples"]
)
def test_every_command_of_a_tutorial_runs(workplace, name) -> None:
    num_run = 0
    for why, commands in _blocks(DOCS / "tutorials" / f"{name}.md"):
        for command in commands if why is None else ():
            words = _smaller(shlex.split(command), scenes=name == "soundscapes")
            assert words[0] == "wakebeam"
            workplace(*words[1:])
            num_run += 1
    assert num_run >= 3
    if name == "first-wake-word":
        assert num_run <= 10, "a newcomer's first detector takes ten commands at most"


@pytest.mark.parametrize("name", ["detecting", "judging", "looking", "scale", "export"])
def test_every_command_of_a_page_runs(workplace, name) -> None:
    if not (workplace.folder / "w/export").exists():  # else by a tutorial
        workplace("init", "w", "--keyword", "kw", "--negative", "other", "--background", "noise")
        workplace("run", "w", *_SETS)
    lines = [line for line in _typed(DOCS / f"{name}.md") if line.startswith("wakebeam ")]
    commands = [line for line in lines if not any(need in line for need in _NEEDS)]
    if any("stream-set" in command for command in commands):  # other options than a tutorial's
        shutil.rmtree(workplace.folder / "w/stream", ignore_errors=True)
    for command in commands:
        words = shlex.split(command, comments=True)
        workplace(*_smaller(words, scenes=False)[1:])
    assert commands


def test_nothing_is_passed_over_in_vain() -> None:
    typed = {
        page.stem: [line for line in _typed(page) if line.startswith("wakebeam ")]
        for page in (ROOT / "README.md", *sorted(DOCS.glob("*.md")))
    }
    run = set(test_every_command_of_a_page_runs.pytestmark[0].args[1])
    assert {page for page, lines in typed.items() if lines} == run | set(_ELSEWHERE)
    for need in _NEEDS:
        assert any(need in line for page in run for line in typed[page]), need


def test_all_tutorials_are_run() -> None:
    assert len(TUTORIALS) == 5
    marks = test_every_command_of_a_tutorial_runs.pytestmark
    assert {page.stem for page in TUTORIALS} == set(marks[0].args[1])


def test_what_the_pages_tell_to_type_exists() -> None:
    """Verbs and options of every `wakebeam …` line in the README and in the documentation."""
    verbs = {command.name: command for command in _commands().values()}
    num_seen = 0
    for page in (ROOT / "README.md", *sorted(DOCS.rglob("*.md"))):
        for verb, rest in re.findall(r"\bwakebeam ([a-z][a-z-]*)([^\n#|]*)", _code(page)):
            assert verb in verbs, f"{page.name}: wakebeam {verb}"
            if verb == "synth" or verb == "train" or verb == "run":
                continue  # hand what they don't know to Beam, or to a task of their own
            known = {name for p in verbs[verb].params for name in (*p.opts, *p.secondary_opts)}
            for option in re.findall(r"(?<= )--[a-z][a-z0-9-]*", rest):
                assert option in known | {"--help", "--debug"}, f"{page.name}: {verb} {option}"
                num_seen += 1
    assert num_seen > 40


def _code(page: Path) -> str:
    """What stands in blocks and between backticks, a line each."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=_LINES)
    return "\n".join([*_typed(page), *re.findall(r"`([^`\n]+)`", text)])


def _typed(page: Path) -> list[str]:
    """The lines that stand in fences or are indented."""
    text = page.read_text(encoding="utf-8")
    fenced = re.findall(r"^```[a-z]*\n(.*?)^```", text, _LINES)
    rest = re.sub(r"^```.*?^```", "", text, flags=_LINES)
    return [*"".join(fenced).splitlines(), *re.findall(r"^ {4}(\S.*)", rest, re.MULTILINE)]


def _commands() -> dict:
    import wakebeam.cli  # noqa: F401 - registers the verbs

    return typer.main.get_command(APP).commands


def test_the_site_builds_without_a_warning_and_asks_nobody(tmp_path) -> None:
    pytest.importorskip("mkdocs", reason="mkdocs is not installed")
    words = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "-q",
        "-d",
        str(tmp_path / "site"),
    ]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > 25
    for page in pages:
        text = page.read_text(encoding="utf-8")
        asked = re.findall(r"<(?:script|img|iframe)[^>]* src=\"?(https?:[^\" >]+)", text)
        asked += re.findall(r"<link[^>]* href=\"?(https?:[^\" >]+)", text)
        assert asked == [], page.name
