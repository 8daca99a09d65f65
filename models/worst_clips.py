"""The worst misses and false accepts as sounds to listen to, beside the report that names them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.wav_file import write_wav

CLIPS_NAME = "evaluation_clips"
_BEFORE_KEYWORD_S, _AFTER_KEYWORD_S = 0.7, 1.0
_BEFORE_ACCEPT_S, _AFTER_ACCEPT_S = 2.0, 0.5
FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class WorstClip:
    """A stretch of a recording that a detector got wrong.

    Attributes:
        name: file name beside the report.
        recording: example id or file name.
        start_s, stop_s: the stretch; may begin before the recording and end after it.
        remark: what is to be heard.
    """

    name: str
    recording: str
    start_s: float
    stop_s: float
    remark: str


def worst_clips(values: dict[str, Any]) -> list[WorstClip]:
    """Return the stretches to cut for a report's worst misses and false accepts, worst first."""
    clips = []
    for number, row in enumerate(values["worst_misses"], start=1):
        snr = f", SNR {row['snr_db']:g} dB" if "snr_db" in row else ""
        remark = f"missed {row['label']} at {row['onset_s']:.2f} s of {row['recording']}{snr}"
        start_s, stop_s = row["onset_s"] - _BEFORE_KEYWORD_S, row["offset_s"] + _AFTER_KEYWORD_S
        clips.append(WorstClip(f"miss-{number:02d}.wav", row["recording"], start_s, stop_s, remark))
    for number, row in enumerate(values["worst_false_accepts"], start=1):
        remark = f"{row['label']} heard at {row['time_s']:.2f} s of {row['recording']}"
        remark += f", score {row['score']:.4f}, on {row['on']}"
        start_s, stop_s = row["time_s"] - _BEFORE_ACCEPT_S, row["time_s"] + _AFTER_ACCEPT_S
        name = f"false-accept-{number:02d}.wav"
        clips.append(WorstClip(name, row["recording"], start_s, stop_s, remark))
    return clips


def write_clips(
    folder: Path,
    clips: Sequence[WorstClip],
    cut: Callable[[Sequence[WorstClip]], Sequence[FloatArray]],
    sample_rate_hz: int,
) -> list[tuple[str, str]]:
    """Write the clips as WAV files in place of those of an earlier report.

    Args:
        folder: of the report.
        clips: what to cut.
        cut: returns (n,) float32 in ±1 for each.
        sample_rate_hz: of what `cut` returns.

    Returns:
        (path relative to the report, remark) of each.
    """
    shutil.rmtree(folder / CLIPS_NAME, ignore_errors=True)
    for clip, samples in zip(clips, cut(clips) if clips else (), strict=True):
        write_wav(folder / CLIPS_NAME / clip.name, samples, sample_rate_hz)
    return [(f"{CLIPS_NAME}/{clip.name}", clip.remark) for clip in clips]


def cut_from(audio: FloatArray, clip: WorstClip, sample_rate_hz: int) -> FloatArray:
    """Return the part of a recording, (n,) float32, that a clip names."""
    start = max(0, round(clip.start_s * sample_rate_hz))
    return audio[start : max(start, round(clip.stop_s * sample_rate_hz))]
