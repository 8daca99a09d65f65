"""A submission to the end, against an emulator of Cloud Storage and a fake of Dataflow's endpoint.

On demand, since Beam polls every five seconds: WAKEBEAM_DATAFLOW_LEVEL_3=1. The fake takes a job
and says that it is done, or why it failed; it runs nothing. A submission to `localhost` switches
Beam's own checks of its options off, so only ours are at work here.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from typing import Any

import apache_beam as beam
import pytest

from beam_jobs.job import SynthesisJob
from beam_jobs.runners import Engine
from beam_jobs.transforms import SynthesizeScenes
from beam_jobs.worker_wheel import write_worker_wheel
from schemas.errors import DatasetError
from tests.beam_jobs.small_job import job_recipe
from tests.integration.services import JsonHandler

pytestmark = pytest.mark.skipif(
    os.environ.get("WAKEBEAM_DATAFLOW_LEVEL_3") != "1",
    reason="waits for Beam's polling; WAKEBEAM_DATAFLOW_LEVEL_3=1 runs it",
)
BUCKET = "a-bucket"
BANK, OUT = f"gs://{BUCKET}/bank", f"gs://{BUCKET}/data"
COMPLAINT = "worker pool: no quota for 8 CPUs in europe-west1"


class FakeService(ThreadingHTTPServer):
    """Dataflow's REST endpoint, as far as Beam asks: create, get and messages of one job."""

    def __init__(self, end: str) -> None:
        super().__init__(("localhost", 0), _Handler)
        self.end = end
        self.submitted: list[dict[str, Any]] = []

    def answer(self, path: str) -> dict[str, Any]:
        if path.endswith("/messages"):
            told = {"time": "2026-01-01T00:00:00Z", "messageText": COMPLAINT, "id": "1"}
            failed = [told | {"messageImportance": "JOB_MESSAGE_ERROR"}]
            return {"jobMessages": failed if self.end == "JOB_STATE_FAILED" else []}
        job = self.submitted[-1]
        return {"id": "2026-1", "name": job["name"], "currentState": self.end}


class _Handler(JsonHandler):
    server: FakeService

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self.server.submitted.append(json.loads(self.rfile.read(length)))
        job = self.server.submitted[-1]
        running = {"id": "2026-1", "name": job["name"], "currentState": "JOB_STATE_RUNNING"}
        self.say(running | {"clientRequestId": job["clientRequestId"]})

    def do_GET(self) -> None:
        self.say(self.server.answer(self.path.partition("?")[0]))


@pytest.fixture
def bucket(monkeypatch) -> Iterator[Any]:
    from gcp_storage_emulator.server import create_server
    from google.cloud import storage

    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://localhost:{port}")
    server = create_server("localhost", port, in_memory=True, default_bucket=BUCKET)
    server.start()
    yield storage.Client.create_anonymous_client().bucket(BUCKET)
    server.stop()


def submit(service: FakeService) -> None:
    threading.Thread(target=service.serve_forever, daemon=True).start()
    arguments = [
        "--runner=DataflowRunner", "--project=a-project", "--region=europe-west1", "--no_auth",
        f"--dataflow_endpoint=http://localhost:{service.server_port}",
        f"--temp_location=gs://{BUCKET}/tmp", f"--staging_location=gs://{BUCKET}/staging",
        "--sdk_container_image=images/wakebeam:1",
    ]  # fmt: skip
    engine = Engine(arguments, num_workers=2, num_shards=8, places=(BANK, OUT))
    job = SynthesisJob(job_recipe().model_dump_json(by_alias=True), BANK, "0" * 64, OUT)
    pipeline = beam.Pipeline(runner=engine.runner, options=engine.options)
    _ = pipeline | SynthesizeScenes(job)
    try:
        engine.run(pipeline)
    finally:
        service.shutdown()
        service.server_close()


def test_a_job_is_uploaded_submitted_and_awaited(bucket, tmp_path) -> None:
    service = FakeService("JOB_STATE_DONE")
    submit(service)
    (job,) = service.submitted
    assert job["name"].startswith("wakebeam-")
    staged = {blob.name.rpartition("/")[2]: blob for blob in bucket.list_blobs(prefix="staging/")}
    (wheel,) = [name for name in staged if name.endswith(".whl")]
    assert sorted(staged) == sorted(["extra_packages.txt", "pipeline.pb", wheel])
    ours = write_worker_wheel(tmp_path)
    assert staged[wheel].download_as_bytes() == ours.read_bytes(), "packed twice, the same bytes"
    url = job["environment"]["sdkPipelineOptions"]["options"]["pipelineUrl"]
    assert url == f"gs://{BUCKET}/{staged['pipeline.pb'].name}"


def test_a_job_that_fails_says_why(bucket) -> None:
    with pytest.raises(DatasetError, match=COMPLAINT):
        submit(FakeService("JOB_STATE_FAILED"))
