"""Every kind of damage to a TFRecord file is found, with the bytes that it spoils."""

from __future__ import annotations

import io

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.tfrecord import RecordWriter
from pipeline.tfrecord_damage import Damage, find_damage


def _file(lengths: list[int], seed: int = 0) -> tuple[bytearray, list[int]]:
    """A file of records of noise, and the byte at which each begins, the end included."""
    rng, file, edges = np.random.default_rng(seed), io.BytesIO(), [0]
    writer = RecordWriter(file)
    for length in lengths:
        writer.write(rng.integers(0, 256, length, np.uint8).tobytes())
        edges.append(writer.num_bytes)
    return bytearray(file.getvalue()), edges


def _found(data: bytes) -> list[Damage]:
    return list(find_damage(io.BytesIO(data), len(data)))


def test_a_sound_file_has_none() -> None:
    assert _found(_file([10, 0, 5000])[0]) == []
    assert _found(b"") == []


@settings(deadline=None, max_examples=150)
@given(
    lengths=st.lists(st.integers(1, 300), min_size=1, max_size=8),
    data=st.data(),
    seed=st.integers(0, 99),
)
def test_any_flipped_bits_are_found_in_the_records_that_hold_them(lengths, data, seed) -> None:
    whole, edges = _file(lengths, seed)
    places = data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=4))
    broken = bytearray(whole)
    for place in places:
        broken[place] ^= 1 << data.draw(st.integers(0, 7))
    if broken == whole:
        return
    found = _found(bytes(broken))
    spoilt = {n for n in range(len(lengths)) if broken[edges[n] : edges[n + 1]] !=
              whole[edges[n] : edges[n + 1]]}  # fmt: skip
    covered = {n for n in range(len(lengths)) for d in found if d.start < edges[n + 1] and
               d.stop > edges[n]}  # fmt: skip
    assert covered == spoilt
    assert all(d.start in edges and d.stop in edges for d in found)


@settings(deadline=None)
@given(cut=st.integers(0, 700))
def test_a_cut_file_is_damaged_from_its_last_record_on(cut: int) -> None:
    whole, edges = _file([100, 200, 300])
    broken = bytes(whole[:cut])
    if cut in edges:
        assert _found(broken) == [], "a file that ends with a record is whole by itself"
        return
    (damage,) = _found(broken[: len(whole)]) if cut < len(whole) else (None,)
    if damage is not None:
        assert damage.stop == len(broken)
        assert damage.start == max(edge for edge in edges if edge < cut)


def test_a_long_stretch_of_zeros_is_no_header() -> None:
    whole, edges = _file([50, 60])
    broken = bytes(whole[: edges[1]]) + bytes(100_000) + bytes(whole[edges[1] :])
    (damage,) = _found(broken)
    assert (damage.start, damage.stop) == (edges[1], edges[1] + 100_000)
