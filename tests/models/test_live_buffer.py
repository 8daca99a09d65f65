"""The newest sound wins, what was lost is counted, and nobody waits for a slow reader."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from models.live_buffer import LiveBuffer


def _packet(first: int, size: int = 100) -> np.ndarray:
    return np.arange(first, first + size, dtype=np.int16)


def _read(buffer: LiveBuffer) -> tuple[np.ndarray, list[int]]:
    """All that waits, and what was lost before each piece."""
    pieces = []
    while buffer.held_s and (piece := buffer.get()):
        pieces.append(piece)
    return np.concatenate([p.samples for p in pieces]), [p.num_lost for p in pieces]


def test_what_fits_comes_out_whole_in_order_and_piece_by_piece() -> None:
    buffer = LiveBuffer(1000, most_s=1.0, piece_s=0.2)
    for first in range(0, 1000, 100):
        buffer.put(_packet(first))
        buffer.put(np.zeros(0, np.int16))
    samples, lost = _read(buffer)
    np.testing.assert_array_equal(samples, np.arange(1000))
    assert lost == [0] * 5
    assert buffer.lost_s == 0.0


def test_R41_a_late_reader_gets_the_newest_and_is_told_what_was_lost() -> None:
    buffer = LiveBuffer(1000, most_s=1.0)
    for first in range(0, 2500, 100):
        buffer.put(_packet(first))
        assert buffer.held_s <= 1.0
    samples, lost = _read(buffer)
    np.testing.assert_array_equal(samples, np.arange(1500, 2500))
    assert lost == [1500] + [0] * 9, "a loss is told once"
    assert buffer.lost_s == pytest.approx(1.5)


def test_R41_what_waits_while_a_piece_is_worked_on_can_still_go() -> None:
    """So no sound that is heard has waited for longer than the buffer holds."""
    buffer = LiveBuffer(1000, most_s=0.5)
    for now in range(0, 10_000, 100):  # a reader that takes 0.1 s of sound each 0.2 s
        buffer.put(_packet(now))
        if now % 200:
            piece = buffer.get()
            assert piece is not None
            assert now + 100 - piece.samples[0] <= 600


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
