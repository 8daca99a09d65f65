"""Addresses that can't be reached are refused, with the cure."""

from __future__ import annotations

import pytest
from apache_beam.io.filesystems import FileSystems

from beam_jobs import files
from schemas.errors import RequestError


@pytest.mark.parametrize("address", ["azfs://lab/data", "http://lab/data", "S3://lab/data"])
def test_a_file_system_that_nobody_knows(address: str) -> None:
    for use in (files.exists, files.read_text, files.sizes, files.tree, files.make_folder):
        with pytest.raises(RequestError, match=r"s3://, gs://, hdfs://"):
            use(address)
    with pytest.raises(RequestError), files.replace_atomically(address):
        pass


def test_hdfs_that_nothing_says_how_to_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FileSystems, "_pipeline_options", None)
    monkeypatch.delenv("WAKEBEAM_WEBHDFS", raising=False)
    with pytest.raises(RequestError, match=r"wakebeam\[hdfs\]|WAKEBEAM_WEBHDFS"):
        files.exists("hdfs://nn/lab")
    for address in ("nn1", "nn1:", ":9870", "nn1:web"):
        monkeypatch.setenv("WAKEBEAM_WEBHDFS", address)
        with pytest.raises(RequestError, match="such as nn1:9870"):
            files.exists("hdfs://nn/lab")
