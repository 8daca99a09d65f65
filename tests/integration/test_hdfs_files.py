"""HDFS's files one by one: replaced, listed, looked at; and what a busy name node does to them."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from beam_jobs import files
from tests.integration.webhdfs import NameNode

pytest.importorskip("hdfs", reason="tests/integration/hdfs.lock says how to install it")
LAB = "hdfs://nn/lab"


class _Node(NameNode):
    """One for this file."""


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[_Node]]:
    _Node.root, _Node.busy = tmp_path, frozenset()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Node)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("WAKEBEAM_WEBHDFS", f"127.0.0.1:{server.server_port}")
    monkeypatch.setenv("HADOOP_USER_NAME", "lab")
    yield _Node
    server.shutdown()
    server.server_close()


def test_a_file_is_replaced_whole_or_stays_as_it_was(node: type[_Node]) -> None:
    path = f"{LAB}/job.json"
    files.write_text(path, "first")
    files.write_text(path, "second")
    assert files.read_text(path) == "second"
    for operation in ("RENAME", "CREATE"):
        node.busy = frozenset({operation})
        with pytest.raises(OSError, match=f"too busy for {operation}"):
            files.write_text(path, "third")
    node.busy = frozenset()
    assert files.read_text(path) == "second"
    assert files.sizes(LAB) == {path: 6}, "no temporary file is left"


def test_what_cannot_be_looked_at_is_not_taken_for_missing(node: type[_Node]) -> None:
    files.write_text(f"{LAB}/data/job.json", "{}")
    for operation, use in (
        ("GETFILESTATUS", lambda: files.exists(f"{LAB}/data/job.json")),
        ("GETFILESTATUS", lambda: files.tree(LAB)),
        ("LISTSTATUS", lambda: files.tree(LAB)),
        ("LISTSTATUS", lambda: files.sizes(f"{LAB}/data")),
        ("OPEN", lambda: files.read_text(f"{LAB}/data/job.json")),
    ):
        node.busy = frozenset({operation})
        with pytest.raises(OSError, match=f"too busy for {operation}"):
            use()


def test_names_are_names_and_folders_are_no_files(node: type[_Node], tmp_path: Path) -> None:
    names = ["a b", "b[1]", "c*?", "100%", "d#e", "ü", "x/y/z", "empty"]
    for name in names:
        (tmp_path / "lab" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "lab" / name).write_text("" if name == "empty" else name)
    assert sorted(item.path for item in files.tree(LAB)) == sorted(f"{LAB}/{n}" for n in names)
    assert f"{LAB}/x" not in files.sizes(LAB)
    assert files.sizes(LAB)[f"{LAB}/empty"] == 0
    assert files.sizes(LAB, "b") == {f"{LAB}/b[1]": 4}
    assert files.sizes(f"{LAB}/nothing") == {}
    for name in names:
        files.copy_to_local(f"{LAB}/{name}", tmp_path / "copy")
        assert (tmp_path / "copy").read_text() == ("" if name == "empty" else name)
    files.remove_folder(f"{LAB}/x")
    assert not files.exists(f"{LAB}/x/y/z")


def test_what_fails_while_it_is_written_is_not_there(node: type[_Node], tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), files.replace_atomically(f"{LAB}/shard") as file:
        file.write(b"half")
        raise ZeroDivisionError
    assert list((tmp_path).rglob("shard*")) == []
