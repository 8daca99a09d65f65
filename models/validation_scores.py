"""What a detector says of the validation scenes after an epoch, to look at while training goes on.

`validation-scores.npz` in the model's folder, replaced after each epoch: scores and times as
arrays, all else as JSON. The first hour of the split is in it, with all that counting events needs.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.event_matching import Matching, count_events
from pipeline.text_file import replace_bytes
from schemas.detection import ReferenceEvent, ScoredRecording
from schemas.errors import DatasetError

SCORES_NAME = "validation-scores.npz"
_MOST_S = 3600.0


@dataclass(frozen=True)
class ValidationScores:
    """Scores of scenes that are equally long.

    Attributes:
        labels: a column of the scores each.
        threshold: that the epoch was judged at.
        rule: keyword arguments of `count_events`.
        recordings: the scenes, in stored order; read back, those of the first hour.
        split: identity of the validation split that they are of.
        num_scenes: of the whole split.
    """

    labels: tuple[str, ...]
    threshold: float
    rule: Mapping[str, Any]
    recordings: Sequence[ScoredRecording]
    split: str
    num_scenes: int

    def count(self) -> list[Matching]:
        """Return what was found in each scene, and what was not."""
        rule = {"threshold": self.threshold, **self.rule}
        return [count_events(one, self.labels, **rule) for one in self.recordings]

    def save(self, folder: Path) -> None:
        """Replace the file in a model's folder."""
        duration_s = self.recordings[0].duration_s
        kept = self.recordings[: math.ceil(_MOST_S / duration_s)]
        about = {
            "labels": list(self.labels),
            "threshold": self.threshold,
            "rule": dict(self.rule),
            "duration_s": duration_s,
            "split": self.split,
            "num_scenes": self.num_scenes,
            "scenes": [[one.name, [asdict(event) for event in one.events]] for one in kept],
        }
        out = io.BytesIO()
        scores = np.stack([one.scores for one in kept])
        np.savez_compressed(out, scores=scores, times_s=kept[0].times_s, about=json.dumps(about))
        replace_bytes(folder / SCORES_NAME, out.getvalue())

    @classmethod
    def read(cls, folder: Path) -> ValidationScores | None:
        """Return what the latest epoch left in a model's folder; None where none did.

        Raises:
            DatasetError: the file is damaged.
        """
        path = folder / SCORES_NAME
        try:
            with np.load(path, allow_pickle=False) as found:
                scores, times_s = found["scores"], found["times_s"]
                about = json.loads(str(found["about"]))
            return cls(
                tuple(about["labels"]),
                about["threshold"],
                about["rule"],
                [
                    ScoredRecording(
                        name,
                        about["duration_s"],
                        times_s,
                        one,
                        tuple(ReferenceEvent(**event) for event in events),
                    )
                    for (name, events), one in zip(about["scenes"], scores, strict=True)
                ],
                about["split"],
                about["num_scenes"],
            )
        except FileNotFoundError:
            return None
        except Exception as error:  # numpy, zip, zlib and json each have their own
            raise DatasetError(
                f"{path.name} can't be read ({error})", fix="the next epoch writes it anew"
            ) from error
