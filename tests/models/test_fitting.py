"""The trainer: killed and resumed it ends where it would have; workers agree; rates obey."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from models.fitting import _seed, fit
from models.learning_rates import learning_rate_of
from models.strategies import create_strategy, worker_to_be
from models.task import Judgement
from pipeline.inputs.source import batches
from schemas.errors import TrainingError
from schemas.recipe_training import Fitting, Plateau
from tests.models.toy_task import Points, ToyTask

ROOT = Path(__file__).parents[2]


def _start(folder: Path, *settings: str, cluster: str = "") -> subprocess.Popen:
    words = [sys.executable, "-m", "tests.models.toy_task", str(folder), *settings]
    env = {**os.environ, "PYTHONPATH": str(ROOT)} | ({"TF_CONFIG": cluster} if cluster else {})
    pipe = subprocess.PIPE
    return subprocess.Popen(words, cwd=ROOT, env=env, stdout=pipe, stderr=pipe, text=True)


def _answer(process: subprocess.Popen) -> dict:
    out, said = process.communicate(timeout=240)
    assert process.returncode == 0, said[-3000:]
    return json.loads(out)


def free_addresses(count: int) -> list[str]:
    """Ports on loopback that nobody has."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]


def _cluster(folder: Path, *settings: str, last: str = "") -> list[subprocess.Popen]:
    """Two workers on loopback; `last` is a setting of the second alone."""
    addresses = free_addresses(2)
    return [
        _start(
            folder,
            'strategy="multiworker"',
            *settings,
            *([last] if last and index else []),
            cluster=json.dumps(
                {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
            ),
        )
        for index in range(2)
    ]


@pytest.fixture(scope="module")
def calm(tmp_path_factory) -> dict:
    """A run that nobody killed."""
    return _answer(_start(tmp_path_factory.mktemp("calm")))


def _all_batches() -> list[str]:
    made = batches(Points(), lambda ids, _epoch: (ids,), batch_size=10, epochs=range(3))
    return [" ".join(map(str, ids.numpy())) for (ids,) in made]


@pytest.mark.parametrize("step", [3, 10, 17])
def test_R44_killed_in_mid_epoch_ends_with_the_same_weights(tmp_path, calm, step) -> None:
    killed = _start(tmp_path, f"kill_at={step}")
    killed.communicate(timeout=240)
    assert killed.returncode == -9
    begun = len((tmp_path / "seen-0.txt").read_text().splitlines())
    resumed = _answer(_start(tmp_path))
    again = (tmp_path / "seen-0.txt").read_text().splitlines()[begun:]
    epoch, steps = resumed["resumed"]
    done = 10 * epoch + steps
    assert done == {3: 0, 10: 8, 17: 16}[step]  # the last checkpoint before
    assert sorted(again) == sorted(_all_batches()[done:])  # made by several threads
    assert resumed["weights"] == calm["weights"]
    assert resumed["costs"] == calm["costs"]
    assert resumed["rates"] == calm["rates"]
    np.testing.assert_allclose(resumed["losses"], calm["losses"], rtol=1e-6)


def test_two_workers_agree_and_learn_what_one_learns(tmp_path) -> None:
    first, second = (_answer(p) for p in _cluster(tmp_path / "two", "dropout=0"))
    one = _answer(_start(tmp_path / "one", "dropout=0"))
    assert first["weights"] == second["weights"]
    assert first["losses"] == second["losses"]
    np.testing.assert_allclose(first["losses"], one["losses"], rtol=1e-4)
    np.testing.assert_allclose(first["costs"], one["costs"], rtol=1e-3)
    lines = [(tmp_path / f"two/seen-{i}.txt").read_text().split() for i in (0, 1)]
    assert not set(zip(*[iter(lines[0][:50])] * 5, strict=True)) & set(
        zip(*[iter(lines[1][:50])] * 5, strict=True)
    )
    assert sorted(lines[0][:50] + lines[1][:50]) == sorted(map(str, range(100)))


def test_a_worker_killed_and_both_restarted_end_as_if_nothing_was(tmp_path) -> None:
    whole = [_answer(p) for p in _cluster(tmp_path / "calm")]
    first, second = _cluster(tmp_path / "killed", last="kill_at=17")
    _, said = first.communicate(timeout=240)
    second.communicate(timeout=240)
    assert second.returncode == -9
    assert first.returncode == 1
    assert "start it again on all machines" in said
    again = [_answer(p) for p in _cluster(tmp_path / "killed")]
    assert again[0]["resumed"] == again[1]["resumed"] == [1, 6]
    assert again[0]["weights"] == again[1]["weights"] == whole[0]["weights"]


def test_alone_the_first_writes_whatever_TF_CONFIG_says(tmp_path) -> None:
    cluster = {"cluster": {"worker": free_addresses(2)}, "task": {"type": "worker", "index": 1}}
    process = _start(tmp_path, 'strategy="one"', "epochs=1", cluster=json.dumps(cluster))
    assert len(_answer(process)["losses"]) == 1
    assert (tmp_path / "model/model.json").exists()


@pytest.mark.parametrize(
    ("cluster", "task", "said"),
    [
        ({"chief": ["a:1"], "worker": ["b:1"]}, ("worker", 0), "worker 0 of a cluster of chief"),
        ({"chief": ["a:1"], "worker": ["b:1"]}, ("chief", 0), "chief 0 of a cluster of chief"),
        ({"worker": ["a:1"], "ps": ["b:1"]}, ("worker", 0), "cluster of ps, worker"),
        ({"worker": ["a:1"]}, ("evaluator", 0), "evaluator 0"),
        ({"worker": ["a:1"]}, ("worker", 1), "worker 1"),
        ({"worker": ["a:1"]}, ("worker", None), "can't be read"),
    ],
)
@pytest.mark.parametrize("name", ["multiworker", "auto"])
def test_a_cluster_that_is_not_of_workers_alone_is_refused(
    monkeypatch, name, cluster, task, said
) -> None:
    how = {"cluster": cluster, "task": dict(zip(("type", "index"), task, strict=True))}
    monkeypatch.setenv("TF_CONFIG", json.dumps(how))
    for call in (create_strategy, worker_to_be):
        with pytest.raises(TrainingError, match=said):
            call(name)
    assert worker_to_be("one") == 0
    monkeypatch.setenv("TF_CONFIG", "{")
    with pytest.raises(TrainingError, match="can't be read"):
        create_strategy(name)


def test_a_batch_that_devices_cannot_share_is_refused(tmp_path) -> None:
    processes = _cluster(tmp_path, "batch_size=9")
    for process in processes:
        _, said = process.communicate(timeout=240)
        assert "a multiple of 2" in said


def test_R45_the_epoch_that_is_judged_best_is_kept_whatever_the_loss_says(tmp_path) -> None:
    task = ToyTask(
        Fitting(batch_size=10, epochs=6, early_stopping_epochs=2), tmp_path / "seen", 0.0
    )
    kept = []

    costs = iter([0.5, 0.2, 0.1, 0.3, 0.3, 0.3])

    def judge(network: keras.Model) -> Judgement:
        kept.append([w.copy() for w in network.get_weights()])
        made = type(task).judge(task, network)
        return Judgement(next(costs), made.values, made.remark)

    task.judge = judge
    result = fit(task, tmp_path / "model")
    assert result.card["best_epoch"]["epoch"] == 3
    assert result.card["epochs_trained"] == 5  # two without anything better
    network = task.build()
    network.load_weights(str(tmp_path / "model/network.weights.h5"))
    for stored, best in zip(network.get_weights(), kept[2], strict=True):
        np.testing.assert_array_equal(stored, best)
    assert fit(task, tmp_path / "model").already_complete


def test_another_model_is_refused_and_replaced_when_told(tmp_path) -> None:
    how = {"batch_size": 50, "epochs": 1}
    fit(ToyTask(Fitting(**how), tmp_path / "seen"), tmp_path / "model")
    other = ToyTask(Fitting(**how, learning_rate=0.1), tmp_path / "seen")
    found = r"another recipe or data set \(training.learning_rate: 0.0\d+ → 0.1\)"
    with pytest.raises(TrainingError, match=found):
        fit(other, tmp_path / "model")
    assert not fit(other, tmp_path / "model", overwrite=True).already_complete


def test_checkpoints_without_a_history_are_nobodys(tmp_path) -> None:
    how = {"batch_size": 10, "epochs": 1}
    fit(ToyTask(Fitting(**how), tmp_path / "seen"), tmp_path / "model")
    for name in ("history.json", "model.json", "network.weights.h5"):
        (tmp_path / "model" / name).unlink()
    other = ToyTask(Fitting(**how | {"epochs": 2}, learning_rate=0.1), tmp_path / "seen")
    with pytest.raises(TrainingError, match="no training to go on with"):
        fit(other, tmp_path / "model", resume=True)
    here = fit(other, tmp_path / "model")
    assert (here.resumed_from_epoch, here.card["epochs_trained"]) == (0, 2)
    fit(other, tmp_path / "fresh")
    networks = [other.build() for _ in range(2)]
    for network, name in zip(networks, ("model", "fresh"), strict=True):
        network.load_weights(str(tmp_path / name / "network.weights.h5"))
    for ours, fresh in zip(*(n.get_weights() for n in networks), strict=True):
        np.testing.assert_array_equal(ours, fresh)


def test_a_loss_that_is_no_number_stops_the_training(tmp_path) -> None:
    task = ToyTask(Fitting(batch_size=50, epochs=1), tmp_path / "seen")
    task.losses = lambda: {"loss": lambda labels, outputs: outputs * float("nan")}
    with pytest.raises(TrainingError, match="loss became nan in step 1"):
        fit(task, tmp_path / "model")


def test_mixed_precision_computes_in_half_and_keeps_whole_weights(tmp_path) -> None:
    task = ToyTask(Fitting(batch_size=50, epochs=1, mixed_precision=True), tmp_path / "seen")
    policies = []
    build = task.build

    def spied() -> keras.Model:
        network = build()
        policies.append({layer.compute_dtype for layer in network.layers})
        return network

    task.build = spied
    fit(task, tmp_path / "model")
    assert keras.mixed_precision.global_policy().name == "float32"
    assert policies == [{"float32"}, {"bfloat16"}]
    assert all(w.dtype == np.float32 for w in build().get_weights())


def test_zero_is_a_seed_like_any_other() -> None:
    _seed(0)

    def mixed(epoch: tf.Tensor) -> tf.data.Dataset:
        return tf.data.Dataset.range(50).shuffle(50, seed=epoch, reshuffle_each_iteration=False)

    orders = [list(tf.data.Dataset.from_tensors(np.int64(e)).flat_map(mixed)) for e in (0, 1)]
    assert orders[0] != orders[1]


def test_learning_rates_follow_their_rules() -> None:
    def rate(step: int, **how) -> float:
        return float(learning_rate_of(Fitting(**how), 1000)(tf.constant(step)))

    assert rate(0, learning_rate=1.0) == pytest.approx(0.01)
    assert rate(99, learning_rate=1.0) == pytest.approx(1.0)
    assert rate(1000, learning_rate=1.0) == pytest.approx(0.01)
    slow = {"schedule": "inverse_time", "decay": 0.01, "learning_rate": 1e-4}
    assert [rate(s, **slow) for s in (0, 5, 100)] == pytest.approx([1e-4, 1e-4 / 1.05, 5e-5])
    assert rate(7, schedule="constant", learning_rate=0.5) == 0.5


def test_a_plateau_lowers_the_rate_by_the_history_alone() -> None:
    how = {"schedule": "constant", "learning_rate": 1.0}
    made = learning_rate_of(
        Fitting(**how, plateau=Plateau(factor=0.1, patience=2, floor=0.005)), 100
    )
    rates = []
    costs = [3.0, 2.0, 2.0, 2.5, 1.0, 1.0, 1.0, 1.0, 1.0]
    for done in range(len(costs) + 1):
        made.follow(costs[:done])
        rates.append(round(float(made(tf.constant(0))), 6))
    assert rates == [1, 1, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.005]
