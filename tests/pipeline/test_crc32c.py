"""Joined checksums: what the library says of the whole."""

from __future__ import annotations

import google_crc32c
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.crc32c import combined


@given(st.binary(), st.binary())
def test_any_two_stretches(first: bytes, second: bytes) -> None:
    both = combined(google_crc32c.value(first), google_crc32c.value(second), len(second))
    assert both == google_crc32c.value(first + second)


@pytest.mark.parametrize("length", [2**k + d for k in (8, 16, 22) for d in (-1, 0, 1)])
def test_long_stretches(length: int) -> None:
    data = np.random.default_rng(length).bytes(length)
    both = combined(google_crc32c.value(b"head"), google_crc32c.value(data), length)
    assert both == google_crc32c.value(b"head" + data)
