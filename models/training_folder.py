"""The folder that a training writes: history, checkpoints, logs, best weights so far, the model.

`history.json` says what the folder belongs to and how far it is; it is written after what it names
and removed last, so a killed run is found unfinished, never half done. Where several processes
train together the first writes; the others keep the same history in memory.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import tensorflow as tf

from models.model_card import CARD_TEXT_NAME
from models.model_files import CARD_NAME, WEIGHTS_NAME, write_json
from models.validation_scores import SCORES_NAME
from models.worst_clips import CLIPS_NAME
from schemas.dataset import changes_between
from schemas.errors import TrainingError

_HISTORY, _CHECKPOINTS, _LOGS, _BEST = "history.json", "checkpoints", "logs", "best"


def chosen_epoch(epochs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the epoch whose weights are kept: the last within a standard error of the best.

    A validation of a dozen takes can't tell epochs apart that differ by less, and rates that fall
    make the last ones the better trained. Without an error the best one, the first of equals. As
    epochs come, only the newest can become the chosen one.

    Source: the one-standard-error rule of Breiman et al., Classification and Regression Trees
    (1984), section 3.4.3, which likewise chooses among what can't be told apart.

    Args:
        epochs: entries of a history, at least one, with `cost` and `cost_error`.
    """
    best = min(epochs, key=lambda entry: (entry["cost"], entry["epoch"]))
    error = best.get("cost_error", 0.0)
    if not error:
        return best
    return [entry for entry in epochs if entry["cost"] <= best["cost"] + error][-1]


class TrainingFolder:
    """A model's folder while it is trained, bound to one task.

    Args:
        path: the folder itself.
        identity: a digest of all that the training depends on.
        content: the same by name, for messages.
        writes: False in a process that only follows.

    Attributes:
        history: `identity`, `content`, `epochs` (an entry for each finished one), `finished` and,
            of a model that a retraining promoted, the identity that it `stands_for`.
    """

    def __init__(
        self, path: Path, identity: str, content: dict[str, Any], *, writes: bool = True
    ) -> None:
        self.path = path
        self._identity, self._content = identity, content
        self._writes = writes
        self._writer: tf.summary.SummaryWriter | None = None
        self.history: dict[str, Any] = self._read()

    @property
    def logs(self) -> Path:
        """Where TensorBoard reads."""
        return self.path / _LOGS

    def checkpoints_of(self, worker: int) -> Path:
        """Return where a process saves; all restore from that of the first, 0."""
        return self.path / _CHECKPOINTS / (f"worker-{worker}" if worker else "")

    def best(self, epoch: int) -> Path:
        """Return a folder for each chosen epoch: a killed run can't mix two of them up."""
        return self.path / _BEST / f"epoch-{epoch:05d}"

    def holds_another(self) -> bool:
        """Whether something else was trained here, or its history can't be read."""
        known = (self.history.get("identity"), self.history.get("stands_for"))
        return (self.path / _HISTORY).exists() and self._identity not in known

    def state(self) -> Literal["empty", "unfinished", "complete"]:
        """Say what the folder holds.

        Raises:
            TrainingError: a model of another recipe or data set.
        """
        if not (self.path / _HISTORY).exists():
            return "empty"
        if self.holds_another():
            raise TrainingError(
                f"{self.path} holds a model of another recipe or data set{self._changes()}",
                expected="the model of this recipe, unfinished or complete, or no model",
                fix="--overwrite trains anew and leaves the data set; or move this folder away",
            )
        finished = (self.path / CARD_NAME).exists() and self.history.get("finished", False)
        return "complete" if finished else "unfinished"

    def begin(self, epochs_done: int) -> None:
        """Keep what the last checkpoint covers of the history, and write it."""
        epochs = self.history.get("epochs", [])[:epochs_done]
        self.history = self._new(epochs)
        self._write()

    def save_best(self, epoch: int, save: Callable[[Path], None]) -> None:
        """Write the weights of the epoch that is chosen so far."""
        if self._writes:
            self.best(epoch).mkdir(parents=True, exist_ok=True)
            save(self.best(epoch) / WEIGHTS_NAME)

    def add(self, entry: dict[str, Any]) -> None:
        """Write an epoch's entry."""
        self.history["epochs"].append(entry)
        self._write()

    def keep(self, write: Callable[[Path], None]) -> None:
        """Let `write` put what an epoch is to be looked at by into the folder."""
        if self._writes:
            write(self.path)

    def summarise(self, epoch: int, write: Callable[[], None]) -> None:
        """Let `write` put pictures and sounds where TensorBoard shows them."""
        if not self._writes:
            return
        self._writer = self._writer or tf.summary.create_file_writer(str(self.logs / "judged"))
        with self._writer.as_default(step=epoch):
            write()
            self._writer.flush()

    def finish(self) -> None:
        """Mark the training as finished; the best weights must be in the model by now."""
        self.history["finished"] = True
        self._write()
        if self._writes:
            shutil.rmtree(self.path / _BEST, ignore_errors=True)

    def clear_leftovers(self) -> None:
        """Remove checkpoints, logs and best weights: without a history nobody knows whose."""
        if self._writes:
            for name in (_CHECKPOINTS, _LOGS, _BEST):
                shutil.rmtree(self.path / name, ignore_errors=True)

    def clear(self) -> None:
        """Remove what training wrote, the history last."""
        self.clear_leftovers()
        if self._writes:
            shutil.rmtree(self.path / CLIPS_NAME, ignore_errors=True)
            reports = [f"evaluation.{kind}" for kind in ("json", "txt", "png", "html")]
            names = (CARD_NAME, CARD_TEXT_NAME, SCORES_NAME, *reports, WEIGHTS_NAME, _HISTORY)
            for name in names:
                (self.path / name).unlink(missing_ok=True)
        self.history = self._new([])

    def stand_for(self, identity: str) -> None:
        """Let a finished model be what another training would have been asked for.

        A retrained model starts from another one, so it is of another identity than its recipe's;
        in the folder of the one that it replaces it is current nevertheless.
        """
        self.history["stands_for"] = identity
        self._write()

    def _changes(self) -> str:
        """Name what differs, where the history knows; digests of data say nothing to people."""
        if "content" not in self.history:
            return ""
        old, new = ({**c, "data": None} for c in (self.history["content"], self._content))
        found = changes_between(old, new)
        if self.history["content"].get("data") != self._content.get("data"):
            found.insert(0, "another data set")
        return f" ({'; '.join(found[:5])})" if found else ""

    def _new(self, epochs: list[dict[str, Any]]) -> dict[str, Any]:
        return {"identity": self._identity, "content": self._content, "epochs": epochs}

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads((self.path / _HISTORY).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return self._new([])
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _write(self) -> None:
        if self._writes:
            self.path.mkdir(parents=True, exist_ok=True)
            write_json(self.path / _HISTORY, self.history)
