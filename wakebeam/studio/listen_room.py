"""The room to listen in: the detector on the browser's microphone, score by score."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
from aiohttp import web

from models.live_buffer import LiveBuffer
from models.step_model import StepModel
from models.streaming import StreamingDetector, StreamOutput
from schemas.errors import RequestError
from wakebeam.detecting import Output, Source, listen, live_pieces
from wakebeam.studio.microphone import Tell, hear, told_why
from wakebeam.studio.place import PLACE


class _ToPage(Output):
    """Tells the page the highest score of each piece, and every detection."""

    def __init__(self, tell: Tell, rate_hz: int) -> None:
        self._tell, self._rate_hz = tell, rate_hz

    def heard(self, samples: np.ndarray, scored: StreamOutput) -> None:
        """Take a piece."""
        if len(scored.times_s):
            scores = scored.scores.max(axis=0).round(5).tolist()
            self._tell({"time_s": round(float(scored.times_s[-1]), 3), "scores": scores})

    def found(self, line: dict[str, Any]) -> None:
        """Take a detection."""
        self._tell({"found": line})

    def lost(self, num_samples: int) -> None:
        """Say it."""
        self._tell({"lost_s": round(num_samples / self._rate_hz, 2)})


async def get_detector(request: web.Request) -> web.Response:
    """GET: what the detector knows."""
    model = request.app[PLACE].model
    if model is None:
        return web.json_response({})
    detector = await asyncio.to_thread(StreamingDetector, model)
    return web.json_response(
        {
            "name": detector.metadata["name"],
            "labels": list(detector.labels),
            "threshold": detector.metadata.get("threshold"),
        }
    )


async def listening(request: web.Request) -> web.WebSocketResponse:
    """A socket: sound in, scores and detections out."""
    model = request.app[PLACE].model
    if model is None:
        raise RequestError("no detector", fix="start the studio with --model EXPORT")
    step = await asyncio.to_thread(StepModel, model)

    def work(buffer: LiveBuffer, rate_hz: int, tell: Tell) -> None:
        detector = StreamingDetector(step, input_rate_hz=rate_hz)
        source = Source("browser", rate_hz, live_pieces(buffer))
        listen(detector, source, [_ToPage(tell, rate_hz)])

    return await hear(request, work)


ROUTES = [web.get("/api/detector", get_detector), web.get("/socket/listen", told_why(listening))]
