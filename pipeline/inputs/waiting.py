"""How long the one who takes batches waits for them.

A batch is asked for within a compiled step, where no Python looks. So the data set does it: next to
each batch it takes the time at which it was asked for, before it turns to the batch itself, and
compares when the batch is there. Both happen in the thread of the one who asks, after all
prefetching. Right for one device; several have buffers of their own behind this one.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf


class InputWait:
    """Adds up the seconds."""

    def __init__(self) -> None:
        with tf.device("CPU:0"):
            self._total_s = tf.Variable(0.0, dtype=tf.float64, trainable=False)

    def watched(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        """Return the same batches, counted."""

        def got(asked_s: tf.Tensor, batch: Any) -> Any:
            with tf.control_dependencies(tf.nest.flatten(batch)):
                counted = self._total_s.assign_add(tf.timestamp() - asked_s)
            with tf.control_dependencies([counted]):
                return tf.nest.map_structure(tf.identity, batch)

        options = tf.data.Options()
        options.experimental_optimization.inject_prefetch = False  # it would ask ahead
        asked = tf.data.Dataset.counter().map(lambda _: tf.timestamp())
        return tf.data.Dataset.zip(asked, batches).map(got).with_options(options)

    def take_s(self) -> float:
        """Return the seconds since the last call."""
        total_s = float(self._total_s.numpy())
        self._total_s.assign(0.0)
        return total_s
