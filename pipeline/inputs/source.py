"""One interface for all that a network may be trained on, and the batches made from it.

A source gives the raw records of an epoch in an order that is a pure function of (seed, epoch).
`batches` turns them into what a network takes: it cuts them into global batches, keeps this
worker's share, leaves out what a killed run had done, and only then decodes.

    source.records(epoch) → global batches → skip → share of this worker → prepare → prefetch

A tf.data service may do all of this elsewhere. Each of its workers then takes an epoch at a time,
so that with several of them batches come in an order that no seed gives, and epochs are mixed; none
is lost and none comes twice over the whole training. What rests on the order is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import tensorflow as tf

from schemas.errors import TrainingError

Prepare = Callable[[Any, tf.Tensor], tuple[Any, ...]]
"""(a batch of records, () int64 epoch) → (inputs, labels[, weights])."""


class ExampleSource(Protocol):
    """Where examples come from."""

    @property
    def num_examples(self) -> int:
        """Of an epoch."""
        ...

    def records(self, epoch: tf.Tensor) -> tf.data.Dataset:
        """Return an epoch's records, all of one element type.

        Args:
            epoch: () int64; traced into a graph, so no Python may look at its value.
        """
        ...


@dataclass(frozen=True)
class Share:
    """Which part of each global batch is made here.

    Attributes:
        worker: index of this process.
        num_workers: processes that each make their part.
        num_replicas: devices of this process; each gets a batch of its own.
    """

    worker: int = 0
    num_workers: int = 1
    num_replicas: int = 1


def batches(
    source: ExampleSource,
    prepare: Prepare,
    *,
    batch_size: int,
    epochs: range,
    first_step: int = 0,
    share: Share = Share(),
    deterministic: bool = True,
    data_service: str | None = None,
) -> tf.data.Dataset:
    """Return the batches of several epochs, one after another.

    Args:
        source: of the records.
        prepare: traced into a graph; the epoch is for what is drawn anew in each.
        batch_size: of a global batch; an incomplete last one of an epoch is left out.
        epochs: which epochs, e.g. range(3, 10) after three were done.
        first_step: global batches of the first epoch that are done already.
        share: this process's part; each device gets batch_size / (devices of all) examples.
        deterministic: False lets batches come in any order, a little faster.
        data_service: address of a dispatcher whose workers make the batches.

    Raises:
        TrainingError: the batch can't be divided evenly, or with a data service the order of the
            batches matters.
    """
    if data_service:
        _require_any_order(first_step, share)
    if not deterministic and first_step:
        raise TrainingError(
            f"training.deterministic is off, and {first_step} steps of an epoch are done",
            expected="a training that goes on at the beginning of an epoch: which examples of this "
            "one were seen is not known",
            fix="pass --overwrite to train anew",
        )
    devices = share.num_workers * share.num_replicas
    if batch_size % devices:
        raise TrainingError(
            f"training.batch_size {batch_size} on {devices} devices",
            expected=f"a multiple of {devices}",
        )
    each = batch_size // share.num_workers
    mine = slice(share.worker * each, (share.worker + 1) * each)

    def one_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
        whole = source.records(epoch).batch(batch_size, drop_remainder=True)
        done = tf.where(epoch == epochs.start, tf.constant(first_step, tf.int64), 0)
        return whole.skip(done).map(lambda *batch: (_whole(batch), epoch))

    def cut(batch: Any, epoch: tf.Tensor) -> tf.data.Dataset:
        parts = tf.nest.map_structure(lambda part: part[mine], batch)
        parts = tf.data.Dataset.from_tensor_slices(parts).batch(batch_size // devices)
        return parts.map(lambda *part: (_whole(part), epoch))

    made = tf.data.Dataset.range(epochs.start, epochs.stop).flat_map(one_epoch)
    if devices > 1:
        made = made.flat_map(cut)
    options = tf.data.Options()
    options.deterministic = deterministic
    made = made.map(prepare, num_parallel_calls=tf.data.AUTOTUNE, deterministic=deterministic)
    if data_service:
        made = made.apply(
            tf.data.experimental.service.distribute(
                tf.data.experimental.service.ShardingPolicy.DYNAMIC, data_service
            )
        )
    return made.prefetch(tf.data.AUTOTUNE).with_options(options)


def _require_any_order(first_step: int, share: Share) -> None:
    if first_step:
        raise TrainingError(
            f"training.data_service, and {first_step} steps of an epoch are done",
            expected="a training that goes on at the beginning of an epoch: which examples of this "
            "one were seen is not known",
            fix="pass --overwrite to train anew",
        )
    if share.num_workers > 1:
        raise TrainingError(
            "training.data_service with training.strategy multiworker",
            expected="one process for each training: the parts of a global batch that processes "
            "take would not belong together",
            fix="leave one of the two out",
        )


def _whole(parts: tuple[Any, ...]) -> Any:
    """An element as `prepare` gets it: itself, or the tuple that it is."""
    return parts[0] if len(parts) == 1 else parts
