"""Label rules and weights in the graph equal the plain rule, and are what they say."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from pydantic import ValidationError

from pipeline.frame_labels import LabelRule, frame_labels
from pipeline.inputs.step_labels import Events, step_labels
from schemas.recipe import LabelWindow
from tests.fakes import recipe

KINDS = ("keyword", "near_miss", "hard", "speech")


def _rule(rule: str = "window", **more) -> LabelRule:
    return LabelRule.of(
        LabelWindow(rule=rule), labels=("a", "b"), num_steps=100, warmup_samples=0,
        hop_samples=320, sample_rate_hz=16000, positive_weight=4.0, scene_samples=32_000, **more,
    )  # fmt: skip


def _events(*rows: tuple[int, int, str, str]) -> Events:
    onset, offset, kind, label = zip(*rows, strict=True)
    numbers = [tf.constant([list(values)], tf.int64) for values in (onset, offset)]
    return Events(*numbers, tf.constant([list(kind)]), tf.constant([list(label)]))


@pytest.mark.parametrize("rule", ["window", "event", "exercise"])
def test_weighted_labels_in_the_graph_equal_the_plain_rule(rule) -> None:
    made = _rule(rule, class_weights={"b": 2.5}, event_weights={"near_miss": 3.0, "hard": 0.5})
    rng = np.random.default_rng(0)
    heavy = 0
    for _ in range(30):
        n = int(rng.integers(1, 6))
        onset = np.sort(rng.integers(0, 25_000, n))
        offset = np.minimum(onset + rng.integers(1, 9_000, n), 32_000)
        kind = rng.choice(KINDS, n)
        label = rng.choice(["a", "b"], n)
        labels, weights = step_labels(_events(*zip(onset, offset, kind, label, strict=True)), made)
        keyword = kind == "keyword"
        index = np.array(["ab".index(x) for x in label[keyword]], int)
        others = list(zip(onset[~keyword], offset[~keyword], kind[~keyword], strict=True))
        expected = frame_labels(made, onset[keyword], offset[keyword], index, others)
        np.testing.assert_array_equal(labels[0], expected[0])
        np.testing.assert_array_equal(weights[0], expected[1])
        heavy += len(set(np.unique(weights)) & {0.5, 3.0, 10.0})
    assert heavy > 20


def test_the_rule_event_covers_the_event_and_ignores_only_what_follows() -> None:
    labels, weights = step_labels(_events((3200, 9600, "keyword", "a")), _rule("event"))
    ends = 320 * np.arange(1, 101)
    np.testing.assert_array_equal(labels[0, :, 0], (ends > 3200) & (ends <= 9600))
    assert not labels[0, :, 1].numpy().any()
    after = (ends > 9600) & (ends <= 9600 + 8000)
    expected = np.where(labels[0, :, 0], 4.0, np.where(after, 0.0, 1.0))
    np.testing.assert_array_equal(weights[0], expected)


def test_classes_and_hard_events_weigh_what_the_recipe_says() -> None:
    rule = _rule(class_weights={"b": 3.0}, event_weights={"near_miss": 5.0})
    events = _events((0, 1600, "keyword", "b"), (16_000, 20_000, "near_miss", "x"))
    labels, weights = step_labels(events, rule)
    ends = 320 * np.arange(1, 101)
    assert set(weights[0].numpy()[labels[0, :, 1] > 0]) == {12.0}
    under = (ends > 16_000) & (ends <= 24_000)  # until 0.25 s after its end
    np.testing.assert_array_equal(weights[0].numpy() == 5.0, under)
    plain = step_labels(events, _rule())[1].numpy()
    assert set(plain[0]) == {0.0, 1.0, 4.0}


def test_weights_of_unknown_labels_and_kinds_are_refused_by_name() -> None:
    with pytest.raises(ValidationError, match="no keyword has the label 'athena'"):
        recipe(training={"class_weights": {"athena": 2.0}})
    with pytest.raises(ValidationError, match="near_miss"):
        recipe(training={"event_weights": {"nearly": 2.0}})
    assert recipe(training={"class_weights": {"kw": 2.0}}).training.class_weights == {"kw": 2.0}


def test_a_range_that_is_upside_down_is_refused() -> None:
    with pytest.raises(ValidationError, match="upside down"):
        recipe(training={"augmentation": {"gain_db": [6, -6]}})
