"""The demo in a small size: every stage real, ends with its table, picture and next command."""

from __future__ import annotations

import pytest

from schemas.errors import RequestError
from wakebeam import demo

pytest.importorskip("espeakng_loader", reason="the extra `tts` is not installed")


def test_small_demo(tmp_path) -> None:
    small = (
        "dataset.num_examples={train: 48, validation: 16, test: 16}",
        "model={family: stream_tcn, channels: 16, num_blocks: 2}",
        "training.epochs=1",
    )
    text = demo.run_demo(tmp_path / "d", seed=1, overrides=small)
    for part in ("missed", "false accepts per hour", "95 % interval", "real-time factor", "next:"):
        assert part in text
    assert (tmp_path / "d/stream.png").read_bytes()[:4] == b"\x89PNG"
    takes = list((tmp_path / "d/material-seed-1/keyword").rglob("*.wav"))
    assert len(takes) > 100
    with pytest.raises(RequestError, match="another seed"):
        demo.run_demo(tmp_path / "d", seed=2)
