"""A detector as one SavedModel: sound in, scores and times out, with nothing of ours to import.

    serving_default   waveform (n, any) float32 in ±1    scores (n, steps, labels), times_s (steps,)
    file              path () of a 16-bit WAV file of any rate          the same, for one recording
    stream            samples (step_samples,) float32                   scores (4, labels)
    reset             -                                  the stream begins anew

`stream` remembers what came before inside the loaded model: one stream each time it is loaded. A
network without padding (`warmup_samples` in metadata.json) wants those samples first, in `warm_up`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from models.detector import Detector
from models.graph_audio import read_whole_wav
from pipeline.wav_file import write_wav
from schemas.units import FULL_SCALE

Outputs = dict[str, tf.Tensor]


class _Stream(tf.Module):
    """The memory of one stream."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self._step = detector.step  # the detector itself would be saved with all its layers' graphs
        self._initial = detector.initial_state()
        self.memory = [tf.Variable(x, trainable=False) for x in self._initial]

    def step(self, samples: tf.Tensor) -> Outputs:
        scores, new = self._step(samples[None], [v.read_value() for v in self.memory])
        self._remember(new)
        return {"scores": scores[0]}

    def reset(self) -> Outputs:
        self._remember(self._initial)
        return {"done": tf.constant(True)}

    def warm_up(self, samples: tf.Tensor) -> Outputs:
        self._remember([samples[None], *self._initial[1:]])
        return {"done": tf.constant(True)}

    def _remember(self, values: list[Any]) -> None:
        for variable, value in zip(self.memory, values, strict=True):
            variable.assign(value)


def save_detector(detector: Detector, path: Path) -> None:
    """Write a SavedModel with all signatures."""

    def answer(waveform: tf.Tensor) -> Outputs:
        scores = detector.scores(waveform)
        ends = tf.range(1, tf.shape(scores)[1] + 1) * detector.hop_samples
        times_s = tf.cast(ends + detector.warmup_samples, tf.float32) / detector.sample_rate_hz
        return {"scores": scores, "times_s": times_s}

    def of_file(path: tf.Tensor) -> Outputs:
        found = answer(read_whole_wav(path, detector.sample_rate_hz)[None])
        return found | {"scores": found["scores"][0]}

    stream = _Stream(detector)
    signatures = {
        "serving_default": _function(answer, waveform=tf.TensorSpec([None, None], tf.float32)),
        "file": _function(of_file, path=tf.TensorSpec([], tf.string)),
        "stream": _function(stream.step, samples=_samples(detector.step_samples)),
        "reset": _function(stream.reset),
    }
    if detector.warmup_samples:
        samples = _samples(detector.warmup_samples)
        signatures["warm_up"] = _function(stream.warm_up, samples=samples)
    module = tf.Module()
    module.kept = list(detector.network.variables)  # what the functions refer to
    module.stream = stream
    tf.saved_model.save(module, str(path), signatures=signatures)


def saved_scores(detector: Detector, path: Path, audio: np.ndarray) -> dict[str, np.ndarray]:
    """Score (n, num_samples) float32 by each signature of a reloaded copy.

    Args:
        detector: what it was made of.
        path: of the SavedModel; a sound file is written beside it and removed.
        audio: whole 16-bit samples, so that a file holds them as they are.

    Returns:
        {signature: (n, steps, labels)}; by `stream`, for whole steps alone.
    """
    run = tf.saved_model.load(str(path)).signatures
    waveform = tf.constant(audio)
    found = {"serving_default": run["serving_default"](waveform=waveform)["scores"].numpy()}
    sound = path.parent / "check.wav"
    by_file, by_stream = [], []
    for recording in audio:
        write_wav(sound, np.rint(recording * FULL_SCALE).astype(np.int16), detector.sample_rate_hz)
        by_file.append(run["file"](path=tf.constant(str(sound)))["scores"].numpy())
        run["reset"]()
        first, size = detector.warmup_samples, detector.step_samples
        if first:
            run["warm_up"](samples=tf.constant(recording[:first]))
        steps = [
            run["stream"](samples=tf.constant(recording[at : at + size]))["scores"].numpy()
            for at in range(first, len(recording) - size + 1, size)
        ]
        by_stream.append(np.concatenate(steps))
    sound.unlink()
    return found | {"file": np.stack(by_file), "stream": np.stack(by_stream)}


def _samples(length: int) -> tf.TensorSpec:
    return tf.TensorSpec([length], tf.float32)


def _function(call: Any, **specs: tf.TensorSpec) -> Any:
    """Return a signature whose inputs have the names of `specs`."""

    @tf.function
    def named(**inputs: tf.Tensor) -> Outputs:
        return call(**inputs)

    return named.get_concrete_function(**specs)
