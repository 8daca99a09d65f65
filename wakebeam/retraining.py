"""Retraining: new scenes are added, a candidate starts from the model in use, the better one stays.

    grow the data set (old shards untouched) → fit the candidate → compare → promote or keep

Every step is found done when the same command runs again: `candidate/retraining.json` says from
which model it started and how many generations of scenes there were. A model that is replaced is
kept beside the new one, as `MODEL-before-DIGEST`; the new one stands for the recipe's own training,
so `train` and `run` find it current while recipe and data set stay as they are.

`comparisons.json`, beside the recipe, keeps one line for each comparison ever made: which models,
on which test split, with what result. How many looked at the same test split is in each result.
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
from schemas.errors import RequestError, WakebeamError
from wakebeam.workspace import Workspace

_STATE, _ALL = "retraining.json", "comparisons.json"


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
        The comparison, with `looks`, `promoted` and the folder that the model before went to.

    Raises:
        RequestError: another retraining is unfinished here, or what is judged isn't keywords.
        DatasetError: a data set is of another rate or other labels than the model.
    """
    from models.detection_task import DetectionTask
    from models.evaluation import fitting_dataset, open_judged
    from models.model_files import COMPARISON_NAME, write_json
    from models.promotion import compare_models
    from wakebeam.stages import filled_cache, fit_task

    judging = workspace.recipe.keyword_evaluation
    candidate = workspace.folder / "candidate"
    state = _read(candidate / _STATE)
    if not since.exists() and state.get("kept"):  # killed between the two renames
        os.replace(candidate, since)
        return _read(since / COMPARISON_NAME) | {"promoted": True, "kept": state["kept"]}
    _, detector, _ = open_judged(since, workspace.data)  # refused now, not after a training
    fitting_dataset(detector, test_on or workspace.data)
    digest = _weights_digest(since)
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
    make = partial(DetectionTask, recipe, workspace.data, cache=filled_cache(workspace))
    fit_task(make, training, candidate)
    found = compare_models(since, candidate, judging, data=workspace.data, test_on=test_on)
    found["looks"] = _looks(workspace.folder / _ALL, found, digest, _weights_digest(candidate))
    found["selected_on_test"] = found["better"]
    write_json(candidate / COMPARISON_NAME, found)
    if not found["better"]:
        write_json(candidate / _STATE, state | {"finished": True})
        return found | {"promoted": False}
    _stand_for_the_recipes_own(workspace, candidate)
    kept = since.with_name(f"{since.name}-before-{digest[:8]}")
    write_json(candidate / _STATE, state | {"kept": str(kept)})
    os.replace(since, kept)
    os.replace(candidate, since)
    return found | {"promoted": True, "kept": str(kept)}


def _looks(path: Path, found: dict[str, Any], old: str, new: str) -> int:
    """Note a comparison, once however often it is made; return how many saw its test split."""
    from models.model_files import write_json

    if path.exists() and not _read(path):
        raise WakebeamError(
            f"{path} can't be read, and it counts how often each test split was looked at",
            fix="bring it back from a copy, or move it away to count anew",
        )
    rows = _read(path).get("comparisons", [])
    row = {"test": found["test"], "old": old, "new": new, "better": found["better"]}
    if row not in rows:
        rows.append(row)
        write_json(path, {"comparisons": rows})
    return sum(one["test"] == found["test"] for one in rows)


def _stand_for_the_recipes_own(workspace: Workspace, candidate: Path) -> None:
    """Let the candidate be current where `train` and `run` look for the recipe's own model."""
    from models.detection_task import DetectionTask
    from models.fitting import identity_of
    from models.initial_weights import InitialWeights
    from models.training_folder import TrainingFolder

    start = workspace.recipe.training.init_from
    init_from = InitialWeights.of(workspace.folder / start) if start else None
    task = DetectionTask(workspace.recipe, workspace.data)
    identity = identity_of(task, init_from)
    TrainingFolder(candidate, identity, task.content).stand_for(identity)


def _weights_digest(model: Path) -> str:
    from models.model_files import WEIGHTS_NAME

    return hashlib.sha256((model / WEIGHTS_NAME).read_bytes()).hexdigest()


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}
