"""The room to label in: stretches of long recordings to see, hear and mark.

Labels lie beside a recording as an Audacity track, NAME.txt. Each save names the revision that it
began from: where the file has changed since, in another tab or program, nothing is written and the
page asks.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import io
import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile
from aiohttp import web

from models.streaming import StreamingDetector
from pipeline.activity import frame_power_db
from pipeline.audio_file import AUDIO_SUFFIXES
from pipeline.labels.label_files import read_labels, write_labels
from schemas.errors import RequestError
from schemas.labels import Label, LabelledRecording
from wakebeam.detecting import Collected, file_source, listen
from wakebeam.sound_pictures import envelope, spectrogram
from wakebeam.studio.decoded import RATE_HZ, DecodedRecordings
from wakebeam.studio.place import PLACE, no_link

_FRAME_S = 0.01
_OVER_MEDIAN_DB, _BELOW_PEAK_DB = 9.0, 35.0
_JOINED_S, _SHORTEST_S = 0.3, 0.08


_RECORDINGS = web.AppKey("recordings", DecodedRecordings)
_SAVING = web.AppKey("saving", asyncio.Lock)


async def context(app: web.Application) -> AsyncIterator[None]:
    """Hold what was decoded while the studio is open."""
    app[_RECORDINGS], app[_SAVING] = DecodedRecordings(), asyncio.Lock()
    yield
    app[_RECORDINGS].close()


async def list_recordings(request: web.Request) -> web.Response:
    """GET: every recording, and whether it has labels."""
    place = request.app[PLACE]

    def look() -> dict[str, Any]:
        names, all_of_them = place.recordings()
        rows = [
            {"name": name, "labelled": any(path.exists() for path in _beside(place.folder / name))}
            for name in names
        ]
        return {"recordings": rows, "model": place.model is not None, "cut": not all_of_them}

    return web.json_response(await asyncio.to_thread(look))


async def get_recording(request: web.Request) -> web.Response:
    """GET name: its length and its labels."""
    path = _recording(request)
    opened = await request.app[_RECORDINGS].open(path)
    what = {"duration_s": opened.duration_s, "num_channels": opened.num_channels}
    return web.json_response(_labelled(path) | what)


async def get_stretch(request: web.Request) -> web.Response:
    """GET name, from_s, to_s, channel: waveform, spectrogram, and where there is sound."""
    x, from_s = await _stretch(request)

    def draw() -> dict[str, Any]:
        lows, highs = envelope(x)
        picture = spectrogram(x, RATE_HZ)
        active = [(from_s + a, from_s + b) for a, b in active_stretches(x, RATE_HZ)]
        return {"lows": lows, "highs": highs, "picture": picture, "active": active}

    return web.json_response(await asyncio.to_thread(draw))


async def get_sound(request: web.Request) -> web.Response:
    """GET name, from_s, to_s, channel: the stretch as a WAV file."""
    x, _ = await _stretch(request)
    out = io.BytesIO()
    soundfile.write(out, x, RATE_HZ, format="WAV", subtype="PCM_16")
    return web.Response(body=out.getvalue(), content_type="audio/wav")


async def put_labels(request: web.Request) -> web.Response:
    """PUT name, with {revision, labels}: write them; 409 where the file has another revision."""
    path = _recording(request)
    try:
        sent = await request.json()
        labels = _parsed(sent["labels"])
        revision = sent["revision"]
    except (ValueError, KeyError, TypeError) as error:
        raise RequestError(f"these are no labels ({error!r})") from None
    async with request.app[_SAVING]:
        if revision != _revision(path):
            return web.json_response(_labelled(path), status=409)
        made = LabelledRecording(path.name, labels)
        text = await asyncio.to_thread(write_labels, [made], _labels_path(path))
        return web.json_response({"revision": _digest(text.encode())})


async def post_proposals(request: web.Request) -> web.Response:
    """POST name: what the detector finds in the recording, as stretches to accept or reject."""
    path, model = _recording(request), request.app[PLACE].model
    if model is None:
        raise RequestError("no detector", fix="start the studio with --model EXPORT")
    recordings = request.app[_RECORDINGS]
    opened = await recordings.open(path)

    def find() -> list[dict[str, Any]]:
        detector = StreamingDetector(model)
        collected = Collected()
        source = file_source(path, detector.sample_rate_hz)
        source = dataclasses.replace(source, pieces=recordings.until_closed(source.pieces))
        listen(detector, source, [collected])
        return [
            {
                "onset_s": line["onset_s"],
                "offset_s": min(
                    opened.duration_s, line["offset_s" if "offset_s" in line else "time_s"]
                ),
                "label": line["label"],
                "score": line["score"],
            }
            for line in collected.lines
        ]

    return web.json_response(await recordings.slowly(find))


def active_stretches(x: npt.NDArray[np.int16], rate_hz: int) -> list[tuple[float, float]]:
    """Return where there is sound, in seconds: what stands out of the stretch's median level.

    Frames of 10 ms that are 9 dB over the median and within 35 dB of the loudest; pauses of less
    than 0.3 s are inside, what is shorter than 80 ms is left out.
    """
    frame = round(_FRAME_S * rate_hz)
    if len(x) < 2 * frame:
        return []
    steps = np.diff(x.astype(np.float32), prepend=np.float32(x[0])) / np.float32(32768.0)
    db = frame_power_db(steps, frame)
    active = db > max(float(np.median(db)) + _OVER_MEDIAN_DB, float(db.max()) - _BELOW_PEAK_DB)
    edges = np.flatnonzero(np.diff(np.concatenate(([0], active.astype(np.int8), [0]))))
    stretches: list[tuple[float, float]] = []
    for a, b in (edges.reshape(-1, 2) * _FRAME_S).tolist():
        if stretches and a - stretches[-1][1] < _JOINED_S:
            stretches[-1] = (stretches[-1][0], b)
        else:
            stretches.append((a, b))
    return [(round(a, 3), round(b, 3)) for a, b in stretches if b - a >= _SHORTEST_S]


async def _stretch(request: web.Request) -> tuple[npt.NDArray[np.int16], float]:
    """The samples that are asked for, and where they begin, in seconds."""
    opened = await request.app[_RECORDINGS].open(_recording(request))
    from_s, to_s = _number(request, "from_s"), _number(request, "to_s")
    return opened.view(from_s, to_s, int(_number(request, "channel", "0"))), from_s


def _recording(request: web.Request) -> Path:
    path = request.app[PLACE].inside(request.query.get("name", ""))
    if path.suffix.lower() not in AUDIO_SUFFIXES or not path.is_file():
        raise web.HTTPNotFound
    return path


def _beside(recording: Path) -> tuple[Path, Path]:
    """Where its labels may lie: NAME.txt, and NAME.SUFFIX.txt where others are called NAME too."""
    return recording.with_suffix(".txt"), recording.with_name(f"{recording.name}.txt")


def _labels_path(recording: Path) -> Path:
    others = AUDIO_SUFFIXES - {recording.suffix.lower()}
    shared = any(recording.with_suffix(suffix).exists() for suffix in others)
    return no_link(_beside(recording)[shared])


def _revision(recording: Path) -> str:
    """Names what the file of labels holds now; empty where there is none."""
    try:
        return _digest(_labels_path(recording).read_bytes())
    except FileNotFoundError:
        return ""


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _labelled(recording: Path) -> dict[str, Any]:
    revision, path = _revision(recording), _labels_path(recording)
    labels = read_labels(path, sort=True)[0].labels if revision else ()
    rows = [
        {name: getattr(label, name) for name in Label.__slots__ if getattr(label, name) is not None}
        for label in labels
    ]
    return {"revision": revision, "labels": rows}


def _parsed(rows: Any) -> tuple[Label, ...]:
    """Labels as a page sends them; they may reach beyond the recording, as Audacity's do."""
    labels = []
    for row in rows:
        label = Label(**row)
        numbers = [label.onset_s, label.offset_s, label.low_hz, label.high_hz, label.confidence]
        if not all(math.isfinite(float(n)) for n in numbers if n is not None):
            raise ValueError("a number isn't finite")
        if not 0.0 <= label.onset_s <= label.offset_s:
            raise ValueError(f"from {label.onset_s} to {label.offset_s} s")
        if not isinstance(label.label, str):
            raise ValueError("a label is a text")
        labels.append(label)
    return tuple(sorted(labels, key=lambda one: (one.onset_s, one.offset_s)))


def _number(request: web.Request, name: str, default: str = "") -> float:
    try:
        number = float(request.query.get(name, default))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise RequestError(f"{name} is no number")
    return number


ROUTES = [
    web.get("/api/recordings", list_recordings),
    web.get("/api/recording", get_recording),
    web.get("/api/stretch", get_stretch),
    web.get("/api/sound", get_sound),
    web.put("/api/labels", put_labels),
    web.post("/api/proposals", post_proposals),
]
