"""The image of a Dataflow worker and the Flex Template: what can be held without building one.

That the packages of requirements.worker.lock suffice to render is held by the replay in
tests/integration/test_dataflow.py. Nothing here shows that the image builds or boots.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest
from apache_beam.io.localfilesystem import LocalFileSystem
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.dataflow.internal.clients import dataflow as messages
from apitools.base.py import encoding

from beam_jobs import files, synthesize
from beam_jobs.dataflow import _REQUIRED, JobNotStarted
from beam_jobs.worker_wheel import PACKAGES
from schemas.errors import RecipeError
from tests.beam_jobs.small_job import job_recipe

ROOT = Path(__file__).resolve().parents[1]
WORDS = {"ARG", "COPY", "ENTRYPOINT", "ENV", "FROM", "RUN", "WORKDIR"}


def instructions() -> list[list[str]]:
    """The Dockerfile's instructions, as words."""
    text = (ROOT / "Dockerfile").read_text()
    return [line.split() for line in text.splitlines() if line and not line.startswith("#")]


def script(name: str) -> ModuleType:
    """A script without a suffix, as a module."""
    loader = SourceFileLoader(name, str(ROOT / "scripts" / name))
    spec = spec_from_loader(name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_the_dockerfile_copies_what_is_there_and_let_through() -> None:
    assert {words[0] for words in instructions()} <= WORDS
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignored, "all that isn't named stays outside, clip banks too"
    let_through = {line[1:] for line in ignored if line.startswith("!")}
    sources: set[str] = set()
    for words in instructions():
        if words[0] == "COPY" and not words[1].startswith("--from="):
            sources.update(words[1:-1])
    assert sources == let_through
    assert all((ROOT / source).exists() for source in sources)
    assert set(PACKAGES) == {source for source in sources if (ROOT / source).is_dir()}


def test_the_image_has_the_beam_that_the_lock_has() -> None:
    froms = [words[1] for words in instructions() if words[0] == "FROM"]
    (image,) = [name for name in froms if "beam_python" in name]
    version = image.rpartition(":")[2]
    assert (
        f"apache-beam=={version[: version.rindex('.')]}.*" in (ROOT / "pyproject.toml").read_text()
    )
    for lock in ("requirements.lock", "requirements.worker.lock"):
        assert f"\napache-beam=={version} \\\n" in (ROOT / lock).read_text()
    assert instructions()[-1] == ["ENTRYPOINT", '["/opt/apache/beam/boot"]']


def test_the_worker_lock_is_made_from_the_lock_and_has_no_tensorflow() -> None:
    text = (ROOT / "requirements.worker.lock").read_text()
    assert text == script("worker_lock").worker_lock(), "run scripts/worker_lock"
    names = re.findall(r"(?m)^([a-z0-9._-]+)==", text)
    entries = (ROOT / "requirements.lock").read_text()
    assert all(f"\n{name}==" in entries for name in names)
    assert {"apache-beam", "google-cloud-storage", "numba", "soundfile"} <= set(names)
    assert [n for n in names if re.match(r"tensorflow|tf-|keras|tensorboard|matplotlib", n)] == []
    assert text.count("--hash=sha256:") > len(names)


def test_the_template_asks_for_options_that_the_job_has() -> None:
    image = "europe-west1-docker.pkg.dev/a-project/images/wakebeam:1"
    command = [sys.executable, ROOT / "scripts" / "flex_template", image]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    spec = encoding.JsonToMessage(messages.ContainerSpec, text)
    assert spec.image == image
    for message in (spec, spec.sdkInfo, spec.metadata, *spec.metadata.parameters):
        assert message.all_unrecognized_fields() == []
    ours = {action.dest for action in synthesize.command_line()._actions if action.required}
    beams = set(PipelineOptions([]).get_all_options())
    asked = {p.name for p in spec.metadata.parameters if not p.isOptional}
    launcher_gives = {"project", "region", "temp_location"}
    assert asked == ours | set(_REQUIRED) - launcher_gives
    assert asked - ours <= beams
    for parameter in json.loads(text)["metadata"]["parameters"]:
        assert parameter["label"]
        example = re.search(r"such as (\S+)$", parameter["helpText"])
        assert example is not None
        (regex,) = parameter["regexes"]
        assert re.fullmatch(regex, example[1])
        assert not re.fullmatch(regex, "relative")


def test_the_launcher_ends_well_when_the_job_is_left_to_the_service(monkeypatch) -> None:
    calls = []

    def template(*arguments: object, **more: object) -> None:
        calls.append((arguments, more))
        raise JobNotStarted("prepared")

    monkeypatch.setattr(synthesize, "synthesize", template)
    monkeypatch.setattr(synthesize, "_recipe", lambda location: location)
    words = ["--recipe=gs://b/r.yaml", "--bank=gs://b/bank", "--out=gs://b/data"]
    more = ["--runner=DataflowRunner", "--template_location=gs://b/job"]
    assert synthesize.run([*words, *more]) is None
    ((given, options),) = calls
    assert given == ("gs://b/r.yaml", "gs://b/bank", "gs://b/data")
    assert options["beam_arguments"] == more


class Elsewhere(LocalFileSystem):
    """Local files under another scheme: what Beam makes of a URI, without a server."""

    @classmethod
    def scheme(cls) -> str:
        return "elsewhere"

    def exists(self, path: str) -> bool:
        return super().exists(path.removeprefix("elsewhere://"))

    def open(self, path: str, *arguments: object, **more: object) -> object:
        return super().open(path.removeprefix("elsewhere://"), *arguments, **more)


def test_a_recipe_may_lie_wherever_beam_reads(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(files, "STORES", ("elsewhere://",))
    made = job_recipe()
    (tmp_path / "recipe.yaml").write_text(made.model_dump_json(by_alias=True))
    assert synthesize._recipe(f"elsewhere://{tmp_path}/recipe.yaml") == made
    assert synthesize._recipe(str(tmp_path / "recipe.yaml")) == made
    with pytest.raises(RecipeError, match=r"recipe2\.yaml"):
        synthesize._recipe(f"elsewhere://{tmp_path}/recipe2.yaml")
