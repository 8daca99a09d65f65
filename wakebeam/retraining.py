"""Retraining: new scenes are added, a candidate starts from the model in use, the better one stays.

    grow the data set (old shards untouched) → fit the candidate → compare → promote or keep

Every step is found done when the same command runs again: `candidate/retraining.json` says from
which model it started and how many generations of scenes there were. A model that is replaced is
kept beside the new one, as `MODEL-before-DIGEST`.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from beam_jobs.stored import read_dataset
from schemas.errors import RequestError
from wakebeam.workspace import Workspace

_STATE, _COMPARISON = "retraining.json", "comparison.json"


def retrain(
    workspace: Workspace, since: Path, *, grow: Callable[[], object] | None, test_on: str | None
) -> dict[str, Any]:
    """Grow, fit, compare and maybe promote; go on where a killed run stopped.

    Args:
        workspace: of the recipe.
        since: folder of the model in use.
        grow: adds scenes to the data set; None where there are none to add.
        test_on: the data set whose test split judges both; the recipe's own if None.

    Returns:
        The comparison, with `promoted` and the folder that the model before went to.

    Raises:
        RequestError: another retraining is unfinished here, or what is judged isn't keywords.
    """
    from models.detection_task import DetectionTask
    from models.model_files import WEIGHTS_NAME, read_card, write_json
    from models.promotion import compare_models
    from wakebeam.stages import fit_task

    judging = workspace.recipe.keyword_evaluation
    candidate = workspace.folder / "candidate"
    state = _read(candidate / _STATE)
    if not since.exists() and state.get("kept"):  # killed between the two renames
        os.replace(candidate, since)
        return _read(since / _COMPARISON) | {"promoted": True, "kept": state["kept"]}
    read_card(since)
    digest = hashlib.sha256((since / WEIGHTS_NAME).read_bytes()).hexdigest()
    if state.get("finished"):  # that one is over: this is the next
        shutil.rmtree(candidate)
        state = {}
    if state and state["since"] != digest:
        raise RequestError(
            f"{candidate} holds a retraining that started from another model",
            fix="remove that folder, or finish with the model that it started from",
        )
    if not state:
        generations = len(read_dataset(workspace.data).manifests)
        state = {"since": digest, "generations": generations}
        candidate.mkdir(parents=True, exist_ok=True)
        write_json(candidate / _STATE, state)
    if grow is not None and len(read_dataset(workspace.data).manifests) <= state["generations"]:
        grow()
    training = workspace.recipe.training.model_copy(update={"init_from": str(since.resolve())})
    recipe = workspace.recipe.model_copy(update={"training": training})
    fit_task(partial(DetectionTask, recipe, workspace.data), training, candidate)
    found = compare_models(since, candidate, test_on or workspace.data, judging)
    write_json(candidate / _COMPARISON, found)
    if not found["better"]:
        write_json(candidate / _STATE, state | {"finished": True})
        return found | {"promoted": False}
    kept = since.with_name(f"{since.name}-before-{digest[:8]}")
    write_json(candidate / _STATE, state | {"kept": str(kept)})
    os.replace(since, kept)
    os.replace(candidate, since)
    return found | {"promoted": True, "kept": str(kept)}


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}
