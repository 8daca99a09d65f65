"""A training's validation scenes as one stream: what the latest epoch's detector says of them.

Scores, events and threshold are those that the training left in the model's folder; hits, misses
and false accepts are counted anew, by the one counter. Sounds are read out of the data set beside
the model, where that lies in the studio's folder too.
"""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path
from typing import Any

from aiohttp import web

from models.export_folder import data_beside
from models.slices import sound_at
from models.validation_scores import SCORES_NAME, ValidationScores
from pipeline.example_codec import decode_example
from pipeline.tfrecord import RecordReader
from schemas.detection import ReferenceEvent
from schemas.errors import DatasetError, WakebeamError
from schemas.example import StoredExample
from schemas.stored_dataset import StoredDataset
from wakebeam.score_pictures import RANGE, log_odds, overview, sound_values, stretch_values
from wakebeam.studio.place import PLACE, Place, no_link


async def get_stream(request: web.Request) -> web.Response:
    """GET name: the scores of all scenes at a glance, and what was found, missed and made up."""
    folder = request.app[PLACE].inside(request.query.get("name", ""))
    return web.json_response(await asyncio.to_thread(_stream, folder))


async def get_scene(request: web.Request) -> web.Response:
    """GET name, scene: one scene's scores and events, and its sound where that can be had."""
    place = request.app[PLACE]
    folder = place.inside(request.query.get("name", ""))
    try:
        number = int(request.query.get("scene", ""))
    except ValueError:
        raise web.HTTPNotFound from None
    return web.json_response(await asyncio.to_thread(_scene, place, folder, number))


def _scores(folder: Path) -> ValidationScores:
    no_link(folder / SCORES_NAME)
    found = ValidationScores.read(folder)
    if found is None:
        raise web.HTTPNotFound
    return found


def _stream(folder: Path) -> dict[str, Any]:
    scores = _scores(folder)
    accepts, misses, hits = [], [], []
    for scene, matching in enumerate(scores.count()):
        for detection in matching.false_accepts:
            on = sound_at(scores.recordings[scene].events, detection)
            odds = log_odds(detection.score)
            text = f"{detection.label} · log odds {odds} · on {on}"
            accepts.append((-odds, {"scene": scene, "time_s": detection.time_s, "text": text}))
        for event in matching.misses:
            misses.append({"scene": scene, "time_s": event.offset_s, "text": _said(event)})
        for event, detection in matching.hits:
            late_s = detection.time_s - event.offset_s
            text = f"{_said(event)} · {late_s:+.2f} s from its end"
            hits.append({"scene": scene, "time_s": detection.time_s, "text": text})
    return {
        "threshold": scores.threshold,
        "log_odds": RANGE,
        "num_scenes": len(scores.recordings),
        "in_all": scores.num_scenes,
        "scene_s": scores.recordings[0].duration_s,
        "overview": overview(scores.recordings),
        "lists": {
            "false accepts": [row for _, row in sorted(accepts, key=lambda pair: pair[0])],
            "misses": misses,
            "hits": hits,
        },
    }


def _said(event: ReferenceEvent) -> str:
    return f"{event.label} · SNR {event.snr_db:.1f} dB · {event.source}"


def _scene(place: Place, folder: Path, number: int) -> dict[str, Any]:
    scores = _scores(folder)
    if not 0 <= number < len(scores.recordings):
        raise web.HTTPNotFound
    recording = scores.recordings[number]
    matching = scores.count()[number]
    values = {
        "name": recording.name,
        "threshold": scores.threshold,
        "found": [[d.time_s, True] for d in matching.false_accepts]
        + [[d.time_s, False] for _, d in matching.hits],
    } | stretch_values(recording, 0.0, recording.duration_s)
    try:
        example = _example(place, folder, number, scores)
    except (WakebeamError, OSError) as error:
        return values | {"no_sound": getattr(error, "received", None) or str(error)}
    rate = example.sample_rate_hz
    return values | {"rate_hz": rate} | sound_values(example.audio, rate)


def _example(place: Place, folder: Path, number: int, scores: ValidationScores) -> StoredExample:
    """A validation scene out of the data set beside a model.

    Raises:
        DatasetError: there is none in the studio's folder, it is another one, or damaged.
    """
    data, root = Path(data_beside(folder)), place.folder.resolve()

    def read_text(path: str) -> str | None:
        return Path(path).read_text(encoding="utf-8") if Path(path).exists() else None

    if not data.resolve().is_relative_to(root):
        raise DatasetError("the data set isn't in the studio's folder")
    stored = StoredDataset.read(str(data), read_text)
    if stored.split_identity("validation") != scores.split:
        raise DatasetError(f"{data.name} beside the model is another data set by now")
    for path, entry in stored.shards("validation"):
        if number >= entry.num_examples:
            number -= entry.num_examples
            continue
        shard = Path(path).resolve()
        if not (shard.is_relative_to(root) and shard.is_file()):
            raise DatasetError(f"{entry.name} isn't in the studio's folder")
        with shard.open("rb") as file:
            record = next(itertools.islice(RecordReader(file, entry.name), number, None), None)
        if record is None:
            raise DatasetError(f"{entry.name} holds fewer scenes than its manifest says")
        return decode_example(record)
    raise DatasetError("the data set holds fewer validation scenes")


ROUTES = [
    web.get("/api/validation", get_stream),
    web.get("/api/validation/scene", get_scene),
]
