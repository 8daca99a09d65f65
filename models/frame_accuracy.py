"""Frame accuracy, shown for comparison with older systems and never alone.

Of a scene some seven steps in a hundred are positive, so a detector that never fires is right nine
times in ten. Its accuracy stands beside every frame accuracy; what counts are events.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.detector import Detector
from pipeline.frame_labels import LabelRule, frame_labels
from schemas.detection import ScoredRecording
from schemas.recipe import LabelWindow


def frame_accuracy(
    recordings: Sequence[ScoredRecording],
    detector: Detector,
    window: LabelWindow,
    threshold: float,
) -> dict[str, float]:
    """Return the share of steps on the right side of the threshold, and that of a silent detector.

    Args:
        recordings: of equal length.
        detector: what scored them.
        window: which steps are positive; steps of weight 0 don't count.
        threshold: of a score.

    Returns:
        `accuracy` and `accuracy_of_silence`, both in [0, 1], and `num_steps` that count.
    """
    rate = detector.sample_rate_hz
    right = silent = steps = 0
    for recording in recordings:
        rule = LabelRule.of(
            window,
            labels=detector.labels,
            num_steps=len(recording.scores),
            warmup_samples=detector.warmup_samples,
            hop_samples=detector.hop_samples,
            sample_rate_hz=rate,
            positive_weight=1.0,
            scene_samples=round(recording.duration_s * rate),
        )
        keywords = [e for e in recording.events if e.kind == "keyword"]
        labels, weights = frame_labels(
            rule,
            np.array([round(e.onset_s * rate) for e in keywords], np.int64),
            np.array([round(e.offset_s * rate) for e in keywords], np.int64),
            np.array([detector.labels.index(e.label) for e in keywords], np.int64),
        )
        counted = weights > 0
        right += int(((recording.scores >= threshold) == (labels > 0))[counted].sum())
        silent += int((labels == 0)[counted].sum())
        steps += labels[counted].size
    of = max(1, steps)
    return {"accuracy": right / of, "accuracy_of_silence": silent / of, "num_steps": steps}
