"""The recipe's `scene`: how many of what, where, how loud, with which effects."""

from __future__ import annotations

import difflib
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from schemas.effects import EFFECTS
from schemas.recipe_section import Section, ordered

NegativeKind = Literal["near_miss", "speech", "hard", "ambient"]
_Multiple = Annotated[float, Field(gt=0, le=100)]
_MOST_AMONG_PINNED = 8  # pinned_placement.py says why


class CountRange(Section):
    """An inclusive range of counts; uniform, or with one weight a count.

    In YAML either `[0, 3]` or `{range: [0, 3], weights: [1, 4, 2, 1]}`.
    """

    range: tuple[Annotated[int, Field(ge=0, le=1000)], Annotated[int, Field(ge=0, le=1000)]]
    weights: tuple[Annotated[float, Field(ge=0)], ...] | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_list(cls, value: Any) -> Any:
        return {"range": value} if isinstance(value, list | tuple) else value

    @model_validator(mode="after")
    def _consistent(self) -> CountRange:
        low, high = self.range
        if low > high:
            raise ValueError(f"the range is upside down: [{low}, {high}]")
        if self.weights is not None:
            if len(self.weights) != high - low + 1:
                raise ValueError(
                    f"{high - low + 1} counts from {low} to {high} need as many weights, "
                    f"got {len(self.weights)}"
                )
            if sum(self.weights) <= 0:
                raise ValueError("at least one weight must be above 0")
        return self

    def probabilities(self) -> dict[int, float]:
        """Return {count: probability}; probabilities sum to 1."""
        low, high = self.range
        weights = self.weights or (1.0,) * (high - low + 1)
        total = sum(weights)
        return {low + i: weight / total for i, weight in enumerate(weights)}


class EffectRange(Section):
    """How an effect is drawn: for which share of clips (or scenes), and between which values.

    In YAML either `[0.9, 1.1]` or `{range: [0.9, 1.1], probability: 0.5}`.
    """

    range: tuple[float, float]
    probability: float = Field(1.0, gt=0, le=1)

    @model_validator(mode="before")
    @classmethod
    def _from_list(cls, value: Any) -> Any:
        return {"range": value} if isinstance(value, list | tuple) else value

    _order = field_validator("range")(ordered)


EffectRanges = dict[str, EffectRange]


def _known_effects(ranges: EffectRanges) -> EffectRanges:
    """Check names and bounds against schemas/effects.py; put them in the order of application."""
    for name, wanted in ranges.items():
        if name not in EFFECTS:
            near = difflib.get_close_matches(name, EFFECTS, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(EFFECTS)}"
            raise ValueError(f"{name!r} is not an effect ({hint})")
        effect = EFFECTS[name]
        if not effect.low <= wanted.range[0] <= wanted.range[1] <= effect.high:
            raise ValueError(
                f"{name} must lie within [{effect.low:g}, {effect.high:g}] {effect.unit}, got "
                f"{list(wanted.range)}"
            )
        if any(abs(effect.at_step(value) - value) > 1e-9 for value in wanted.range):
            raise ValueError(
                f"{name}: values are multiples of {effect.step:g}, got {list(wanted.range)}"
            )
    return {name: ranges[name] for name in EFFECTS if name in ranges}


class Overlay(Section):
    """The classic exercise's levels: clips as recorded over a turned-down background."""

    background_gain_db: float = Field(-20.0, ge=-100, le=0)
    final_dbfs: float = Field(-20.0, ge=-100, le=0)


class EventLevel(Section):
    """How loud events are, whatever lies under them."""

    unit: Literal["dbfs", "lufs", "gain_db"]
    range: tuple[Annotated[float, Field(ge=-100, le=60)], Annotated[float, Field(ge=-100, le=60)]]

    _order = field_validator("range")(ordered)

    @model_validator(mode="after")
    def _below_full_scale(self) -> EventLevel:
        if self.unit != "gain_db" and self.range[1] > 0:
            raise ValueError(f"a level above full scale (0) can't be stored, got {self.range[1]:g}")
        return self


class PinnedEvent(Section):
    """An event at a time of the recipe's choosing, beside those that are drawn."""

    label: str = Field(min_length=1, description="of a keyword or a negative of the material")
    onset_s: float = Field(ge=0, le=3600)
    probability: float = Field(1.0, gt=0, le=1)


class Babble(Section):
    """Other speech, much of it at once, as a background."""

    num_talkers: CountRange = CountRange(range=(4, 8))
    level_db: tuple[float, float] = Field((-6.0, 0.0), description="against the background")
    probability: float = Field(0.2, gt=0, le=1)

    _order = field_validator("level_db")(ordered)


class Scene(Section):
    """What one synthesized example contains."""

    duration_s: float = Field(10.0, gt=0, le=3600)
    num_keywords: CountRange = CountRange(range=(0, 3))
    num_negatives: CountRange = CountRange(range=(0, 4))
    num_ambient: CountRange | None = Field(
        None, description="negatives of kind ambient, over all else; None: as other negatives"
    )
    num_backgrounds: CountRange = CountRange(range=(1, 1))
    keyword_lengths: tuple[_Multiple, _Multiple] | None = Field(
        None,
        description="least and greatest length of a keyword to train with, as multiples of the "
        "median of its folder; None: all are drawn",
    )
    negative_shares: dict[NegativeKind, Annotated[float, Field(ge=0)]] | None = Field(
        None, description="share of each kind among negatives; None: by the size of folders"
    )
    polyphony: int = Field(1, ge=1, le=16, description="how many clips may sound at once")
    min_gap_s: float = Field(0.1, ge=0, le=3600)
    margin_s: float = Field(0.0, ge=0, le=1800)
    keyword_tail_s: float = Field(
        0.0, ge=0, le=1800, description="scene that a keyword needs after its end"
    )
    on_infeasible: Literal["refuse", "condition"] = "refuse"
    snr_db: tuple[float, float] = (0.0, 20.0)
    level_dbfs: tuple[float, float] = (-35.0, -12.0)
    level_lufs: tuple[float, float] | None = Field(None, description="instead of level_dbfs")
    event_level: EventLevel | None = Field(None, description="instead of snr_db")
    pinned: tuple[PinnedEvent, ...] = Field((), max_length=16)
    babble: Babble | None = None
    overlay: Overlay | None = Field(None, description="instead of snr_db and level_dbfs")
    effects: EffectRanges = Field({}, description="on each clip")
    channel: EffectRanges = Field({}, description="on the whole scene")

    _ranges = field_validator("snr_db", "level_dbfs")(ordered)

    @field_validator("keyword_lengths")
    @classmethod
    def _around_the_median(cls, bounds: tuple[float, float] | None) -> tuple[float, float] | None:
        if bounds is not None and not bounds[0] <= 1.0 <= bounds[1]:
            raise ValueError(f"multiples of the median, around 1, got {list(bounds)}")
        return bounds

    @field_validator("level_lufs")
    @classmethod
    def _loudness(cls, level: tuple[float, float] | None) -> tuple[float, float] | None:
        if level is not None and not -70 <= ordered(level)[0] <= level[1] <= 0:
            raise ValueError(f"level_lufs: within [-70, 0] LUFS, got {list(level)}")
        return level

    _effects = field_validator("effects", "channel")(_known_effects)

    @field_validator("level_dbfs")
    @classmethod
    def _below_full_scale(cls, level: tuple[float, float]) -> tuple[float, float]:
        if level[1] > 0:
            raise ValueError(f"a level above full scale (0 dBFS) can't be stored, got {level[1]:g}")
        if level[0] < -100:
            raise ValueError(f"a level below -100 dBFS is less than one bit, got {level[0]:g}")
        return level

    @field_validator("snr_db")
    @classmethod
    def _audible(cls, snr_db: tuple[float, float]) -> tuple[float, float]:
        if snr_db[0] < -60 or snr_db[1] > 100:
            raise ValueError(f"an SNR must lie within [-60, 100] dB, got {list(snr_db)}")
        return snr_db

    @model_validator(mode="after")
    def _consistent(self) -> Scene:
        if not 1 <= self.num_backgrounds.range[0] <= self.num_backgrounds.range[1] <= 8:
            raise ValueError(f"num_backgrounds: 1 to 8, got {list(self.num_backgrounds.range)}")
        if (self.polyphony > 1 or self.pinned) and self.keyword_tail_s > self.margin_s:
            raise ValueError(
                "keyword_tail_s above margin_s goes with polyphony 1 and nothing pinned; "
                "raise margin_s"
            )
        most = self.num_keywords.range[1] + self.num_negatives.range[1]
        if self.pinned and self.polyphony == 1 and most > _MOST_AMONG_PINNED:
            raise ValueError(
                f"at most {_MOST_AMONG_PINNED} other events fit between pinned ones, got {most}"
            )
        if self.overlay and (self.event_level or self.level_lufs):
            raise ValueError("overlay has levels of its own: leave out event_level and level_lufs")
        longer = [name for name in self.channel if EFFECTS[name].changes_length]
        if longer:
            raise ValueError(f"channel: {longer[0]} would change the length of the scene")
        return self
