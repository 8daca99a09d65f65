"""The classic exercise's mixing arithmetic, to the last bit: that of pydub on 16-bit samples.

A gain multiplies, clips and rounds down; an overlay adds with saturation and drops what passes the
end; the finished scene is brought to a level whose RMS is an integer. Positions there are whole
milliseconds. Ours differ on purpose (scene_renderer.py); this is for comparing with data sets and
models of that exercise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pipeline.exact_floor import floor_product
from pipeline.mixing import add_saturating, integer_energy

Pcm = npt.NDArray[np.int16]
_FULL_SCALE = 32768.0


def ms_to_frame(milliseconds: int, sample_rate_hz: int) -> int:
    """Return the frame at which a millisecond begins: ⌊ms · rate / 1000⌋."""
    return milliseconds * sample_rate_hz // 1000


def apply_gain(x: Pcm, gain_db: float) -> Pcm:
    """Return ⌊clip(x · 10^(gain/20), −32768, 32767)⌋; any shape."""
    out = np.empty(x.shape, dtype=np.int16)
    floor_product(x.reshape(-1), 10.0 ** (gain_db / 20.0), out.reshape(-1))
    return out


def overlay(under: Pcm, over: Pcm, onset_samples: int) -> Pcm:
    """Add `over` from `onset_samples` on, saturating; what passes the end is dropped.

    Args:
        under: (num_samples,) or (num_samples, channels) int16.
        over: of the same channel count.
        onset_samples: ≥ 0.
    """
    mixed = under.copy()
    _lay_over(mixed, over, onset_samples)
    return mixed


def level_dbfs(x: Pcm) -> float:
    """Return 20·log10(⌊RMS⌋ / 32768) over all samples and channels; −inf for silence."""
    flat = x.reshape(-1)
    rms = math.isqrt(integer_energy(flat) // len(flat)) if len(flat) else 0
    return 20.0 * math.log10(rms / _FULL_SCALE) if rms else -math.inf


def overlay_scene(
    background: Pcm,
    clips: Sequence[tuple[int, Pcm]],
    *,
    background_gain_db: float,
    final_dbfs: float,
) -> tuple[Pcm, float]:
    """Mix a scene as the exercise does.

    Args:
        background: as long as the scene.
        clips: (onset in samples, samples), in the order in which they are laid over.
        background_gain_db: on the background first.
        final_dbfs: level of the result.

    Returns:
        The scene, and the final gain in dB: 0 where it is silent, which stays silent.
    """
    mix = apply_gain(background, background_gain_db)
    for onset, clip in clips:
        _lay_over(mix, clip, onset)
    level = level_dbfs(mix)
    if not math.isfinite(level):
        return mix, 0.0
    return apply_gain(mix, final_dbfs - level), final_dbfs - level


def _lay_over(mixed: Pcm, over: Pcm, onset_samples: int) -> None:
    span = mixed[onset_samples : onset_samples + len(over)]
    add_saturating(over[: len(span)].reshape(-1), span.reshape(-1))
