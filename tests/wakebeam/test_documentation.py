"""The documentation: it builds without a warning, names what there is, and its tutorials run.

A block of `sh` in a tutorial is run line by line, in the order of the page, in a reduced size; one
that can't be run here says why in a comment before it. So are the lines of other pages that begin
with `wakebeam`, but for those that need what isn't here (_NEEDS) and those that another test types
(_ELSEWHERE). Blocks of Python are run and blocks of YAML read as part of a recipe; export.md's
Python is typed by test_export.py.
"""

from __future__ import annotations

import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer
import yaml

from pipeline.recipe_file import load_recipe
from schemas.recipe import Recipe
from schemas.recipe_scene import Scene
from tests.audio_factory import material, write
from tests.models.test_fitting import free_addresses
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
    "dataflow": ("Google Cloud", "tests/integration/test_dataflow.py"),
    "embeddings": ("typed there, with clips of its own", "tests/wakebeam/test_embeddings.py"),
    "studio": ("stays open; started there", "tests/wakebeam/studio_client.py"),
    "training": ("typed there, once for each of two workers", "tests/wakebeam/test_workers.py"),
}
_READMES = {"takes/athena": "kw", "speech": "other"}
"""Folders of the README, and what they are called elsewhere: so nothing is trained twice."""
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
    if made[1] == "init":
        made.append("--overwrite")  # the README's recipe is a tutorial's
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


def test_a_newcomer_types_ten_lines_and_opens_no_editor() -> None:
    """From the clone to the own keyword detected in a file, set-up included.

    That the detector then knows its keyword in takes that are new to it takes three minutes of two
    cores: `scripts/newcomer` types these commands and sees.
    """
    page = (DOCS / "tutorials/first-wake-word.md").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    set_up = ["make setup", "source .venv/bin/activate"]
    for line in set_up:
        assert f"`{line}`" in page
        assert f"`{line}`" in readme
    blocks = _blocks(DOCS / "tutorials/first-wake-word.md")
    typed = [shlex.split(line) for why, lines in blocks if why is None for line in lines]
    assert len(set_up) + len(typed) <= 10
    script = runpy.run_path(str(ROOT / "scripts/newcomer"), run_name="newcomer")
    assert script["commands"]() == typed
    verbs = [words[1] for words in typed]
    assert verbs.index("run") < verbs.index("detect")
    assert typed[verbs.index("detect")][2:4] == ["--model", "beacon/export"]
    assert "first-wake-word.md" in readme.partition("## Your own keyword")[2]


def _readmes_commands(workplace: Workplace) -> int:
    """Type the README's commands; return how many they are."""
    lines = [line for line in _typed(ROOT / "README.md") if line.startswith("wakebeam ")]
    for line in lines:
        words = [_READMES.get(word, word) for word in shlex.split(line, comments=True)]
        if words[1] == "run":
            words.append("--overwrite")  # a tutorial's model may be there, of other scenes
        workplace(*_smaller(words, scenes=False)[1:])
    return len(lines)


def test_the_commands_of_the_readme_run(workplace) -> None:
    assert _readmes_commands(workplace) == 4
    assert (workplace.folder / "w/export/metadata.json").exists()


@pytest.mark.parametrize(
    "name", ["detecting", "judging", "looking", "scale", "export", "command-line"]
)
def test_every_command_of_a_page_runs(workplace, name) -> None:
    if not (workplace.folder / "w/export").exists():  # else by a tutorial
        _readmes_commands(workplace)
    skipped = [line for why, lines in _blocks(DOCS / f"{name}.md") if why for line in lines]
    lines = [line for line in _typed(DOCS / f"{name}.md") if line.startswith("wakebeam ")]
    commands = [
        line for line in lines if line not in skipped and not any(need in line for need in _NEEDS)
    ]
    if any("stream-set" in command for command in commands):  # other options than a tutorial's
        shutil.rmtree(workplace.folder / "w/stream", ignore_errors=True)
    for command in commands:
        words = shlex.split(command, comments=True)
        workplace(*_smaller(words, scenes=False)[1:])
    assert commands


def test_nothing_is_passed_over_in_vain() -> None:
    """And who is said to type a page's commands does so."""
    typed = {
        page.stem: [line for line in _typed(page) if line.startswith("wakebeam ")]
        for page in sorted(DOCS.glob("*.md"))
    }
    run = set(test_every_command_of_a_page_runs.pytestmark[0].args[1])
    assert {page for page, lines in typed.items() if lines} == run | set(_ELSEWHERE)
    for need in _NEEDS:
        assert any(need in line for page in run for line in typed[page]), need
    for page, (_, elsewhere) in _ELSEWHERE.items():
        words = "typed_on(" if page in ("embeddings", "training") else page
        assert words in (ROOT / elsewhere).read_text(encoding="utf-8"), elsewhere


@pytest.mark.parametrize("name", ["scenes", "detecting", "input"])
def test_the_python_of_a_page_runs(workplace, name) -> None:
    """Beside it: sound where the page takes it for given, another port, and no wait for ever."""
    if not (workplace.folder / "w/export").exists():
        _readmes_commands(workplace)
    blocks = _indented_or_fenced(DOCS / f"{name}.md", "python")
    assert len(blocks) == 1
    code = "import numpy as np\nsound = [np.zeros(4800, np.int16)] * 20\n" + blocks[0]
    code = code.replace("5000", free_addresses(1)[0].rpartition(":")[2])
    code = code.replace("worker.join()", "assert worker is not dispatcher")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=workplace.folder, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert name != "scenes" or " kw " in done.stdout, "an event of the data set"


@pytest.mark.parametrize(("name", "num_blocks"), [("scenes", 3), ("input", 2), ("sound_events", 1)])
def test_the_yaml_of_a_page_is_of_a_recipe(tmp_path, name, num_blocks) -> None:
    """Each is laid over a recipe's own keys, or over those of its scene."""
    material(tmp_path, keywords=1, negatives=1, backgrounds=1)
    for ours, theirs in {"kw": "athena", "other": "door"}.items():
        (tmp_path / ours).rename(tmp_path / theirs)
    place = Workplace(tmp_path)
    place("init", "w", "--keyword", "athena", "--negative", "door", "--background", "noise")
    recipe = tmp_path / "w/recipe.yaml"
    whole = yaml.safe_load(recipe.read_text(encoding="utf-8"))
    whole["material"]["negative"][0] |= {"label": "door"}
    whole["material"]["room"] = [{"path": "../rooms"}]
    blocks = _indented_or_fenced(DOCS / f"{name}.md", "yaml")
    assert len(blocks) == num_blocks
    for block in blocks:
        told = yaml.safe_load(block)
        assert set(told) <= set(Recipe.model_fields) or set(told) <= set(Scene.model_fields)
        if not set(told) <= set(Recipe.model_fields):
            told = {"scene": whole["scene"] | {"margin_s": 1.0} | told}  # as pinned events want it
        recipe.write_text(yaml.safe_dump(whole | told), encoding="utf-8")
        made = load_recipe(recipe)
        for key in told:
            assert getattr(made, key) != getattr(Recipe.model_validate(whole), key), key


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


def _indented_or_fenced(page: Path, language: str) -> list[str]:
    """Blocks of a language: fenced, or indented and begun as only that language begins."""
    text = page.read_text(encoding="utf-8")
    begins = {"python": r"(?:from|import) \w", "yaml": r"\w+:\n"}[language]
    fenced = re.findall(rf"^```{language}\n(.*?)^```", text, _LINES)
    rest = re.sub(r"^```.*?^```", "", text, flags=_LINES)
    indented = re.findall(r"(?:(?:^ {4}.*\n|^\n(?= {4}))+)", rest, re.MULTILINE)
    made = [re.sub(r"^ {4}", "", block, flags=re.MULTILINE).lstrip("\n") for block in indented]
    return fenced + [block for block in made if re.match(begins, block)]


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
