"""From end to end in object stores: material, bank and shards there, and training from there."""

from __future__ import annotations

import contextlib
import http.server
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.audio_factory import material
from tests.integration.services import JsonHandler, environment, free_port, listens, service, until

SETTINGS = (
    "dataset.num_examples={train: 64, validation: 16, test: 16}",
    "dataset.shard_bytes=2MiB",
    "scene.duration_s=4.0",
    "scene.num_keywords=[0, 1]",
    "scene.num_negatives=[0, 2]",
    "scene.margin_s=0.3",
    "model={family: stream_tcn, channels: 24, num_blocks: 4}",
    "training.batch_size=8",
    "training.epochs=2",
    "evaluation.hit_window_s=0.9",
)
_FOLDERS = ("--keyword", "kw", "--negative", "other", "--background", "noise")
Run = Callable[..., subprocess.CompletedProcess[str]]


def _command_line(folder: Path, env: dict[str, str]) -> Run:
    def run(*words: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "wakebeam.cli", *map(str, words)],
            cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert done.returncode == code, done.stderr + done.stdout
        return done

    return run


def _recipe(folder: Path, run: Run, store: str) -> list[str]:
    """A recipe on local material, and the settings that move all of it to a store."""
    run("init", ".", *_FOLDERS)
    moved = {
        "material.keyword": [{"path": f"{store}/material/kw", "label": "kw"}],
        "material.negative": [{"path": f"{store}/material/other"}],
        "material.background": [{"path": f"{store}/material/noise"}],
        "material.bank": f"{store}/bank",
        "dataset.out": f"{store}/data",
    }
    settings = [f"{key}={json.dumps(value)}" for key, value in moved.items()]
    return [word for setting in (*SETTINGS, *settings) for word in ("--set", setting)]


@pytest.fixture(scope="module")
def on_disk(tmp_path_factory) -> str:
    """Identity of what is made of the same material on a disk."""
    folder = tmp_path_factory.mktemp("disk")
    material(folder)
    run = _command_line(folder, environment())
    run("init", ".", *_FOLDERS)
    local = [word for setting in SETTINGS for word in ("--set", setting)]
    return json.loads(run("synth", "recipe.yaml", *local, "--json").stdout)["identity"]


def _the_same_as_local(on_disk: str, run: Run, moved: list[str], store: str) -> None:
    """Made in the store, whole, mended, grown, and byte for byte what is made on a disk."""
    made = json.loads(run("synth", "recipe.yaml", *moved, "--json").stdout)
    assert made["identity"] == on_disk
    assert "already complete" in run("synth", "recipe.yaml", *moved).stdout
    other = run("synth", "recipe.yaml", *moved, "--set", "seed=8", code=2).stderr
    assert "seed: 7 → 8" in other
    found = run("verify", f"{store}/data", "--deep", "--render", 6).stdout
    assert found.startswith("96 records checked, 96 decoded, 6 made again and compared; all")
    again = json.loads(run("regenerate", f"{store}/data", "train/000000017").stdout)
    assert again["identical"] is True
    grown = json.loads(run("synth", "recipe.yaml", *moved, "--append", 20, "--json").stdout)
    assert (grown["generations"], grown["shards_made"]) == (2, 2)


@pytest.fixture
def s3(tmp_path) -> Iterator[dict[str, str]]:
    port = free_port()
    log = tmp_path / "moto.log"
    with service(log, "moto.server", "-H", "127.0.0.1", "-p", port):
        until(lambda: listens(port), log=log)
        endpoint = f"http://127.0.0.1:{port}"
        yield environment(
            AWS_ENDPOINT_URL_S3=endpoint,
            AWS_ACCESS_KEY_ID="anybody",
            AWS_SECRET_ACCESS_KEY="nothing",
            AWS_DEFAULT_REGION="us-east-1",
            AWS_REGION="us-east-1",
            TMPDIR=str(tmp_path),
        )


def test_s3_from_material_to_a_model(on_disk, tmp_path, s3) -> None:
    import boto3

    material(tmp_path)
    client = boto3.client(
        "s3", endpoint_url=s3["AWS_ENDPOINT_URL_S3"], region_name="us-east-1",
        aws_access_key_id="anybody", aws_secret_access_key="nothing",
    )  # fmt: skip
    client.create_bucket(Bucket="lab")
    for path in tmp_path.rglob("*.wav"):
        name = path.relative_to(tmp_path).as_posix()
        client.upload_file(str(path), "lab", f"material/{name}")
    client.put_object(Bucket="lab", Key="material/kw/broken.wav", Body=b"not sound")
    run = _command_line(tmp_path, s3)
    moved = _recipe(tmp_path, run, "s3://lab")
    _the_same_as_local(on_disk, run, moved, "s3://lab")
    rejects = client.get_object(Bucket="lab", Key="bank/sources.json")["Body"].read()
    assert b"keyword/kw/broken.wav" in rejects
    run("train", "recipe.yaml", *moved)
    report = json.loads(run("evaluate", "model", "--dataset", "s3://lab/data", "--json").stdout)
    assert report["judged_on"] == "test"
    keys = [item["Key"] for item in client.list_objects_v2(Bucket="lab")["Contents"]]
    assert not [key for key in keys if ".tmp-" in key or "building-" in key]
    shard = next(key for key in keys if key.startswith("data/train/"))
    data = bytearray(client.get_object(Bucket="lab", Key=shard)["Body"].read())
    data[5000] ^= 1
    client.put_object(Bucket="lab", Key=shard, Body=bytes(data))
    assert shard.removeprefix("data/") in run("verify", "s3://lab/data", code=1).stdout
    client.delete_object(Bucket="lab", Key=shard)
    assert "1 shards made" in run("synth", "recipe.yaml", *moved).stdout
    assert run("verify", "s3://lab/data").stdout.startswith("116 records checked")


@pytest.fixture
def hdfs(tmp_path) -> Iterator[dict[str, str]]:
    port = free_port()
    log, root = tmp_path / "webhdfs.log", tmp_path / "hdfs"
    root.mkdir()
    with service(log, "tests.integration.webhdfs", port, root):
        until(lambda: listens(port), log=log)
        yield environment(
            WAKEBEAM_WEBHDFS=f"127.0.0.1:{port}", HADOOP_USER_NAME="lab", TMPDIR=str(tmp_path)
        )


def test_hdfs_from_material_to_a_verified_data_set(on_disk, tmp_path, hdfs) -> None:
    pytest.importorskip("hdfs", reason="tests/integration/hdfs.lock says how to install it")
    material(tmp_path)
    root = tmp_path / "hdfs" / "lab"
    for folder in ("kw", "other", "noise"):
        shutil.copytree(tmp_path / folder, root / "material" / folder)
    (root / "material" / "kw" / "empty.wav").touch()
    run = _command_line(tmp_path, hdfs)
    moved = _recipe(tmp_path, run, "hdfs://nn/lab")
    _the_same_as_local(on_disk, run, moved, "hdfs://nn/lab")
    assert "keyword/kw/empty.wav" in (root / "bank" / "sources.json").read_text()
    names = [path.name for path in root.rglob("*")]
    assert not [name for name in names if ".tmp-" in name or "building-" in name]
    shard = next((root / "data" / "train").glob("*.tfrecord"))
    shard.unlink()
    assert shard.name in run("verify", "hdfs://nn/lab/data", code=1).stdout
    assert "1 shards made" in run("synth", "recipe.yaml", *moved).stdout
    run("synth", "recipe.yaml", *moved, "--set", "seed=8", "--overwrite")
    assert run("verify", "hdfs://nn/lab/data").stdout.startswith("96 records checked")


class _Tokens(JsonHandler):
    """Gives everyone a token: Google's clients ask for one before they ask the emulator."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        token = {"access_token": "any", "expires_in": 3600, "token_type": "Bearer"}
        self.say(token)


@contextlib.contextmanager
def _credentials(path: Path) -> Iterator[None]:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Tokens)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    account = {
        "type": "service_account",
        "project_id": "nowhere",
        "private_key_id": "1",
        "private_key": key.decode(),
        "client_email": "nobody@nowhere.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": f"http://127.0.0.1:{server.server_port}/token",
    }
    path.write_text(json.dumps(account))
    try:
        yield
    finally:
        server.shutdown()


def test_gcs_from_material_to_shards(on_disk, tmp_path) -> None:
    """Training reads gs:// through TensorFlow's own client, which knows no emulator: not here."""
    material(tmp_path)
    port, log = free_port(), tmp_path / "emulator.log"
    where = ("--host", "127.0.0.1", "--port", port, "--in-memory", "--default-bucket", "lab")
    env = environment(
        STORAGE_EMULATOR_HOST=f"http://127.0.0.1:{port}",
        GOOGLE_APPLICATION_CREDENTIALS=str(tmp_path / "account.json"),
        GOOGLE_CLOUD_PROJECT="nowhere",
        TMPDIR=str(tmp_path),
    )
    with (
        _credentials(tmp_path / "account.json"),
        service(log, "gcp_storage_emulator", "start", *where, env=env),
    ):
        until(lambda: listens(port), log=log)
        upload = (
            "import pathlib, sys; from beam_jobs import files\n"
            "for path in pathlib.Path('.').rglob('*.wav'):\n"
            "    with files.replace_atomically(f'gs://lab/material/{path.as_posix()}') as file:\n"
            "        file.write(path.read_bytes())\n"
        )
        subprocess.run([sys.executable, "-c", upload], cwd=tmp_path, env=env, check=True)
        run = _command_line(tmp_path, env)
        moved = _recipe(tmp_path, run, "gs://lab")
        _the_same_as_local(on_disk, run, moved, "gs://lab")
