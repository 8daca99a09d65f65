"""From a plan and a clip bank to audio. Obeys the plan and draws nothing.

    mix = 10^(h/20) · ( Σ_b 10^(g_b/20) · window_b  +  Σ_e 10^(g_e/20) · fade(speed(clip_e)) )

All sums are float32, elementwise and in plan order; the result is rounded to the nearest integer
(ties to even) and saturated to int16, which a plan's headroom makes a formality.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from pipeline.effects import change_speed
from schemas.clips import Clip
from schemas.errors import DatasetError
from schemas.scene import BackgroundWindow, PlacedEvent, ScenePlan
from schemas.units import db_to_gain

FloatArray = npt.NDArray[np.float32]
Pcm = npt.NDArray[np.int16]


class ClipSource(Protocol):
    """What rendering needs of a clip bank."""

    def clip(self, clip_id: str) -> Clip:
        """Return what is known of a clip."""
        ...

    def samples(self, clip: Clip) -> Pcm:
        """Return (num_samples,) int16, which must not be written to."""
        ...


def render_scene(plan: ScenePlan, bank: ClipSource) -> Pcm:
    """Render a plan.

    Returns:
        (plan.num_samples,) int16.

    Raises:
        DatasetError: the bank's clips aren't those that the plan was made from.
    """
    mix = np.zeros(plan.num_samples, dtype=np.float32)
    for window in plan.backgrounds:
        mix += _background(window, plan, bank)
    for event in plan.events:
        mix[event.onset_samples : event.offset_samples] += _event(event, plan, bank)
    mix *= np.float32(db_to_gain(plan.headroom_db))
    np.rint(mix, out=mix)
    return np.clip(mix, -32768, 32767, out=mix).astype(np.int16)


def _background(window: BackgroundWindow, plan: ScenePlan, bank: ClipSource) -> FloatArray:
    samples = bank.samples(bank.clip(window.source))
    start, length = window.offset_samples, plan.num_samples
    if start + length <= len(samples):
        cut = samples[start : start + length].astype(np.float32)
    else:
        loop = _loop(samples.astype(np.float32), plan.crossfade_samples)
        cut = np.take(loop, np.arange(start, start + length), mode="wrap")
    return cut * np.float32(db_to_gain(window.gain_db))


def _loop(x: FloatArray, crossfade: int) -> FloatArray:
    """Return one period of `x` repeated, its end laid over its start with equal power."""
    n = min(crossfade, len(x) // 2)
    if n == 0:
        return x
    rise = np.sqrt((np.arange(n, dtype=np.float32) + np.float32(0.5)) / np.float32(n))
    loop = x[:-n].copy()
    loop[:n] = loop[:n] * rise + x[-n:] * rise[::-1]
    return loop


def _event(event: PlacedEvent, plan: ScenePlan, bank: ClipSource) -> FloatArray:
    clip = bank.samples(bank.clip(event.source)).astype(np.float32)
    x = change_speed(clip, event.speed) * np.float32(db_to_gain(event.gain_db))
    if len(x) != event.num_samples:
        raise DatasetError(
            f"clip {event.source!r} is {len(x)} samples long at speed {event.speed:g}",
            expected=f"the {event.num_samples} samples of the plan",
            fix="render with the clip bank that the plan was made from",
        )
    n = min(plan.fade_samples, len(x) // 2)
    if n:
        ramp = (np.arange(n, dtype=np.float32) + np.float32(0.5)) / np.float32(n)
        x[:n] *= ramp
        x[-n:] *= ramp[::-1]
    return x
