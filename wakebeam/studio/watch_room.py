"""The room to watch a training in: what its history says after each epoch, and what it hears.

The pictures are those that a training writes for TensorBoard: the scores over a validation scene.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from aiohttp import web
from tensorboard.compat.proto.event_pb2 import Event

from pipeline.lock_file import is_held
from pipeline.tfrecord import RecordReader
from schemas.errors import DatasetError
from wakebeam.studio.place import PLACE, no_link
from wakebeam.workspace import LOCK_NAME

_SHOWN = (
    "epoch",
    "loss",
    "cost",
    "miss_rate",
    "false_accepts_per_hour",
    "input_wait_fraction",
    "step_ms",
    "learning_rate",
    "seconds",
)


async def list_trainings(request: web.Request) -> web.Response:
    """GET: the folders in which something is or was trained."""
    return web.json_response(await asyncio.to_thread(request.app[PLACE].trainings))


async def get_training(request: web.Request) -> web.Response:
    """GET name: its epochs, whether it is at work, and how the model was judged, once it was."""
    folder = request.app[PLACE].inside(request.query.get("name", ""))
    history = await asyncio.to_thread(_json, folder / "history.json")
    judged = await asyncio.to_thread(_json, folder / "evaluation.json")
    epochs = [{k: e[k] for k in _SHOWN if k in e} for e in history.get("epochs", [])]
    known = ("miss_rate", "miss_interval", "false_accepts_per_hour", "threshold", "hours")
    return web.json_response(
        {
            "finished": bool(history.get("finished")),
            "at_work": await asyncio.to_thread(_at_work, request.app[PLACE].folder, folder),
            "epochs": epochs,
            "judged": {name: judged[name] for name in known if name in judged},
        }
    )


async def get_output(request: web.Request) -> web.Response:
    """GET name: the latest picture that the training has drawn, of scores over validation."""
    logs = request.app[PLACE].inside(request.query.get("name", "")) / "logs/judged"
    picture = await asyncio.to_thread(_latest_picture, no_link(logs))
    if picture is None:
        raise web.HTTPNotFound
    return web.Response(body=picture, content_type="image/png")


def _at_work(root: Path, folder: Path) -> bool | None:
    """Whether a run is at work on a training's recipe; None where no lock of one lies in here."""
    root = root.resolve()
    inside = [one for one in (folder, *folder.parents) if one.is_relative_to(root)]
    locks = [one / LOCK_NAME for one in inside if not (one / LOCK_NAME).is_symlink()]
    held = [is_held(path) for path in locks]
    return True if True in held else False if False in held else None


def _latest_picture(logs: Path) -> bytes | None:
    picture = None
    for path in sorted(map(no_link, logs.glob("events.*"))):
        with path.open("rb") as file:
            try:
                for record in RecordReader(file, path.name):
                    for value in Event.FromString(record).summary.value:
                        if value.metadata.plugin_data.plugin_name == "images":
                            picture = value.tensor.string_val[2]  # after width and height
            except DatasetError:
                continue  # it is being written: its end isn't whole yet
    return picture


def _json(path: Path) -> dict[str, Any]:
    """Read a JSON object; what isn't there yet is empty."""
    try:
        found = json.loads(no_link(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path.name} can't be read ({error})") from None
    return found if isinstance(found, dict) else {}


ROUTES = [
    web.get("/api/trainings", list_trainings),
    web.get("/api/training", get_training),
    web.get("/api/output", get_output),
]
