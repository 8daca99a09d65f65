"""Effects on a waveform: small pure functions, and the one table that names them.

An effect takes (x, rate_hz, setting) and returns float32 audio: `x` is (num_samples,) float32 in
int16 counts with at least one sample, `setting` is what the plan fixed. It draws nothing, keeps no
state and must not change `x`. Its name, unit and bounds are a row of `schemas/effects.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.effects.codec import through_mp3, through_opus
from pipeline.effects.distortion import add_dc, drop_out, soft_clip, telephone
from pipeline.effects.filters import high_pass, low_pass, resonance, tilt
from pipeline.effects.room import reverberate
from pipeline.effects.time_scale import change_pitch, change_speed, change_tempo
from schemas.effects import EFFECTS, AppliedEffect

__all__ = ["TABLE", "Setting", "apply_effects", "change_speed"]
FloatArray = npt.NDArray[np.float32]


class Setting(NamedTuple):
    """What a plan fixed for one effect.

    Attributes:
        value: in the unit of schemas/effects.py.
        place: in [0, 1), for effects that are `placed`.
        room: impulse response, for effects that need one.
    """

    value: float
    place: float
    room: FloatArray | None


Effect = Callable[[FloatArray, int, Setting], FloatArray]

TABLE: dict[str, Effect] = {
    "speed": lambda x, rate, s: change_speed(x, s.value),
    "tempo": lambda x, rate, s: change_tempo(x, rate, s.value),
    "pitch_semitones": lambda x, rate, s: change_pitch(x, rate, s.value),
    "room": lambda x, rate, s: x if s.room is None else reverberate(x, s.room, s.value),
    "low_pass_hz": lambda x, rate, s: low_pass(x, rate, s.value),
    "high_pass_hz": lambda x, rate, s: high_pass(x, rate, s.value),
    "tilt_db_per_octave": lambda x, rate, s: tilt(x, rate, s.value),
    "resonance_db": lambda x, rate, s: resonance(x, rate, s.value, s.place),
    "soft_clip_db": lambda x, rate, s: soft_clip(x, s.value),
    "telephone_hz": lambda x, rate, s: telephone(x, rate, s.value),
    "mp3_kbps": lambda x, rate, s: through_mp3(x, rate, s.value),
    "opus_kbps": lambda x, rate, s: through_opus(x, rate, s.value),
    "dropout_s": lambda x, rate, s: drop_out(x, rate, s.value, s.place),
    "dc": lambda x, rate, s: add_dc(x, s.value),
}


def apply_effects(
    x: FloatArray,
    rate_hz: int,
    effects: tuple[AppliedEffect, ...],
    room: Callable[[str], FloatArray],
) -> FloatArray:
    """Apply a plan's effects in order.

    Args:
        x: (num_samples,) float32 in int16 counts.
        rate_hz: of `x`.
        effects: what to do.
        room: from a clip id to its impulse response.

    Returns:
        (m,) float32; m is `effected_length(num_samples, effects)` plus a room's tail.
    """
    for effect in effects:
        response = room(effect.source) if EFFECTS[effect.name].needs_room else None
        x = TABLE[effect.name](x, rate_hz, Setting(effect.value, effect.place, response))
    return x
