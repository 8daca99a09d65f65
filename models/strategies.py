"""How a training is spread over devices and machines."""

from __future__ import annotations

import json
import os

import tensorflow as tf

from pipeline.inputs.source import Share
from schemas.errors import TrainingError


def create_strategy(name: str) -> tf.distribute.Strategy:
    """Return the strategy `one`, `mirrored`, `multiworker` or, for `auto`, what fits the machine.

    `auto` is `multiworker` where TF_CONFIG is set, `mirrored` with several GPUs, else `one`.
    `mirrored` takes all GPUs or, without any, all logical CPUs.

    Raises:
        TrainingError: `multiworker` without TF_CONFIG, or an unknown name.
    """
    if name == "auto":  # physical devices: asking for logical ones starts TensorFlow's runtime
        several = "mirrored" if len(tf.config.list_physical_devices("GPU")) > 1 else "one"
        name = "multiworker" if os.environ.get("TF_CONFIG") else several
    if name == "one":
        return tf.distribute.get_strategy()
    if name == "mirrored":
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    if name == "multiworker":
        if not os.environ.get("TF_CONFIG"):
            raise TrainingError(
                "training.strategy multiworker without TF_CONFIG",
                expected="TF_CONFIG with the addresses of all workers and this one's index",
                fix="set TF_CONFIG on each machine, or use training.strategy: one",
            )
        return tf.distribute.MultiWorkerMirroredStrategy()
    raise TrainingError(
        f"no strategy is called {name!r}", expected="auto, one, mirrored, multiworker"
    )


def this_worker() -> int:
    """Return the index of this process; the first one writes. 0 where there is only one."""
    cluster = os.environ.get("TF_CONFIG")
    return int(json.loads(cluster).get("task", {}).get("index", 0)) if cluster else 0


def share_of(strategy: tf.distribute.Strategy) -> Share:
    """Return which part of each global batch this process makes."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return Share(num_replicas=strategy.num_replicas_in_sync)
    workers = len(strategy.cluster_resolver.cluster_spec().as_dict()["worker"])
    here = strategy.num_replicas_in_sync // workers
    return Share(worker=this_worker(), num_workers=workers, num_replicas=here)
