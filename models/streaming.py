"""A detector on live sound: packets of any size in, scores and events out, constant memory.

Runs an export's streaming step (step_model.py). Samples are collected until a whole step is there,
so the numbers don't depend on how the sound was cut. Time is counted in samples, so it is as exact
after a month as after a second. After sound that was lost (`skip`) the time is right and nothing is
remembered: halves of a keyword around a gap are none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from models.event_matching import EventDetector
from models.sound_events import EventRule, SoundEventDetector
from models.step_model import StepModel
from schemas.detection import Detection, SoundEvent
from schemas.errors import AudioError, RequestError

_LOUDEST = 100.0


@dataclass(frozen=True)
class StreamOutput:
    """What a packet brought: scores with their times, and events that have ended.

    Attributes:
        times_s: (n,) float64, when each score is known.
        scores: (n, labels) float32 in [0, 1].
        detections: of a detector of keywords.
        events: of a detector of sound events.
    """

    times_s: np.ndarray
    scores: np.ndarray
    detections: list[Detection]
    events: list[SoundEvent] = field(default_factory=list)


class StreamingDetector:
    """One stream of sound.

    Args:
        model: an export's folder, or a step that streams share.
        threshold: instead of the one chosen on validation; of sound events, of all classes.
        input_rate_hz: of the sound that comes, if it isn't the detector's own.
    """

    def __init__(
        self,
        model: Path | StepModel,
        *,
        threshold: float | None = None,
        input_rate_hz: int | None = None,
    ) -> None:
        self._model = StepModel(model) if isinstance(model, Path) else model
        self.metadata = self._model.metadata
        self.sample_rate_hz = int(self.metadata["sample_rate_hz"])
        self.input_rate_hz = input_rate_hz or self.sample_rate_hz
        self.labels = tuple(self.metadata["labels"])
        self.measure = self.metadata.get("measure", "keywords")
        chosen = self.metadata.get("threshold")
        if self.measure == "sound_events":
            rule = EventRule.of(self.labels, self.metadata["rule"])
            every = rule.thresholds if threshold is None else (threshold,) * len(self.labels)
            self._rule = replace(rule, thresholds=every)
            chosen = min(every)
        if threshold is None and chosen is None:
            raise RequestError(
                f"{self._model.folder} has no threshold, because its model was never evaluated",
                fix="pass --threshold, or run `wakebeam evaluate` and export again",
            )
        self.threshold = float(threshold if threshold is not None else chosen or 0.0)
        if not 0.0 <= self.threshold <= 1.0:
            raise RequestError(
                f"a threshold of {self.threshold:g}", expected="a score, between 0 and 1"
            )
        self._step = int(self.metadata["step_samples"])
        self._warmup = int(self.metadata["warmup_samples"])
        self._hop = int(self.metadata["hop_samples"])
        self._state: dict[str, np.ndarray]
        self._warm: bool
        self._num_steps: int
        self.reset()

    def reset(self) -> None:
        """Begin a new stream: no memory of what was heard, time zero."""
        self._num_heard = self._first_sample = 0
        self._ended = False
        self._forget()
        self._finder = self._new_finder()

    def process(self, samples: np.ndarray) -> StreamOutput:
        """Take the next packet.

        Args:
            samples: (n,) or (n, channels), which are mixed; float in ±1 or int16, at the input
                rate; any n ≥ 0.

        Raises:
            AudioError: NaN or infinite samples; what came before them counts.
            RequestError: `finish` has ended the stream.
        """
        if self._ended:
            raise RequestError("sound after the stream's end", fix="begin a new one with reset()")
        mono = as_mono(samples)
        self._num_heard += len(mono)
        times_s, scores = self._scores(self._resampled(mono, last=False))
        return self._output(times_s, scores)

    def skip(self, num_samples: int) -> StreamOutput:
        """Leave out so many samples of the input, which were lost: what was heard is forgotten.

        What had not filled a step before the gap isn't scored.

        Raises:
            RequestError: less than none.
        """
        if num_samples < 0:
            raise RequestError(f"{num_samples} samples were lost", expected="none or more")
        out = self._output(np.zeros(0), self._no_scores(), last=True)
        self._num_heard += num_samples
        self._first_sample = self._num_heard * self.sample_rate_hz // self.input_rate_hz
        self._forget()
        if isinstance(self._finder, SoundEventDetector):  # the other's debounce goes on
            self._finder = self._new_finder()
        return out

    def finish(self) -> StreamOutput:
        """End the stream: hear the last incomplete step with silence after it, close events.

        Only steps that the sound itself reaches are scored; none of the silence is.
        """
        self._ended = True
        times_s, scores = self._scores(self._resampled(np.zeros(0, np.float32), last=True))
        missing = (self._warmup if not self._warm else 0) + self._step - len(self._pending)
        true_steps = max(0, len(self._pending) - (0 if self._warm else self._warmup)) // self._hop
        before = self._num_steps
        more_s, more = self._scores(np.zeros(missing if true_steps else 0, np.float32))
        times_s = np.concatenate((times_s, more_s[:true_steps]))
        scores = np.concatenate((scores, more[:true_steps]))
        self._num_steps = before + true_steps
        return self._output(times_s, scores, last=True)

    def require(self, measure: str) -> None:
        """Refuse what is made for another kind of detector.

        Raises:
            RequestError: this one finds something else.
        """
        if self.measure != measure:
            raise RequestError(
                f"a detector of {self.measure.replace('_', ' ')}",
                expected=f"one of {measure.replace('_', ' ')}",
            )

    def _new_finder(self) -> EventDetector | SoundEventDetector:
        """What makes keywords or sound events of scores."""
        if self.measure == "sound_events":
            clock = self._rule.clock
            later_s = self._first_sample / self.sample_rate_hz
            clock = replace(clock, warmup_s=clock.warmup_s + later_s, first_s=later_s)
            return SoundEventDetector(replace(self._rule, clock=clock))
        how = (float(self.metadata["debounce_s"]), int(self.metadata.get("patience", 1)))
        return EventDetector(self.labels, self.threshold, *how)

    def _output(
        self, times_s: np.ndarray, scores: np.ndarray, *, last: bool = False
    ) -> StreamOutput:
        found: list[Any] = self._finder.process(times_s, scores)
        found += self._finder.flush() if last else []
        keywords = isinstance(self._finder, EventDetector)
        return StreamOutput(times_s, scores, *((found, []) if keywords else ([], found)))

    def state(self) -> dict[str, np.ndarray]:
        """Return all that the stream remembers, for `numpy.savez` and `restore`.

        Raises:
            RequestError: the sound comes at another rate, whose converter can't tell its state, or
                the detector is one of sound events.
        """
        events = self._keeper_of_state()
        place = [self._num_heard, self._first_sample, self._num_steps, self._warm]
        return {
            "place": np.array(place, np.int64),
            "export": self._model.digest,
            "pending": self._pending.copy(),
            **{f"events_{name}": value for name, value in events.state().items()},
            **{name: value.copy() for name, value in self._state.items()},
        }

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on where a stream of the same export was.

        Raises:
            RequestError: the state is of another export, or as for `state`.
        """
        self._keeper_of_state()
        if not np.array_equal(state.get("export", ()), self._model.digest):
            raise RequestError("the state of another detector", expected="one of this export")
        self.reset()
        heard, first, steps, warm = (int(value) for value in state["place"])
        self._num_heard, self._first_sample = heard, first
        self._num_steps, self._warm = steps, bool(warm)
        self._pending = np.array(state["pending"], np.float32)
        self._state = {name: np.array(state[name], self._state[name].dtype) for name in self._state}
        events = {n.removeprefix("events_"): v for n, v in state.items() if n.startswith("events_")}
        self._keeper_of_state().restore(events)

    def _keeper_of_state(self) -> EventDetector:
        """What finds the events, where all that a stream remembers can be told."""
        self.require("keywords")
        if self._resampler is not None:
            raise RequestError(
                f"the state of a stream at {self.input_rate_hz} Hz",
                expected=f"sound at the detector's own {self.sample_rate_hz} Hz",
            )
        assert isinstance(self._finder, EventDetector)  # noqa: S101  require() has seen to it
        return self._finder

    def _forget(self) -> None:
        self._state = self._model.initial_state()
        self._pending = np.zeros(0, np.float32)
        self._warm = self._warmup == 0
        self._num_steps = 0
        self._resampler = (
            soxr.ResampleStream(self.input_rate_hz, self.sample_rate_hz, 1, dtype="float32")
            if self.input_rate_hz != self.sample_rate_hz
            else None
        )

    def _resampled(self, mono: np.ndarray, *, last: bool) -> np.ndarray:
        if self._resampler is None:
            return mono
        return np.asarray(self._resampler.resample_chunk(mono, last=last), np.float32)

    def _no_scores(self) -> np.ndarray:
        return np.zeros((0, len(self.labels)), np.float32)

    def _scores(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self._pending = np.concatenate((self._pending, samples))
        if not self._warm and len(self._pending) >= self._warmup:
            self._state["state_0"][:] = self._pending[: self._warmup]
            self._pending = self._pending[self._warmup :]
            self._warm = True
        scores = [self._no_scores()]
        at = 0
        while self._warm and len(self._pending) - at >= self._step:
            found, self._state = self._model(self._pending[None, at : at + self._step], self._state)
            scores.append(found)
            at += self._step
        self._pending = self._pending[at:].copy()
        found = np.concatenate(scores)
        times_s = self._times(len(found))
        self._num_steps += len(found)
        return times_s, found

    def _times(self, num_steps: int) -> np.ndarray:
        """When the next steps' scores are known, seconds since the stream began."""
        ends = self._num_steps + 1 + np.arange(num_steps)
        return (self._first_sample + self._warmup + self._hop * ends) / self.sample_rate_hz


class StreamBatch:
    """Independent streams that come in step, such as the channels of a recorder.

    Args:
        model: an export's folder.
        num_streams: how many.
        how: as for each `StreamingDetector`.
    """

    def __init__(self, model: Path, num_streams: int, **how: Any) -> None:
        shared = StepModel(model)
        self.streams = [StreamingDetector(shared, **how) for _ in range(num_streams)]

    def process(self, samples: np.ndarray) -> list[StreamOutput]:
        """Take the next packet of each stream: (num_streams, n) float in ±1 or int16."""
        if len(samples) != len(self.streams):
            raise RequestError(
                f"packets of {len(samples)} streams", expected=f"{len(self.streams)} of them"
            )
        rows = [as_mono(row) for row in samples]  # all are looked at before any stream goes on
        return [stream.process(row) for stream, row in zip(self.streams, rows, strict=True)]

    def finish(self) -> list[StreamOutput]:
        """End all streams."""
        return [stream.finish() for stream in self.streams]


def as_mono(samples: np.ndarray) -> np.ndarray:
    """Return (n,) float32 in ±1 of (n,) or (n, channels) int16 or float.

    Raises:
        AudioError: another shape or type, NaN or infinite samples, or far beyond ±1.
    """
    if samples.ndim == 2 and samples.shape[1]:
        return as_mono(samples.reshape(-1)).reshape(samples.shape).mean(axis=1)
    if samples.ndim != 1 or samples.dtype.kind not in "if" or samples.dtype.itemsize == 1:
        raise AudioError(f"packets of shape {samples.shape} and type {samples.dtype}")
    if samples.dtype.kind == "i":
        if samples.dtype != np.int16:
            raise AudioError(f"samples of type {samples.dtype}; int16 or float is known")
        return samples.astype(np.float32) / np.float32(32768.0)
    largest = float(np.abs(samples).max(initial=0.0))
    if not math.isfinite(largest):
        raise AudioError("NaN or infinite samples")
    if largest > _LOUDEST:
        raise AudioError(f"a sample of {largest:.3g}; floats are full scale at ±1")
    return np.asarray(samples, np.float32)
