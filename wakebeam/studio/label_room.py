"""The room to label in: stretches of long recordings to see, hear and mark.

label_store.py keeps the labels: where their file has changed in another tab or program nothing is
written over it, and the page asks.
"""

from __future__ import annotations

import asyncio
import dataclasses
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
from schemas.errors import RequestError
from schemas.labels import Label
from wakebeam.detecting import Collected, file_source, listen
from wakebeam.sound_pictures import envelope, spectrogram
from wakebeam.studio import label_store
from wakebeam.studio.decoded import RATE_HZ, DecodedRecordings
from wakebeam.studio.place import PLACE

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
    """GET: every recording, and whether it has labels; those of the detector."""
    place = request.app[PLACE]

    def look() -> dict[str, Any]:
        names, num_elsewhere, all_of_them = place.recordings()
        rows = [
            {"name": name, "labelled": label_store.is_labelled(place.folder / name)}
            for name in names
        ]
        return {
            "recordings": rows,
            "labels": place.labels(),
            "elsewhere": num_elsewhere,
            "cut": not all_of_them,
        }

    return web.json_response(await asyncio.to_thread(look))


async def get_recording(request: web.Request) -> web.Response:
    """GET name: its length, its labels, and drafts of labels that were never saved."""
    path = _recording(request)
    opened = await request.app[_RECORDINGS].open(path)
    what = {"duration_s": opened.duration_s, "num_channels": opened.num_channels}
    drafts = {"drafts": label_store.drafts(path)}
    return web.json_response(label_store.labelled(path) | what | drafts)


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
    """PUT name, tab, with {revision, labels}: write them; 409 where the file has another one."""
    path, sent = _recording(request), await _sent(request)
    labels, revision = _labels(sent), sent.get("revision")
    if not isinstance(revision, str):
        raise RequestError("labels without the revision that they began from")
    async with request.app[_SAVING]:
        tab = request.query.get("tab", "")
        answer = await asyncio.to_thread(label_store.save, path, revision, labels, tab)
    return web.json_response(answer, status=409 if answer.pop("changed", False) else 200)


async def put_draft(request: web.Request) -> web.Response:
    """PUT name, tab, with {labels}: keep what can't be saved now; {} throws it away."""
    path, sent = _recording(request), await _sent(request)
    tab = request.query.get("tab", "")
    async with request.app[_SAVING]:
        if sent:
            await asyncio.to_thread(label_store.keep_draft, path, _labels(sent), tab)
        else:
            await asyncio.to_thread(label_store.drop_draft, path, tab)
    return web.json_response({})


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


async def _sent(request: web.Request) -> dict[str, Any]:
    try:
        return dict(await request.json())
    except (ValueError, TypeError) as error:
        raise RequestError(f"these are no labels ({error!r})") from None


def _labels(sent: dict[str, Any]) -> tuple[Label, ...]:
    try:
        return label_store.parsed(sent["labels"])
    except (ValueError, KeyError, TypeError) as error:
        raise RequestError(f"these are no labels ({error!r})") from None


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
    web.put("/api/draft", put_draft),
    web.post("/api/proposals", post_proposals),
]
