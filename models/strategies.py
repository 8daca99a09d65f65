"""How a training is spread over devices and machines."""

from __future__ import annotations

import json
import os

import tensorflow as tf

from pipeline.inputs.source import Share
from schemas.errors import TrainingError

_FORM = (
    '{"cluster": {"worker": [ADDRESS, …]}, "task": {"type": "worker", "index": N}}, workers alone'
)


def create_strategy(name: str) -> tf.distribute.Strategy:
    """Return the strategy `one`, `mirrored`, `multiworker` or, for `auto`, what fits the machine.

    `auto` is `multiworker` where TF_CONFIG is set, `mirrored` with several GPUs, else `one`.
    `mirrored` takes all GPUs or, without any, all logical CPUs.

    Raises:
        TrainingError: `multiworker` without TF_CONFIG or with a cluster that isn't of workers
            alone, or an unknown name.
    """
    name = _resolved(name)
    if name == "one":
        return tf.distribute.get_strategy()
    if name == "mirrored":
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    if name == "multiworker":
        _task_index()
        return tf.distribute.MultiWorkerMirroredStrategy()
    raise TrainingError(
        f"no strategy is called {name!r}", expected="auto, one, mirrored, multiworker"
    )


def this_worker(strategy: tf.distribute.Strategy) -> int:
    """Return the index of this process among a strategy's workers; the first one, 0, writes."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return 0
    return int(strategy.cluster_resolver.task_id)


def worker_to_be(name: str) -> int:
    """Return what `this_worker` will say once `create_strategy(name)` has met the other workers."""
    return _task_index() if _resolved(name) == "multiworker" else 0


def share_of(strategy: tf.distribute.Strategy) -> Share:
    """Return which part of each global batch this process makes."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return Share(num_replicas=strategy.num_replicas_in_sync)
    workers = len(strategy.cluster_resolver.cluster_spec().as_dict()["worker"])
    here = strategy.num_replicas_in_sync // workers
    return Share(worker=this_worker(strategy), num_workers=workers, num_replicas=here)


def _resolved(name: str) -> str:
    """What `auto` means here; physical devices, as logical ones start TensorFlow's runtime."""
    if name != "auto":
        return name
    several = "mirrored" if len(tf.config.list_physical_devices("GPU")) > 1 else "one"
    return "multiworker" if os.environ.get("TF_CONFIG") else several


def _task_index() -> int:
    """Which worker of TF_CONFIG's cluster this process is.

    Raises:
        TrainingError: there is no TF_CONFIG, it isn't JSON of that form, or it has tasks that are
            no workers: with a chief there would be two processes of index 0.
    """
    text = os.environ.get("TF_CONFIG")
    if not text:
        raise TrainingError(
            "training.strategy multiworker without TF_CONFIG",
            expected="TF_CONFIG with the addresses of all workers and this one's index",
            fix="set TF_CONFIG on each machine, or use training.strategy: one",
        )
    try:
        config = json.loads(text)
        kinds, task = sorted(config["cluster"]), (config["task"]["type"], config["task"]["index"])
        is_worker = kinds == ["worker"] and 0 <= int(task[1]) < len(config["cluster"]["worker"])
    except (ValueError, KeyError, TypeError) as error:
        raise TrainingError(
            f"TF_CONFIG {text[:200]!r} can't be read ({error!r})", expected=_FORM
        ) from error
    if not is_worker or task[0] != "worker":
        raise TrainingError(
            f"TF_CONFIG makes this process {task[0]} {task[1]} of a cluster of {', '.join(kinds)}",
            expected=_FORM,
            fix="name the chief as the first worker, or use training.strategy: one on one machine",
        )
    return int(task[1])


def gpu_names() -> list[str]:
    """Return the names of the GPUs that TensorFlow sees."""
    devices = tf.config.list_physical_devices("GPU")
    details = map(tf.config.experimental.get_device_details, devices)
    return [str(of.get("device_name", "unknown")) for of in details]
