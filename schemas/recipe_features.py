"""The recipe's `features`: which front end a detector hears with.

Which families a network takes says `schemas/recipe.py`. All but `specgram` are causal with zeros
before the sound, and of about the same size whatever the sound.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from schemas.recipe_section import Section


class _Features(Section):
    statistics: Literal["none", "dataset"] = Field(
        "none",
        description="dataset: minus the mean, over the deviation of each feature in the training "
        "split, found before training and kept with the model",
    )


class _Frames(_Features):
    window_s: float = Field(0.025, ge=0.001, le=1)
    hop_s: float = Field(0.010, ge=0.001, le=1)
    fft_size: int = Field(512, ge=16, le=2**16, description="a power of two")

    @model_validator(mode="after")
    def _power_of_two(self) -> _Frames:
        if self.fft_size & (self.fft_size - 1):
            raise ValueError(f"fft_size must be a power of two, got {self.fft_size}")
        return self


class _Mel(_Frames):
    num_mels: int = Field(40, ge=4, le=256)
    low_hz: float = Field(80.0, ge=0)
    high_hz: float = Field(7600.0, gt=0)


class LogMel(_Mel):
    """Causal log-mel energies; HTK mel scale, left padding only."""

    family: Literal["log_mel"] = "log_mel"


class Mfcc(_Mel):
    """The first coefficients of the cosine transform of the log-mel energies."""

    family: Literal["mfcc"] = "mfcc"
    num_coefficients: int = Field(13, ge=4, le=256)

    @model_validator(mode="after")
    def _no_more_than_bands(self) -> Mfcc:
        if self.num_coefficients > self.num_mels:
            raise ValueError(
                f"num_coefficients {self.num_coefficients} of only num_mels {self.num_mels}"
            )
        return self


class Pcen(_Mel):
    """Mel energies over their own recent past: (E / (floor + M)^gain + bias)^power − bias^power."""

    family: Literal["pcen"] = "pcen"
    smoothing_s: float = Field(0.4, ge=0.01, le=10, description="time constant of the past M")
    gain: float = Field(0.98, ge=0, le=1)
    bias: float = Field(2.0, gt=0)
    power: float = Field(0.5, gt=0, le=1)


class Linear(_Frames):
    """The logarithm of the power in each bin of the transform."""

    family: Literal["linear"] = "linear"


class Specgram(_Features):
    """The reference exercise's power spectrogram on raw int16 counts, without padding."""

    family: Literal["specgram"] = "specgram"
    window_samples: int = Field(200, ge=8, le=2**16)
    hop_samples: int = Field(80, ge=1, le=2**16)
    compression: Literal["none", "log"] = Field(
        "none", description="log: ln(1 + power), which levels move rather than scale"
    )


Features = Annotated[LogMel | Mfcc | Pcen | Linear | Specgram, Field(discriminator="family")]
"""A recipe's `features`, by its `family`."""
