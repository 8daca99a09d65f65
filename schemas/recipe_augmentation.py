"""The recipe's `training.augmentation`: what is changed anew in each epoch; all off by default."""

from __future__ import annotations

from pydantic import Field, field_validator

from schemas.recipe_section import Section, ordered


class AddedNoise(Section):
    """Coloured noise over a whole scene."""

    probability: float = Field(0.5, ge=0, le=1, description="of a scene to get it")
    snr_db: tuple[float, float] = Field(
        (0.0, 20.0), description="range; of the scene's background, events aside, over the noise"
    )
    colour: tuple[float, float] = Field(
        (0.0, 2.0), description="range of c, power ~ 1 / f^c: 0 white, 1 pink, 2 brown"
    )

    _ranges = field_validator("snr_db", "colour")(ordered)


class Mixup(Section):
    """Another scene of the epoch on top, with its events."""

    probability: float = Field(0.3, ge=0, le=1)
    level_db: tuple[float, float] = Field((-6.0, 0.0), description="range; of the other scene")

    _range = field_validator("level_db")(ordered)


class Masks(Section):
    """Stretches of time and bands of features that carry nothing."""

    num_times: int = Field(2, ge=0, le=100)
    time_s: float = Field(0.1, gt=0, description="the longest; shorter than a keyword")
    num_bands: int = Field(2, ge=0, le=100)
    band_share: float = Field(0.15, gt=0, le=1, description="of all features, the widest")


class Augmentation(Section):
    """Effects on training scenes, drawn from (seed, epoch, example)."""

    mixup: Mixup | None = None
    noise: AddedNoise | None = None
    delay_s: float = Field(0.0, ge=0, le=60, description="the longest; sound and events together")
    gain_db: tuple[float, float] | None = Field(None, description="range; clipped at full scale")
    masks: Masks | None = None

    @field_validator("gain_db")
    @classmethod
    def _range(cls, gain_db: tuple[float, float] | None) -> tuple[float, float] | None:
        return gain_db and ordered(gain_db)
