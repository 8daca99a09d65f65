"""What effects there are: names, units and bounds. What they do is in pipeline/effects.

The order of the table is the order in which effects are applied. To add one: a row here, a function
of (waveform, rate, setting) in `pipeline/effects/`, and its line in the table there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class EffectParameter:
    """The one number that a recipe gives a range for.

    Attributes:
        unit: of the number.
        low, high: what a recipe may ask for, inclusive.
        step: values are multiples of it, so that a plan holds short exact numbers.
        scale: drawn uniformly in the value (`linear`) or in its logarithm (`log`).
        placed: also takes a place in [0, 1): when, or at which frequency.
        needs_room: also takes an impulse response of the recipe's rooms.
        changes_length: by 1/value, rounded up.
        help: one line for people.
    """

    unit: str
    low: float
    high: float
    step: float
    help: str
    scale: Literal["linear", "log"] = "linear"
    placed: bool = False
    needs_room: bool = False
    changes_length: bool = False

    def draw(self, low: float, high: float, number: float) -> float:
        """Return the value in [low, high] that `number` in [0, 1) picks, a multiple of `step`."""
        if self.scale == "log":
            return self.at_step(low * math.exp(number * math.log(high / low)))
        return round(low + int(number * (round((high - low) / self.step) + 1)) * self.step, 6)

    def at_step(self, value: float) -> float:
        """Return the multiple of `step` nearest to `value`, as a decimal number reads."""
        return round(round(value / self.step) * self.step, 6)


EFFECTS: dict[str, EffectParameter] = {
    "speed": EffectParameter(
        "ratio", 0.5, 2.0, 0.01, "as on a tape: 1.1 is faster and higher", changes_length=True
    ),
    "tempo": EffectParameter(
        "ratio", 0.5, 2.0, 0.01, "faster at the same pitch", changes_length=True
    ),
    "pitch_semitones": EffectParameter("semitones", -12, 12, 0.1, "higher at the same tempo"),
    "room": EffectParameter(
        "wet share", 0.0, 1.0, 0.01, "an impulse response of material.room", needs_room=True
    ),
    "low_pass_hz": EffectParameter("Hz", 200, 96_000, 1, "nothing above", scale="log"),
    "high_pass_hz": EffectParameter("Hz", 20, 8_000, 1, "nothing below", scale="log"),
    "tilt_db_per_octave": EffectParameter("dB/octave", -6, 6, 0.1, "a dull or a bright microphone"),
    "resonance_db": EffectParameter(
        "dB", -18, 18, 0.1, "a peak or a dip of one octave at a drawn frequency", placed=True
    ),
    "soft_clip_db": EffectParameter("dB", 0, 36, 0.1, "an overdriven microphone: its drive"),
    "telephone_hz": EffectParameter(
        "Hz", 1_500, 3_900, 10, "300 Hz up to here, in 8-bit mu-law at 8 kHz"
    ),
    "mp3_kbps": EffectParameter("kbit/s", 8, 320, 8, "through the MP3 codec (ffmpeg; slow)"),
    "opus_kbps": EffectParameter("kbit/s", 6, 256, 1, "through the Opus codec (ffmpeg; slow)"),
    "dropout_s": EffectParameter("s", 0.0, 1.0, 0.001, "lost sound at a drawn time", placed=True),
    "dc": EffectParameter("of full scale", -0.2, 0.2, 0.001, "an offset"),
}


@dataclass(frozen=True, slots=True)
class AppliedEffect:
    """One effect as a plan fixes it.

    Attributes:
        name: a key of EFFECTS.
        value: in the parameter's unit.
        place: in [0, 1), for effects that are `placed`.
        source: clip id of the impulse response, for effects that need a room.
    """

    name: str
    value: float
    place: float = 0.0
    source: str = ""

    def to_json(self) -> list[object]:
        """Return [name, value], and place and source where the effect has them."""
        parameter = EFFECTS[self.name]
        row: list[object] = [self.name, self.value]
        if parameter.placed:
            row.append(self.place)
        if parameter.needs_room:
            row.append(self.source)
        return row

    @classmethod
    def from_json(cls, row: list[object]) -> AppliedEffect:
        """Rebuild an effect from what `to_json` returns.

        Raises:
            ValueError: the effect isn't known.
        """
        name, value, *more = row
        if not isinstance(name, str) or name not in EFFECTS:
            raise ValueError(f"the plan asks for the effect {name!r}, which isn't known")
        parameter = EFFECTS[name]
        place = more.pop(0) if parameter.placed else 0.0
        source = more.pop(0) if parameter.needs_room else ""
        return cls(name, float(str(value)), float(str(place)), str(source))


def effected_length(num_samples: int, effects: tuple[AppliedEffect, ...]) -> int:
    """Return how long a clip is after its effects, ≥ 1; known without touching audio."""
    for effect in effects:
        if EFFECTS[effect.name].changes_length:
            num_samples = scaled_length(num_samples, effect.value)
    return num_samples


def scaled_length(num_samples: int, ratio: float) -> int:
    """Return ceil(num_samples / ratio), at least 1; `ratio` is a multiple of 0.01."""
    return max(1, -(-num_samples * 100 // round(ratio * 100)))
