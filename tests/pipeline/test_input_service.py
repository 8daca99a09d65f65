"""Batches that a tf.data service makes: in this process, real dispatcher and workers."""

from __future__ import annotations

from collections import Counter

import pytest
import tensorflow as tf

from pipeline.inputs.source import Share, batches
from schemas.errors import TrainingError
from schemas.recipe_training import Fitting
from tests.scene_records import Records

NUM, EPOCHS = 24, range(2, 5)
SOURCE = Records([f"record {i}".encode() for i in range(NUM)])


def _prepare(batch: tf.Tensor, epoch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return batch, tf.fill(tf.shape(batch), epoch)


def _rows(data_service: str | None = None) -> list[tuple[bytes, int]]:
    made = batches(SOURCE, _prepare, batch_size=4, epochs=EPOCHS, data_service=data_service)
    rows = [
        zip(*(part.tolist() for part in batch), strict=True) for batch in made.as_numpy_iterator()
    ]
    return [row for batch in rows for row in batch]


@pytest.fixture
def service():
    """Start a dispatcher with so many workers; returns its address."""
    running = []

    def start(num_workers: int) -> str:
        dispatcher = tf.data.experimental.service.DispatchServer()
        running.append(dispatcher)
        address = dispatcher.target.split("://")[1]
        for _ in range(num_workers):
            config = tf.data.experimental.service.WorkerConfig(dispatcher_address=address)
            running.append(tf.data.experimental.service.WorkerServer(config))
        return dispatcher.target

    yield start
    for server in reversed(running):
        server._stop()


def test_one_worker_gives_the_same_batches_in_the_same_order(service) -> None:
    assert _rows(service(1)) == _rows()


def test_several_workers_lose_nothing_for_each_of_two_trainers(service) -> None:
    address = service(2)
    wanted = Counter((f"record {i}".encode(), epoch) for i in range(NUM) for epoch in EPOCHS)
    assert Counter(_rows()) == wanted
    for _trainer in range(2):
        assert Counter(_rows(address)) == wanted


def test_what_rests_on_the_order_is_refused_by_name() -> None:
    for how, what in (
        ({"first_step": 2}, "training.data_service, and 2 steps of an epoch are done"),
        ({"share": Share(0, 2)}, "training.data_service with training.strategy multiworker"),
    ):
        with pytest.raises(TrainingError, match=what):
            batches(SOURCE, _prepare, batch_size=4, epochs=EPOCHS, data_service="grpc://h:1", **how)
    with pytest.raises(TrainingError, match="deterministic is off, and 2 steps"):
        batches(SOURCE, _prepare, batch_size=4, epochs=EPOCHS, first_step=2, deterministic=False)
    any_order = batches(SOURCE, _prepare, batch_size=4, epochs=EPOCHS, deterministic=False)
    assert not any_order.options().deterministic
    with pytest.raises(ValueError, match="data_service"):
        Fitting(data_service="host:5000")
    assert Fitting(data_service="grpc://host:5000").data_service == "grpc://host:5000"
