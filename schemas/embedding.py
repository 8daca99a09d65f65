"""A clip as embeddings, and the names of its features in a record: a contract with readers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

NUM_DIMENSIONS = 128
"""Numbers in each frame."""

UNLABELLED = "unlabelled"
"""The split of clips that nobody has labelled: kept apart, never fitted to or judged on."""

CLIP_ID = "clip_id"
VIDEO_ID = "video_id"
START_S = "start_s"
END_S = "end_s"
LABEL = "label"
NUM_FRAMES = "embedding/num_frames"
VALUES = "embedding/values"


@dataclass(frozen=True, slots=True)
class EmbeddedClip:
    """One clip.

    Attributes:
        clip_id: no data set has two of one id.
        video_id: the video or recording that it was cut from; decides its split.
        start_s, end_s: where in it.
        label: 1 with the sound, 0 without, None where nobody said.
        frames: (num_frames, 128) float32, in the unit of whoever made them.
    """

    clip_id: str
    video_id: str
    start_s: float
    end_s: float
    label: int | None
    frames: npt.NDArray[np.float32]
