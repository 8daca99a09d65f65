"""The newest sound wins, what was lost is counted, and nobody waits for a slow reader."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from models.live_buffer import LiveBuffer


def _packet(first: int, size: int = 100) -> np.ndarray:
    return np.arange(first, first + size, dtype=np.int16)


def test_what_fits_comes_out_whole_and_in_order() -> None:
    buffer = LiveBuffer(1000, most_s=1.0)
    for first in range(0, 1000, 100):
        buffer.put(_packet(first))
    piece = buffer.get()
    assert piece is not None
    np.testing.assert_array_equal(piece.samples, np.arange(1000))
    assert (piece.num_lost, buffer.lost_s, buffer.held_s) == (0, 0.0, 0.0)


def test_R41_a_late_reader_gets_the_newest_and_is_told_what_was_lost() -> None:
    buffer = LiveBuffer(1000, most_s=1.0)
    for first in range(0, 2500, 100):
        buffer.put(_packet(first))
        assert buffer.held_s <= 1.0
    piece = buffer.get()
    assert piece is not None
    np.testing.assert_array_equal(piece.samples, np.arange(1500, 2500))
    assert piece.num_lost == 1500
    assert buffer.lost_s == pytest.approx(1.5)
    buffer.put(_packet(2500))
    again = buffer.get()
    assert again is not None
    assert again.num_lost == 0, "a loss is told once"
    assert buffer.lost_s == pytest.approx(1.5)


def test_a_packet_longer_than_the_buffer_keeps_its_end() -> None:
    buffer = LiveBuffer(1000, most_s=0.5)
    buffer.put(_packet(0, 100))
    buffer.put(_packet(100, 2000))
    piece = buffer.get()
    assert piece is not None
    np.testing.assert_array_equal(piece.samples, np.arange(1600, 2100))
    assert piece.num_lost == 1600


def test_what_the_card_lost_takes_what_waits_with_it() -> None:
    buffer = LiveBuffer(1000)
    buffer.put(_packet(0))
    buffer.lose(50)
    buffer.put(_packet(150))
    piece = buffer.get()
    assert piece is not None
    assert piece.num_lost == 150
    np.testing.assert_array_equal(piece.samples, np.arange(150, 250))


def test_the_end_and_the_time_limit_wake_a_reader() -> None:
    buffer = LiveBuffer(1000)
    assert buffer.get(timeout_s=0.01) is None
    threading.Timer(0.05, buffer.end).start()
    began_s = time.monotonic()
    assert buffer.get() is None
    assert time.monotonic() - began_s < 30


def test_every_sample_is_read_or_counted_as_lost_with_a_slow_reader() -> None:
    buffer = LiveBuffer(8000, most_s=0.05)
    sent = 300 * 160

    def card() -> None:
        for number in range(300):
            buffer.put(np.full(160, number, np.int16))
            time.sleep(0.0003)
        buffer.end()

    thread = threading.Thread(target=card)
    thread.start()
    position, read = 0, 0
    while (piece := buffer.get()) is not None:
        position += piece.num_lost
        assert piece.samples[0] == position // 160, "time is right after a loss"
        position += len(piece.samples)
        read += len(piece.samples)
        time.sleep(0.01)
    thread.join()
    assert position <= sent
    assert read + round(buffer.lost_s * 8000) == sent
    assert read < sent, "the reader was slow enough to lose something"
