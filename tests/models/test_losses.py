"""Losses: against plain loops, and what they teach."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from models.losses import focal_loss, loss_of, masked_loss, max_pool_loss
from schemas.recipe import Training


@pytest.fixture
def batch() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.zeros((3, 20, 2), "f4")
    labels[0, 3:8, 0] = labels[0, 12:14, 0] = labels[1, 0:4, 1] = labels[2, 15:, 0] = 1
    labels[0, 18:, 1] = labels[1, :5, 0] = 1  # runs at the edges of neighbours in memory
    return labels, (4 * rng.standard_normal((3, 20, 2))).astype("f4")


def _entropy(label: float, logit: float) -> float:
    p = 1 / (1 + np.exp(-float(logit)))
    return -np.log(p if label else 1 - p)


def test_cross_entropy_and_focal_equal_their_formulas(batch) -> None:
    labels, logits = batch
    entropy = np.vectorize(_entropy)(labels, logits)
    np.testing.assert_allclose(masked_loss(*batch), entropy.mean(-1), rtol=1e-4)
    right = np.exp(-entropy)
    for gamma in (0.0, 2.0):
        expected = ((1 - right) ** gamma * entropy).mean(-1)
        np.testing.assert_allclose(focal_loss(gamma)(*batch), expected, rtol=1e-4, atol=1e-7)


def test_max_pooling_takes_the_highest_step_of_each_run(batch) -> None:
    labels, logits = batch
    expected = np.vectorize(_entropy)(labels, logits)
    for example in range(3):
        for label in range(2):
            steps = np.flatnonzero(labels[example, :, label])
            for run in np.split(steps, np.flatnonzero(np.diff(steps) > 1) + 1):
                if len(run):
                    best = logits[example, run, label].max()
                    expected[example, run, label] = _entropy(1, best)
    loss = tf.function(max_pool_loss)(*map(tf.constant, batch))
    np.testing.assert_allclose(loss, expected.mean(-1), rtol=1e-4)


def test_max_pooling_teaches_one_step_of_a_run_with_the_weight_of_all(batch) -> None:
    labels, logits = map(tf.constant, batch)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = tf.reduce_sum(max_pool_loss(labels, logits))
    gradient = tape.gradient(loss, logits).numpy()
    taught = np.flatnonzero(gradient[0, 3:8, 0])
    assert taught.tolist() == [int(np.argmax(logits[0, 3:8, 0]))]
    p = 1 / (1 + np.exp(-float(np.max(logits[0, 3:8, 0]))))
    assert gradient[0, 3:8, 0].sum() == pytest.approx(5 * (p - 1) / 2, rel=1e-4)
    assert (gradient[2, :15, 0] > 0).all()


def test_the_recipe_names_the_loss(batch) -> None:
    assert loss_of(Training()) is masked_loss
    assert loss_of(Training(loss="max_pool")) is max_pool_loss
    ours = loss_of(Training(loss="focal", focal_gamma=1.0))(*batch)
    np.testing.assert_array_equal(ours, focal_loss(1.0)(*batch))
