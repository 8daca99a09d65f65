"""A detector's scores on long recordings with known events: what judging and inspecting start from.

The exported step hears with LiteRT, sample by sample as a device would; of a trained model that
wasn't exported the same step is made for the occasion. Memory holds scores only, 2 MB an hour for a
keyword.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.export_folder import METADATA_NAME, data_beside
from models.streaming import StreamingDetector
from models.worst_clips import FloatArray
from pipeline.audio_spans import cut_spans
from pipeline.audio_stream import stream_audio
from pipeline.labels.label_files import labels_of
from pipeline.scratch_folder import scratch_folder
from pipeline.stream_leaks import require_no_leaks
from pipeline.stream_writer import read_stream_set
from schemas.canonical import file_digest
from schemas.detection import ReferenceEvent, ScoredRecording
from schemas.errors import DatasetError, RequestError, WakebeamError
from schemas.recipe import Evaluation
from schemas.stream_set import STREAM_SET_NAME, StreamSet
from wakebeam.cutting import recording_digest
from wakebeam.model_leaks import leaks_into, own_recordings

Progress = Callable[[int, int], None]
_OTHER_MATERIAL = "judge on a stream of other material; --allow-leak judges all the same"
Stretch = tuple[str, float, float]
"""Name of a recording, start and stop in seconds; may begin before it and end after it."""


@dataclass(frozen=True)
class _Material:
    """Recordings with their events, and what a report says of them."""

    recordings: tuple[tuple[Path, tuple[ReferenceEvent, ...]], ...]
    about: dict[str, Any]


@dataclass(frozen=True)
class HeardStream:
    """What a detector made of some recordings.

    Attributes:
        metadata: of the detector's export.
        labels: of the scores.
        threshold: the detector's own, chosen on validation.
        sample_rate_hz: that it hears.
        recordings: with their events and scores.
        paths: of the recordings, by name.
        about: what a report says of the stream.
    """

    metadata: dict[str, Any]
    labels: tuple[str, ...]
    threshold: float
    sample_rate_hz: int
    recordings: tuple[ScoredRecording, ...]
    paths: dict[str, Path]
    about: dict[str, Any]

    def judging(self) -> Evaluation:
        """Return how its events are counted: as it was trained to be."""
        names = ("debounce_s", "hit_window_s", "patience")
        own = {name: self.metadata[name] for name in names if name in self.metadata}
        return Evaluation.model_validate(self.metadata.get("card", {}).get("evaluation", {}) | own)

    def cut(self, stretches: Sequence[Stretch]) -> list[FloatArray]:
        """Return the sound of each stretch, float32 in ±1; each recording is read once."""
        rate, cut = self.sample_rate_hz, dict[int, FloatArray]()
        for name, path in self.paths.items():
            of = [i for i, stretch in enumerate(stretches) if stretch[0] == name]
            spans = [
                (max(0, round(stretches[i][1] * rate)), max(0, round(stretches[i][2] * rate)))
                for i in of
            ]
            cut |= dict(zip(of, cut_spans(path, rate, spans), strict=True))
        return [cut[i] for i in range(len(stretches))]


def hear_stream(
    model: Path,
    stream: Path,
    labels: Path | None,
    *,
    data: str | None = None,
    allow_leak: bool = False,
    progress: Progress | None = None,
) -> HeardStream:
    """Hear a recording or a stream set with a detector.

    Args:
        model: an export, or a trained and evaluated model.
        stream: a stream set's folder, or a recording.
        labels: of a recording, in a format that `wakebeam labels` reads; None for a stream set.
        data: the data set that the model was trained on, where it doesn't lie beside it.
        allow_leak: hear also what the model was trained on, and say so.
        progress: called with (seconds heard, seconds in all).

    Raises:
        RequestError: the labels are wrong, name no keyword, or lie beyond the recording; or the
            detector finds sound events.
        DatasetError: the stream set is damaged, or the model was trained on some of it.
    """
    data = data or data_beside(model)
    with _detector_of(model) as detector:
        detector.require("keywords")
        card = detector.metadata.get("card", {})
        if labels is None:
            made = read_stream_set(stream)
            material = _of_set(stream, made, detector)
            material.about["leak_check"] = _leak_check(made, card, data, allow_leak)
        else:
            events = _labelled(labels, detector.labels, stream.name)
            checked = _recording_check(stream, card, data, allow_leak)
            material = _Material(((stream, events),), {"name": stream.name, "leak_check": checked})
        return HeardStream(
            detector.metadata,
            tuple(detector.labels),
            detector.threshold,
            detector.sample_rate_hz,
            tuple(_scores(detector, material, labels, progress)),
            {path.name: path for path, _ in material.recordings},
            material.about,
        )


def read_events(
    labels: Path, keywords: Sequence[str], recording: str
) -> tuple[ReferenceEvent, ...]:
    """Read what a recording holds from a file of labels; what isn't a keyword is another sound.

    Args:
        labels: of any format that `wakebeam labels` reads.
        keywords: labels of keywords.
        recording: file name, which is looked for where the labels are of several.

    Raises:
        RequestError: not readable, a line is wrong, or the recording isn't in it.
    """
    events = []
    for one in labels_of(labels, recording).labels:
        if one.offset_s == one.onset_s:
            raise RequestError(
                f"{labels} has a label {one.label!r} without length at {one.onset_s:g} s",
                expected="the start and the end of what is heard",
            )
        label = one.label.strip()
        kind = "keyword" if label in keywords else "other"
        events.append(ReferenceEvent(one.onset_s, one.offset_s, label, kind))
    return tuple(events)


@contextlib.contextmanager
def _detector_of(model: Path) -> Iterator[StreamingDetector]:
    """The streaming detector of an export, or of a trained model."""
    if (model / METADATA_NAME).exists() or not (model / "model.json").exists():
        yield StreamingDetector(model)
        return
    from models.export import write_stream

    with scratch_folder(model.resolve().parent, "judging") as scratch:
        write_stream(model, scratch)
        yield StreamingDetector(scratch)


def _labelled(labels: Path, keywords: Sequence[str], recording: str) -> tuple[ReferenceEvent, ...]:
    events = read_events(labels, keywords, recording)
    if events and not any(event.kind == "keyword" for event in events):
        named = ", ".join(sorted({event.label for event in events})[:8])
        raise RequestError(
            f"{labels} has no keyword among its labels ({named})",
            expected=f"labels called {', '.join(keywords)}, as the detector knows them",
        )
    return events


def _of_set(folder: Path, made: StreamSet, detector: StreamingDetector) -> _Material:
    """The recordings of a stream set, each compared with its checksum."""
    if not set(made.labels) & set(detector.labels):
        raise RequestError(
            f"{folder} has keywords {', '.join(made.labels)}",
            expected=f"some of {', '.join(detector.labels)}, which the detector knows",
        )
    clips = {clip.clip_id: clip for clip in made.clips}
    rate = made.sample_rate_hz
    recordings = []
    for file in made.files:
        if not (folder / file.name).is_file() or file_digest(folder / file.name) != file.sha256:
            raise DatasetError(
                f"{folder / file.name} is missing or has other bytes than when it was made",
                fix="make it again: delete it and run the same `wakebeam stream-set`",
            )
        events = []
        for event in file.events:
            clip = clips[event.clip]
            known = clip.kind != "keyword" or clip.label in detector.labels
            events.append(
                ReferenceEvent(
                    event.onset_samples / rate,
                    (event.onset_samples + event.num_samples) / rate,
                    clip.label,
                    clip.kind if known else "other keyword",
                    event.snr_db,
                    clip.clip_id,
                    "" if clip.speaker.startswith("file ") else clip.speaker,
                )
            )
        recordings.append((folder / file.name, tuple(events)))
    about = {
        "name": folder.resolve().name,
        "identity": made.identity(),
        "options": made.made_from["options"],
        "clips": made.counts["clips"],
    }
    return _Material(tuple(recordings), about)


def _leak_check(made: StreamSet, card: Mapping[str, Any], data: str, allow: bool) -> str:
    leaks, how = leaks_into(card, made, data)
    if leaks is None:
        return how
    if not allow:
        require_no_leaks(leaks, "what the model was trained on", _OTHER_MATERIAL)
    if leaks:
        return f"{len(leaks)} of {len(made.clips)} clips are in what the model was trained on"
    return f"none of {len(made.clips)} clips is in what the model was trained on ({how})"


def _recording_check(path: Path, card: Mapping[str, Any], data: str, allow: bool) -> str:
    file = path.resolve()
    if (file.parent / STREAM_SET_NAME).exists():
        made = read_stream_set(file.parent)
        if file.name in {one.name for one in made.files}:
            return _leak_check(made, card, data, allow)
    try:
        own = own_recordings(card, data)
    except WakebeamError as error:
        return f"not checked: {error.received}"
    known = own.get(recording_digest(path))
    if known is None or known.split == "test":
        return "neither it nor a clip cut out of it was trained on; its sounds aren't compared"
    said = f"{path.name} was trained on: {known}"
    if not allow:
        raise DatasetError(said, fix=_OTHER_MATERIAL)
    return said


def _scores(
    detector: StreamingDetector,
    material: _Material,
    labels: Path | None,
    progress: Progress | None,
) -> list[ScoredRecording]:
    """Hear each recording from its start, with a fresh memory."""
    scored = []
    heard = 0
    lengths = [max((e.offset_s for e in events), default=0.0) for _, events in material.recordings]
    for path, events in material.recordings:
        detector.reset()
        times, scores, samples = [], [], 0
        for block in stream_audio(path, detector.sample_rate_hz):
            found = detector.process(block)
            times.append(found.times_s)
            scores.append(found.scores)
            samples += len(block)
            if progress is not None:
                seconds = heard + samples // detector.sample_rate_hz
                progress(seconds, max(seconds, round(sum(lengths))))
        last = detector.finish()
        seconds_long = samples / detector.sample_rate_hz
        heard += round(seconds_long)
        if events and events[-1].onset_s > seconds_long:
            raise RequestError(
                f"{labels or path} has an event at {events[-1].onset_s:g} s, but {path} is "
                f"{seconds_long:.1f} s long",
                expected="labels in seconds of this recording",
            )
        scored.append(
            ScoredRecording(
                path.name,
                seconds_long,
                np.concatenate([*times, last.times_s]),
                np.concatenate([*scores, last.scores]),
                events,
            )
        )
    return scored
