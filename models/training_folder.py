"""The folder that a training writes: history, checkpoints, logs, best weights so far, the model.

`history.json` says which recipe and data set the folder belongs to and how far it is; it is written
after what it names and removed last, so a killed run is found unfinished, never half done.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Literal

from models.detector import CARD_NAME, WEIGHTS_NAME, write_json
from schemas.canonical import digest
from schemas.errors import TrainingError
from schemas.recipe import Recipe
from schemas.stored_dataset import StoredDataset

_HISTORY, _CHECKPOINTS, _LOGS, _BEST = "history.json", "checkpoints", "logs", "best"


class TrainingFolder:
    """A model's folder while it is trained, bound to one recipe and data set.

    Attributes:
        path: the folder itself.
        history: `identity`, `epochs` (an entry for each finished one) and `finished`.
    """

    def __init__(self, path: Path, recipe: Recipe, stored: StoredDataset) -> None:
        self.path = path
        self._identity = training_identity(recipe, stored)
        self.history: dict[str, Any] = self._read()

    @property
    def checkpoints(self) -> Path:
        """Where the optimiser's and the network's state is, for the run that goes on."""
        return self.path / _CHECKPOINTS

    @property
    def logs(self) -> Path:
        """Where TensorBoard reads."""
        return self.path / _LOGS

    def best(self, epoch: int) -> Path:
        """Return a folder for each best epoch: a killed run can't mix two of them up."""
        return self.path / _BEST / f"epoch-{epoch:05d}"

    def state(self) -> Literal["empty", "unfinished", "complete"]:
        """Say what the folder holds.

        Raises:
            TrainingError: a model of another recipe or data set.
        """
        if not (self.path / _HISTORY).exists():
            return "empty"
        if self.history.get("identity") != self._identity:
            raise TrainingError(
                f"{self.path} holds a model of another recipe or data set",
                expected="the model of this recipe, unfinished or complete, or no model",
                fix="pass --overwrite to train anew, or keep the folder under another name",
            )
        finished = (self.path / CARD_NAME).exists() and self.history.get("finished", False)
        return "complete" if finished else "unfinished"

    def begin(self, epochs_done: int) -> None:
        """Keep what the last checkpoint covers of the history, and write it."""
        epochs = self.history.get("epochs", [])[:epochs_done]
        self.history = {"identity": self._identity, "epochs": epochs}
        self.path.mkdir(parents=True, exist_ok=True)
        self._write()

    def add(self, entry: dict[str, Any]) -> None:
        """Write an epoch's entry."""
        self.history["epochs"].append(entry)
        self._write()

    def finish(self) -> None:
        """Mark the training as finished; the best weights must be in the model by now."""
        self.history["finished"] = True
        self._write()
        shutil.rmtree(self.path / _BEST, ignore_errors=True)

    def clear(self) -> None:
        """Remove what training wrote, the history last."""
        for name in (_CHECKPOINTS, _LOGS, _BEST):
            shutil.rmtree(self.path / name, ignore_errors=True)
        reports = [f"evaluation.{kind}" for kind in ("json", "txt", "png", "html")]
        for name in (CARD_NAME, *reports, WEIGHTS_NAME, _HISTORY):
            (self.path / name).unlink(missing_ok=True)
        self.history = {"identity": self._identity, "epochs": []}

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads((self.path / _HISTORY).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {"identity": self._identity, "epochs": []}
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _write(self) -> None:
        write_json(self.path / _HISTORY, self.history)


def training_identity(recipe: Recipe, stored: StoredDataset) -> str:
    """Return a digest of all that a training depends on."""
    parts = [recipe.features, recipe.model, recipe.training, recipe.evaluation]
    return digest([stored.identity(), recipe.seed, *(p.model_dump(mode="json") for p in parts)])
