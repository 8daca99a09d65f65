"""Thresholds are printed so that they can be told apart, and typed again."""

from __future__ import annotations

from models.operating_points import THRESHOLDS, threshold_text


def test_every_threshold_of_a_sweep_has_its_own_text() -> None:
    texts = [threshold_text(float(threshold)) for threshold in THRESHOLDS]
    assert len(set(texts)) == len(texts)
    assert all(len(text) <= 12 for text in texts)
    assert (threshold_text(0.5), threshold_text(0.99995), threshold_text(0.0025)) == (
        "0.5",
        "0.99995",
        "0.0025",
    )
