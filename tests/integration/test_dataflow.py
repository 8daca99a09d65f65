"""Dataflow without the cloud: submission and staged graph against local fakes, never the service.

From weak to strong: what is refused; a dry run; the job and the files that a submission would send;
and a replay, in which that very graph is run here by workers whose only way to our code is the
staged wheel, and whose only other packages are those of requirements.worker.lock.
"""

from __future__ import annotations

import base64
import bz2
import importlib.metadata
import re
import shlex
import socket
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions
from apache_beam.portability.api import beam_runner_api_pb2 as protos
from apache_beam.runners.dataflow.internal.clients import dataflow as messages
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apitools.base.py import encoding

from beam_jobs import output_state
from beam_jobs.bank_building import build_bank
from beam_jobs.dataflow import JobNotStarted
from beam_jobs.job import SynthesisJob
from beam_jobs.local_workers import WatchedSubprocesses
from beam_jobs.runners import Engine
from beam_jobs.synthesize import synthesize
from beam_jobs.transforms import SynthesizeScenes
from pipeline.clip_bank import ClipBank
from schemas.errors import RequestError
from tests.audio_factory import material
from tests.beam_jobs.small_job import job_recipe, shard_digests

ROOT = Path(__file__).resolve().parents[2]
BANK, OUT = "gs://a-bucket/bank/0123456789abcdef", "gs://a-bucket/data"
IMAGE = "europe-west1-docker.pkg.dev/a-project/images/wakebeam:1"
NAMED = {
    "runner": "DataflowRunner",
    "project": "a-project",
    "region": "europe-west1",
    "temp_location": "gs://a-bucket/tmp",
    "sdk_container_image": IMAGE,
}


def arguments(**named: str | None) -> list[str]:
    return [f"--{name}={value}" for name, value in (NAMED | named).items() if value is not None]


def engine(*places: str, num_shards: int = 8, **named: str | None) -> Engine:
    more = {"num_workers": 2, "num_shards": num_shards, "places": places or (BANK, OUT)}
    return Engine(arguments(**named), **more)


def the_job(bank: str = BANK, out: str = OUT, digest: str = "0" * 64) -> SynthesisJob:
    return SynthesisJob(job_recipe().model_dump_json(by_alias=True), bank, digest, out)


def submit(job: SynthesisJob, made: Engine) -> Any:
    """Build the pipeline and hand it to the runner, which ends before anything runs."""
    pipeline = beam.Pipeline(runner=made.runner, options=made.options)
    _ = pipeline | SynthesizeScenes(job)
    with pytest.raises(JobNotStarted):
        made.run(pipeline)
    return made.runner


def stage(job: SynthesisJob, folder: Path) -> Path:
    """Let the runner write all that it would upload, and the job, into a folder of this machine."""
    made = engine(dataflow_endpoint="http://localhost:1")
    google = made.options.view_as(GoogleCloudOptions)
    google.no_auth = True
    google.staging_location = google.temp_location = str(folder)
    google.template_location = str(folder / "job.json")
    submit(job, made)
    return folder


@pytest.fixture(scope="module", autouse=True)
def nothing_leaves_this_machine() -> Iterator[None]:
    """Fail whatever looks for a host that isn't this one."""
    real = socket.getaddrinfo

    def local_only(host: Any, *more: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name not in (None, "", "localhost", "127.0.0.1", "::1", "::", "0.0.0.0"):
            raise AssertionError(f"a connection to {name} was tried")
        return real(host, *more, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", local_only)
        yield


@pytest.fixture(scope="module")
def staged(tmp_path_factory) -> Path:
    return stage(the_job(), tmp_path_factory.mktemp("staged"))


@pytest.fixture(scope="module")
def pipeline(staged) -> protos.Pipeline:
    return protos.Pipeline.FromString((staged / "pipeline.pb").read_bytes())


@pytest.fixture(scope="module")
def bank(tmp_path_factory) -> ClipBank:
    folder = tmp_path_factory.mktemp("material")
    material(folder)
    return build_bank(job_recipe(), base_dir=folder, bank_root=folder / "bank")


# What is refused, before anything is written or asked for.


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ({"project": None}, "needs --project.*--project=my-project"),
        ({"region": None, "temp_location": None}, "needs --region, --temp_location"),
        ({"sdk_container_image": None}, "--sdk_container_image=REGION-docker"),
        ({"project": "12345678"}, "--project is '12345678'"),
        ({"region": "europe-west1-b"}, "--region is 'europe-west1-b'"),
        ({"temp_location": "tmp"}, "--temp_location is 'tmp'"),
        ({"temp_location": "gs://ab/tmp"}, "'gs://ab/tmp'.*name of 3"),
        ({"staging_location": "gs://B/tmp"}, "--staging_location is 'gs://B/tmp'"),
        ({"job_name": "My job"}, "--job_name is 'My job'"),
        ({"sdk_container_image": "wakebeam"}, "--sdk_container_image is 'wakebeam'"),
    ],
)
def test_options_are_refused_by_name_with_the_cure(named, says) -> None:
    with pytest.raises(RequestError, match=says):
        engine(**named)


@pytest.mark.parametrize(
    ("places", "says"),
    [
        (("bank", OUT), "can't see bank.*gs://BUCKET.*copy the clip bank"),
        ((BANK, "/data"), "can't see /data"),
        ((BANK, "s3://a-bucket/data"), "can't see s3://"),
        ((BANK, "gs://ab"), "'gs://ab'"),
    ],
)
def test_what_workers_could_not_see_is_refused(places, says) -> None:
    with pytest.raises(RequestError, match=says):
        engine(*places)


def test_the_job_is_refused_before_the_bank_is_opened_or_a_folder_made(tmp_path) -> None:
    out = tmp_path / "data"
    with pytest.raises(RequestError, match="can't see .*no-such-bank"):
        synthesize(job_recipe(), "no-such-bank", str(out), beam_arguments=arguments())
    assert not out.exists()


def test_defaults_fill_what_is_open_and_leave_what_is_named() -> None:
    found = engine(runner="dataflow").options.get_all_options()
    assert found["machine_type"] == "e2-standard-4"
    assert (found["num_workers"], found["max_num_workers"], found["disk_size_gb"]) == (2, 2, 50)
    assert found["autoscaling_algorithm"] == "THROUGHPUT_BASED"
    assert found["job_name"] == engine().options.get_all_options()["job_name"]
    assert found["job_name"] != engine(BANK, OUT + "2").options.get_all_options()["job_name"]
    assert engine(num_shards=10**4).options.get_all_options()["max_num_workers"] == 16
    named = {
        "machine_type": "n2-standard-8", "num_workers": "30", "disk_size_gb": "200",
        "autoscaling_algorithm": "NONE", "job_name": "mine",
    }  # fmt: skip
    found = engine(**named).options.get_all_options()
    assert {name: str(found[name]) for name in named} == named
    assert found["max_num_workers"] == 30
    assert engine(max_num_workers="1").options.get_all_options()["num_workers"] == 1


# Level 1: a dry run makes the whole graph and knows what would be staged.


def test_a_dry_run_makes_the_graph_and_sends_nothing() -> None:
    runner = submit(the_job(), engine(dry_run="True"))
    (environment,) = runner.proto_pipeline.components.environments.values()
    payload = protos.DockerPayload.FromString(environment.payload)
    assert payload.container_image == IMAGE
    names = [
        protos.ArtifactStagingToRolePayload.FromString(item.role_payload).staged_name
        for item in environment.dependencies
    ]
    version = importlib.metadata.version("wakebeam")
    assert sorted(names) == ["extra_packages.txt", f"wakebeam-{version}-py3-none-any.whl"]


def test_a_dry_run_of_the_whole_job_leaves_a_data_set_alone(tmp_path, bank, monkeypatch) -> None:
    """With --overwrite too; the local folders stand for buckets."""
    import beam_jobs.dataflow as ours

    monkeypatch.setattr(ours, "_refuse", lambda options, places: None)
    out = tmp_path / "data"
    synthesize(job_recipe(), bank.directory, str(out), num_workers=1)
    before = shard_digests(out)
    more = {"beam_arguments": arguments(dry_run="True"), "overwrite": True}
    with pytest.raises(JobNotStarted):
        synthesize(job_recipe(seed=8), bank.directory, str(out), **more)
    assert shard_digests(out) == before
    assert (out / "manifest.json").exists()


# Level 2: the job and the files that a submission would send.


def test_the_job_has_no_field_that_the_service_does_not_know(staged) -> None:
    job = encoding.JsonToMessage(messages.Job, (staged / "job.json").read_text())
    assert list(unknown_fields(job)) == []
    (pool,) = job.environment.workerPools
    assert (pool.machineType, pool.numWorkers, pool.diskSizeGb) == ("e2-standard-4", 2, 50)
    assert pool.autoscalingSettings.maxNumWorkers == 2
    assert [image.containerImage for image in pool.sdkHarnessContainerImages] == [IMAGE]
    assert str(job.type) == "JOB_TYPE_BATCH"
    misspelt = '{"environment": {"workerPools": [{"machineTipe": "e2"}]}}'
    assert list(unknown_fields(encoding.JsonToMessage(messages.Job, misspelt))) == ["machineTipe"]


def unknown_fields(message: Any) -> Iterator[str]:
    """Names that no field of a message, or of one inside it, has."""
    yield from message.all_unrecognized_fields()
    for field in message.all_fields():
        value = getattr(message, field.name)
        for item in value if field.repeated else [value]:
            if hasattr(item, "all_unrecognized_fields"):
                yield from unknown_fields(item)


def test_the_graph_is_one_straight_line(pipeline) -> None:
    transforms = pipeline.components.transforms.values()
    leaves = [t for t in transforms if not t.subtransforms and t.spec.urn]
    produced = [name for t in leaves for name in t.outputs.values()]
    consumed = [name for t in leaves for name in t.inputs.values()]
    assert len(leaves) > 5
    assert all(len(t.inputs) <= 1 and len(t.outputs) <= 1 for t in leaves)
    assert len(set(consumed)) == len(consumed), "something is read twice"
    assert len(set(produced) - set(consumed)) == 1, "there are two ends"
    assert sum(not t.inputs for t in leaves) == 1, "there are two beginnings"
    names = [t.unique_name.split("/")[1] for t in transforms if t.unique_name.count("/") == 1]
    wanted = ["Shard specs", "Spread", "Make shards", "Spread again", "Make what failed"]
    assert sorted(names) == sorted([*wanted, "Gather reports", "Close"])


def test_the_graph_holds_no_place_of_this_machine_and_no_audio(pipeline, staged) -> None:
    data = [pipeline.SerializeToString(), *pickles(pipeline)]
    data += [(staged / "extra_packages.txt").read_bytes()]
    # The folder stands for the bucket; Beam's own functions carry their file's name.
    for known in (staged, Path(beam.__file__).parent):
        data = [part.replace(str(known).encode(), b"") for part in data]
    for place in (str(ROOT), str(Path.home()), sys.prefix, tempfile.gettempdir()):
        assert not any(place.encode() in part for part in data), place
    assert sum(map(len, data)) < 100_000, "a graph of this size may hold audio"
    assert any(OUT.encode() in part for part in data), "the pickles were not looked into"
    assert not any("submission_environment" in path.name for path in staged.iterdir())


def pickles(pipeline: protos.Pipeline) -> Iterator[bytes]:
    """What Beam packed in the steps' payloads, unpacked but not loaded."""
    for transform in pipeline.components.transforms.values():
        for text in re.findall(rb"QlpoO[A-Za-z0-9+/=]+", transform.spec.payload):
            yield bz2.decompress(base64.b64decode(text))


def test_the_wheel_is_whole_small_and_asks_for_nothing(staged) -> None:
    (path,) = staged.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        metadata = archive.read(next(n for n in names if n.endswith("METADATA"))).decode()
    assert "Requires" not in metadata, "workers would download TensorFlow"
    for package in ("beam_jobs", "pipeline", "schemas"):
        tracked = {p.relative_to(ROOT).as_posix() for p in (ROOT / package).rglob("*.py")}
        assert tracked <= set(names)
    assert not any(name.startswith(("models", "wakebeam/", "tests")) for name in names)
    assert path.stat().st_size < 1_000_000


# Level 4: the staged graph runs, with nothing of ours but what was staged.


def test_the_staged_graph_makes_the_same_bytes_from_the_staged_wheel_alone(tmp_path, bank) -> None:
    expected = synthesize(job_recipe(), bank.directory, str(tmp_path / "here"), num_workers=1)
    out = tmp_path / "there"
    folder = tmp_path / "staged"
    folder.mkdir()
    job = the_job(str(bank.directory), str(out), bank.digest)
    stage(job, folder)
    output_state.begin(job)  # what the launcher does before it submits
    with pytest.raises(Exception, match="No module named '(beam_jobs|pipeline|schemas)'"):
        replay(folder, [locked_packages(tmp_path)])
    assert list(out.rglob("*.tfrecord")) == []
    unpacked = install(next(folder.glob("*.whl")), tmp_path / "unpacked")
    replay(folder, [unpacked, locked_packages(tmp_path)])
    assert shard_digests(out) == shard_digests(tmp_path / "here")
    assert (out / "manifest.json").exists()
    assert len(shard_digests(out)) == len(expected.manifest.shards) >= 6


def replay(staged: Path, path: list[Path]) -> None:
    """Run a staged graph in a worker process that finds modules on `path` and nowhere else."""
    pipeline = protos.Pipeline.FromString((staged / "pipeline.pb").read_bytes())
    where = ":".join(map(str, path))
    words = ["env", f"PYTHONPATH={where}", sys.executable, "-S", "-P", "-m"]
    words += ["apache_beam.runners.worker.sdk_worker_main"]
    worker = WatchedSubprocesses.from_command_string(f"exec {shlex.join(words)}")
    urn, payload = worker.to_runner_api_parameter(None)
    (environment,) = pipeline.components.environments.values()
    environment.urn, environment.payload = urn, payload
    del environment.dependencies[:]
    FnApiRunner().run_via_runner_api(pipeline, PipelineOptions([])).wait_until_finish()


def install(wheel: Path, folder: Path) -> Path:
    """Install a wheel as the workers' boot program does, into a folder of its own."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*pip, "--no-index", "--target", folder, wheel], check=True)
    return folder


def locked_packages(tmp_path: Path) -> Path:
    """A folder with the packages of requirements.worker.lock, as they are installed here."""
    folder = tmp_path / "locked"
    folder.mkdir(exist_ok=True)
    site = Path(sysconfig.get_path("purelib"))
    lock = (ROOT / "requirements.worker.lock").read_text()
    for name in re.findall(r"(?m)^([a-z0-9._-]+)==", lock):
        try:
            files = importlib.metadata.files(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # for another Python
        for top in {file.parts[0] for file in files} - {"..", "__pycache__"}:
            if not (folder / top).exists():
                (folder / top).symlink_to(site / top)
    return folder
