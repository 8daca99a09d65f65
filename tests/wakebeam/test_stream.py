"""One detector, any packets, any rate, any fault: the same events at the same times."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soxr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.live_buffer import LiveBuffer
from models.step_model import StepModel
from models.streaming import StreamBatch, StreamingDetector
from pipeline.audio_file import read_audio
from schemas.errors import AudioError, RequestError
from wakebeam.detecting import Output, Source, listen, live_pieces

RATE = 16000


def _noise(seconds: float, level: float = 0.003, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (level * rng.standard_normal(round(seconds * RATE))).astype(np.float32)


@pytest.fixture(scope="module")
def step(trained) -> StepModel:
    """The toy detector, at half the score that its best take reaches: its own threshold is low."""
    made = StepModel(trained.folder / "w/export")
    made.metadata["threshold"] = 0.5 * _peak(made, _best_take(trained, made))
    return made


@pytest.fixture(scope="module")
def take(trained, step) -> np.ndarray:
    return _best_take(trained, step)


def _peak(step: StepModel, x: np.ndarray) -> float:
    padded = np.concatenate((_noise(1.5), x, _noise(1.0, seed=1)))
    return float(StreamingDetector(step).process(padded).scores.max())


def _best_take(trained, step: StepModel) -> np.ndarray:
    takes = [read_audio(path)[0][:, 0] for path in sorted((trained.folder / "kw").glob("*.wav"))]
    return max(takes, key=lambda x: _peak(step, x))


def _low(step: StepModel) -> float:
    """A threshold for sound unlike the toy's material: softer, or without its high noise."""
    return 0.2 * StreamingDetector(step).threshold


def _heard(detector: StreamingDetector, x: np.ndarray, cuts=()) -> tuple[np.ndarray, list]:
    detector.reset()
    outs = [detector.process(part) for part in np.split(x, list(cuts))] + [detector.finish()]
    scores = np.concatenate([out.scores for out in outs])
    return scores, [event for out in outs for event in out.detections]


def _stream(take: np.ndarray, at_s: list[float], seconds: float) -> np.ndarray:
    x = _noise(seconds)
    for start_s in at_s:
        start = round(start_s * RATE)
        x[start : start + len(take)] += take
    return x


@pytest.mark.parametrize("size", [1, 441, 22_050, None])
def test_R39_each_sample_is_used_once_in_order(step, take, size) -> None:
    x = _stream(take, [1.0], 2.5)
    whole, events = _heard(StreamingDetector(step), x)
    assert len(events) == 1
    cuts = range(size, len(x), size) if size else ()
    scores, found = _heard(StreamingDetector(step), x, cuts)
    np.testing.assert_allclose(scores, whole, atol=1e-4)
    assert found == events


@given(cuts=st.lists(st.integers(0, 40_000), max_size=12).map(sorted))
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_R39_any_split_gives_the_same_numbers_and_events(step, take, cuts) -> None:
    x = _stream(take, [1.0], 2.5)
    whole, events = _heard(StreamingDetector(step), x)
    scores, found = _heard(StreamingDetector(step), x, cuts)
    np.testing.assert_allclose(scores, whole, atol=1e-4)
    assert found == events


def test_R40_an_event_on_a_packet_border_is_found_once(step, take) -> None:
    packet = RATE // 2
    times_s = []
    for offset in range(69):
        start = 3 * packet - len(take) + 46 * (offset - 34)
        x = _stream(take, [start / RATE], 3.0)
        _, found = _heard(StreamingDetector(step), x, range(packet, len(x), packet))
        assert len(found) == 1, f"offset {offset}"
        times_s.append(found[0].time_s - start / RATE)
    assert max(times_s) - min(times_s) < 0.15


def test_R41_a_late_reader_hears_the_newest_and_the_time_stays_right(step, take) -> None:
    """The card runs on while the reader sleeps: what was missed is counted, the next is found."""
    buffer, heard_s = LiveBuffer(RATE, most_s=1.0), []
    x = _stream(take, [1.0, 6.0], 8.0)
    buffer.put(x[:RATE])

    packets = iter(np.split(x[RATE:], range(RATE // 10, 7 * RATE, RATE // 10)))

    def pieces():
        for number, piece in enumerate(live_pieces(buffer)):
            yield piece
            for _ in range(1 if number else 50):  # five seconds pass at the first, then 0.1 s each
                if (packet := next(packets, None)) is None:
                    buffer.end()
                else:
                    buffer.put(packet)

    class Times(Output):
        def found(self, line) -> None:
            heard_s.append(line["time_s"])

    source = Source("a slow machine", RATE, pieces())
    assert listen(StreamingDetector(step), source, [Times()]) == 1, "the first one was lost"
    assert buffer.lost_s == pytest.approx(4.0)
    _, whole = _heard(StreamingDetector(step), x)
    assert len(whole) == 2
    assert heard_s[0] == pytest.approx(whole[1].time_s, abs=0.1)


def test_R42_halves_around_ten_minutes_of_silence_are_no_keyword(step, take) -> None:
    """At a threshold that the take reaches and neither half of it alone, however well trained."""
    half = len(take) // 2
    halves = max(_peak(step, take[:half]), _peak(step, take[half:]))
    whole = _peak(step, take)
    assert halves < whole
    silence = np.zeros(10 * 60 * RATE, np.float32)
    detector = StreamingDetector(step, threshold=(halves + whole) / 2)
    parts = [_noise(1.0), take[:half], silence, take[half:], _noise(1.0)]
    x = np.concatenate(parts)
    assert _heard(detector, x)[1] == []
    x = np.concatenate((x, _stream(take, [1.0], 2.5)))
    _, found = _heard(detector, x)
    assert len(found) == 1
    start_s = (len(x) / RATE) - 1.5
    assert start_s < found[0].time_s < start_s + 1.2


def test_R43_streams_and_channels(step, take, trained) -> None:
    streams = np.stack([_stream(take, [at], 3.0) for at in (0.5, 1.0, 1.5)])
    alone = [_heard(StreamingDetector(step), row) for row in streams]
    batch = StreamBatch(trained.folder / "w/export", 3, threshold=StreamingDetector(step).threshold)
    outs = [batch.process(part) for part in np.split(streams, [5000, 20_000], axis=1)]
    outs.append(batch.finish())
    for i, (scores, events) in enumerate(alone):
        np.testing.assert_array_equal(np.concatenate([out[i].scores for out in outs]), scores)
        assert [event for out in outs for event in out[i].detections] == events
    two = np.repeat(streams[0][:, None], 2, axis=1)
    np.testing.assert_allclose(_heard(StreamingDetector(step), two)[0], alone[0][0], atol=1e-6)
    with pytest.raises(RequestError, match="2 streams"):
        batch.process(streams[:2])


@pytest.mark.parametrize(("rate", "seconds"), [(8000, 3.0), (48_000, 25.0), (44_100, 4.0)])
def test_R34_any_rate_and_length(step, take, rate, seconds) -> None:
    x = soxr.resample(_stream(take, [1.0], seconds), RATE, rate).astype(np.float32)
    detector = StreamingDetector(step, input_rate_hz=rate, threshold=_low(step))
    scores, found = _heard(detector, x, range(rate // 7, len(x), rate // 7))
    assert len(found) == 1
    assert 1.0 < found[0].time_s < 2.2
    assert len(scores) == pytest.approx(seconds * 50, abs=2)


@pytest.mark.parametrize("gain_db", [-20, -10, 0, 10])
def test_R35_the_level_of_the_input_changes_no_event(step, take, gain_db) -> None:
    x = _stream(take, [1.0, 3.0, 5.0], 7.0)
    louder = np.clip(x * 10 ** (gain_db / 20), -1.0, 1.0)
    _, found = _heard(StreamingDetector(step, threshold=_low(step)), louder)
    assert len(found) == 3
    assert [int(event.time_s) for event in found] == [1, 3, 5]


def test_the_state_can_be_stored_and_restored(step, take) -> None:
    x = _stream(take, [1.0, 2.6], 5.0)
    whole, events = _heard(StreamingDetector(step), x)
    for cut in (0, 100, 20_000, 24_123):
        first = StreamingDetector(step)
        out = first.process(x[:cut])
        stored = io.BytesIO()
        np.savez(stored, **first.state())
        stored.seek(0)
        second = StreamingDetector(step)
        second.process(_noise(1.0))
        second.restore(np.load(stored, allow_pickle=False))
        outs = [out, second.process(x[cut:]), second.finish()]
        np.testing.assert_array_equal(np.concatenate([o.scores for o in outs]), whole)
        assert [event for o in outs for event in o.detections] == events
    with pytest.raises(RequestError, match="another detector"):
        second.restore(first.state() | {"export": np.zeros(32, np.uint8)})
    with pytest.raises(RequestError, match="the state of a stream at 48000 Hz"):
        StreamingDetector(step, input_rate_hz=48_000).restore(first.state())
    with pytest.raises(RequestError, match="the state of a stream at 8000 Hz"):
        StreamingDetector(step, input_rate_hz=8000).state()


def test_after_a_gap_the_time_is_right_and_nothing_is_remembered(step, take) -> None:
    detector = StreamingDetector(step)
    half = len(take) // 2
    detector.process(np.concatenate((_noise(1.0), take[:half])))
    detector.skip(RATE)
    lost_s = 1.0 + half / RATE + 1.0
    out = [detector.process(_stream(take, [1.0], 2.5)), detector.finish()]
    found = [event for o in out for event in o.detections]
    assert len(found) == 1
    _, alone = _heard(StreamingDetector(step), _stream(take, [1.0], 2.5))
    assert found[0].time_s == pytest.approx(lost_s + alone[0].time_s, abs=1e-3)


def _gain_step() -> np.ndarray:
    return np.concatenate((_noise(4.0), 10 * _noise(4.0, seed=1)))


FAULTS = {
    "start": np.concatenate((_noise(4.0),)),
    "digital silence": np.zeros(5 * RATE, np.float32),
    "silence, then noise": np.concatenate((np.zeros(5 * RATE, np.float32), _noise(3.0))),
    "a long quiet stretch": np.concatenate((1e-4 * _noise(60.0), _noise(3.0))),
    "a gain step": _gain_step(),
    "a DC step": np.concatenate((_noise(4.0), _noise(4.0, seed=1) + np.float32(0.2))),
    "clipping": np.clip(300 * _noise(4.0), -1, 1),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_no_event_where_there_is_no_keyword(step, fault) -> None:
    assert _heard(StreamingDetector(step), FAULTS[fault])[1] == []


def test_an_hour_later_the_numbers_are_the_same(step, take) -> None:
    """Constant memory, no drift: time is counted in samples, and an old sound leaves no trace."""
    x = _stream(take, [1.0], 2.5)
    detector = StreamingDetector(step)
    minute = np.zeros(60 * RATE, np.float32)
    before = np.concatenate((minute[: 10 * RATE], x))
    first, events = _heard(detector, before)
    detector.reset()
    for _ in range(60):
        detector.process(minute)
    out = [detector.process(before), detector.finish()]
    scores = np.concatenate([o.scores for o in out])
    np.testing.assert_allclose(scores[-100:], first[-100:], atol=1e-4)
    later = [event for o in out for event in o.detections]
    assert len(events) == len(later) == 1
    assert later[0].time_s - 3600.0 == pytest.approx(events[0].time_s, abs=1e-6)


def test_requests_that_make_no_sense_are_refused(step) -> None:
    for threshold in (-0.1, 1.1, float("nan")):
        with pytest.raises(RequestError, match="a threshold of"):
            StreamingDetector(step, threshold=threshold)
    detector = StreamingDetector(step, input_rate_hz=48_000)
    with pytest.raises(RequestError, match="-1 samples were lost"):
        detector.skip(-1)
    detector.finish()
    with pytest.raises(RequestError, match="after the stream's end"):
        detector.process(_noise(0.1))
    detector.reset()
    detector.process(_noise(0.1))
    with pytest.raises(AudioError, match="packets of shape"):
        detector.process(np.zeros((100, 0), np.float32))


def test_bad_packets_are_refused_by_name(step) -> None:
    detector = StreamingDetector(step)
    for packet, said in (
        (np.array([0.1, np.nan]), "NaN"),
        (np.zeros(10, np.int32), "int32"),
        (np.zeros((2, 2, 2), np.float32), "shape"),
        (np.zeros(10, "U1"), "type"),
        (np.array([0.1, 1e20]), "full scale at ±1"),
        (np.array([32000.0]), "full scale at ±1"),
    ):
        with pytest.raises(AudioError, match=said):
            detector.process(packet)


def test_a_bad_packet_of_one_stream_moves_none(trained, step) -> None:
    batch = StreamBatch(trained.folder / "w/export", 2, threshold=0.5)
    packet = np.zeros((2, 1600), np.float32)
    packet[1, 3] = np.nan
    with pytest.raises(AudioError, match="NaN"):
        batch.process(packet)
    good = _noise(1.0)
    first, second = batch.process(np.stack([good, good]))
    np.testing.assert_array_equal(first.times_s, second.times_s)


def test_R79_nothing_leaves_the_device(trained, take, tmp_path: Path) -> None:
    import subprocess
    import sys

    from pipeline.wav_file import write_wav

    write_wav(tmp_path / "one.wav", _stream(take, [1.0], 3.0), RATE)
    code = (
        "import socket, sys\n"
        "def refuse(*a, **k): raise AssertionError('a socket was opened')\n"
        "socket.socket = socket.create_connection = refuse\n"
        "from wakebeam.cli import main\n"
        "main(sys.argv[1:])\n"
    )
    words = ["detect", "--model", str(trained.folder / "w/export"), str(tmp_path / "one.wav")]
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1
