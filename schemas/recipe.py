"""The recipe: everything a user decides, in one checked value.

These names are a contract with users' files. Lengths are in seconds here, because people write
them so; `scene_spec` turns them into integer samples once, and nothing later sees seconds.

Two digests are made from a recipe. `content_digest` covers what decides the bytes of example i
(seed, rate, splits, scene, encoding, and the clip bank), so a data set may grow without changing
the examples that it has. How many examples there are and where they lie is not part of it.
"""

from __future__ import annotations

import difflib
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from schemas.canonical import digest
from schemas.effects import EFFECTS
from schemas.units import parse_bytes, seconds_to_samples

SPLITS = ("train", "validation", "test")

PLAN_VERSION = 2
"""Of plans and of what renders them: raised whenever the same recipe makes other bytes."""

NegativeKind = Literal["near_miss", "speech", "hard", "ambient"]
Split = Literal["train", "validation", "test"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class _Material(_Section):
    path: str = Field(min_length=1, description="a file or a folder, searched recursively")
    speaker_pattern: str | None = Field(
        None, description="regular expression on the path; group 1 is the speaker or source"
    )
    licence: str | None = None

    @field_validator("speaker_pattern")
    @classmethod
    def _has_a_group(cls, pattern: str | None) -> str | None:
        import re

        if pattern is not None:
            try:
                groups = re.compile(pattern).groups
            except re.error as error:
                raise ValueError(f"not a regular expression: {error}") from error
            if groups < 1:
                raise ValueError("needs a group, as in '_(.+)_', that holds the speaker")
        return pattern


class KeywordMaterial(_Material):
    """Takes of one keyword."""

    label: str = Field(min_length=1, max_length=100)

    @field_validator("label")
    @classmethod
    def _printable(cls, label: str) -> str:
        if not label.isprintable() or label != label.strip():
            raise ValueError("a label is printable and has no space around it")
        return label


class NegativeMaterial(_Material):
    """Sounds that must not trigger; `kind` says how near they come."""

    kind: NegativeKind = "speech"
    label: str | None = Field(None, description="stored with the event; the kind if not given")


class BackgroundMaterial(_Material):
    """Ambient recordings that lie under a whole scene."""

    shared: bool = Field(
        False, description="heard in all splits: where there are too few to divide"
    )


class RoomMaterial(_Material):
    """Impulse responses of rooms, for the effect `room`."""


class Material(_Section):
    """The recordings that scenes are made from."""

    keyword: tuple[KeywordMaterial, ...] = Field(min_length=1)
    negative: tuple[NegativeMaterial, ...] = ()
    background: tuple[BackgroundMaterial, ...] = Field(min_length=1)
    room: tuple[RoomMaterial, ...] = ()
    keyword_parts: bool = Field(
        False, description="halves and beginnings of the keyword's takes serve as near misses"
    )
    channel: Literal["mix", "first"] = Field("mix", description="of several channels")
    trim: bool = Field(True, description="cut takes to where the sound is; False: as recorded")


class Fractions(_Section):
    """Share of speakers or sources that goes to each split."""

    train: float = Field(0.8, ge=0, le=1)
    validation: float = Field(0.1, ge=0, le=1)
    test: float = Field(0.1, ge=0, le=1)

    @model_validator(mode="after")
    def _sum_to_one(self) -> Fractions:
        total = self.train + self.validation + self.test
        if abs(total - 1.0) > 1e-9:
            raise ValueError(f"the three shares must sum to 1, got {total:g}")
        return self


class CountRange(_Section):
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


def _ordered(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] > pair[1]:
        raise ValueError(f"the range is upside down: [{pair[0]:g}, {pair[1]:g}]")
    return pair


class EffectRange(_Section):
    """How an effect is drawn: for which share of clips (or scenes), and between which values.

    In YAML either `[0.9, 1.1]` or `{range: [0.9, 1.1], probability: 0.5}`.
    """

    range: tuple[float, float]
    probability: float = Field(1.0, gt=0, le=1)

    @model_validator(mode="before")
    @classmethod
    def _from_list(cls, value: Any) -> Any:
        return {"range": value} if isinstance(value, list | tuple) else value

    _order = field_validator("range")(_ordered)


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


class Overlay(_Section):
    """The classic exercise's levels: clips as recorded over a turned-down background."""

    background_gain_db: float = Field(-20.0, ge=-100, le=0)
    final_dbfs: float = Field(-20.0, ge=-100, le=0)


class Babble(_Section):
    """Other speech, much of it at once, as a background."""

    num_talkers: CountRange = CountRange(range=(4, 8))
    level_db: tuple[float, float] = Field((-6.0, 0.0), description="against the background")
    probability: float = Field(0.2, gt=0, le=1)

    _order = field_validator("level_db")(_ordered)


class Scene(_Section):
    """What one synthesized example contains."""

    duration_s: float = Field(10.0, gt=0, le=3600)
    num_keywords: CountRange = CountRange(range=(0, 3))
    num_negatives: CountRange = CountRange(range=(0, 4))
    num_ambient: CountRange | None = Field(
        None, description="negatives of kind ambient, over all else; None: as other negatives"
    )
    num_backgrounds: CountRange = CountRange(range=(1, 1))
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
    babble: Babble | None = None
    overlay: Overlay | None = Field(None, description="instead of snr_db and level_dbfs")
    effects: EffectRanges = Field({}, description="on each clip")
    channel: EffectRanges = Field({}, description="on the whole scene")

    _ranges = field_validator("snr_db", "level_dbfs")(_ordered)
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
        if self.polyphony > 1 and self.keyword_tail_s > self.margin_s:
            raise ValueError("keyword_tail_s above margin_s needs polyphony 1; raise margin_s")
        longer = [name for name in self.channel if EFFECTS[name].changes_length]
        if longer:
            raise ValueError(f"channel: {longer[0]} would change the length of the scene")
        return self


class NumExamples(_Section):
    """Examples for each split."""

    train: int = Field(4000, ge=0, le=10**9)
    validation: int = Field(400, ge=0, le=10**9)
    test: int = Field(400, ge=0, le=10**9)


class Dataset(_Section):
    """Where the examples go and how they are stored."""

    out: str = "data"
    num_examples: NumExamples = NumExamples()
    encoding: Literal["pcm16", "flac"] = "pcm16"
    shard_bytes: int = Field(64 * 2**20, ge=1, le=2**40)

    _size = field_validator("shard_bytes", mode="before")(parse_bytes)


class LogMel(_Section):
    """Causal log-mel energies; HTK mel scale, left padding only."""

    family: Literal["log_mel"] = "log_mel"
    window_s: float = Field(0.025, ge=0.001, le=1)
    hop_s: float = Field(0.010, ge=0.001, le=1)
    fft_size: int = Field(512, ge=16, le=2**16, description="a power of two")
    num_mels: int = Field(40, ge=4, le=256)
    low_hz: float = Field(80.0, ge=0)
    high_hz: float = Field(7600.0, gt=0)


class Specgram(_Section):
    """The reference exercise's power spectrogram on raw int16 counts, without padding."""

    family: Literal["specgram"] = "specgram"
    window_samples: int = Field(200, ge=8, le=2**16)
    hop_samples: int = Field(80, ge=1, le=2**16)


class StreamTcn(_Section):
    """The default detector: a small convolutional front and dilated temporal blocks."""

    family: Literal["stream_tcn"] = "stream_tcn"
    channels: int = Field(96, ge=8, le=1024)
    num_blocks: int = Field(8, ge=1, le=32)
    dropout: float = Field(0.1, ge=0, lt=1)


class TriggerGru(_Section):
    """The ten-second reference network (523,329 parameters with its defaults)."""

    family: Literal["trigger_gru"] = "trigger_gru"
    filters: int = Field(196, ge=1)
    units: int = Field(128, ge=1)
    dropout: float = Field(0.8, ge=0, lt=1)
    reset_after: bool = True


class LabelWindow(_Section):
    """Which output steps are taught to fire, relative to the end of a keyword.

    Steps from `ignore_fraction` of the way through the keyword until `ignore_after_s` after its
    end that are not positive have weight 0: firing there is neither right nor wrong.
    """

    rule: Literal["window", "exercise"] = Field(
        "window", description="exercise: fifty steps after the end, on the classic exercise's clock"
    )
    start_s: float = -0.05
    end_s: float = 0.25
    ignore_fraction: float = Field(0.45, ge=0, le=1)
    ignore_after_s: float = Field(0.5, ge=0)

    @model_validator(mode="after")
    def _not_empty(self) -> LabelWindow:
        if self.start_s >= self.end_s:
            raise ValueError("end_s must be after start_s")
        return self


class Training(_Section):
    """How the network is fitted."""

    epochs: int = Field(10, ge=1)
    batch_size: int = Field(16, ge=1)
    learning_rate: float = Field(3e-3, gt=0)
    weight_decay: float = Field(1e-3, ge=0)
    clip_norm: float = Field(5.0, gt=0)
    positive_weight: float = Field(4.0, gt=0)
    early_stopping_epochs: int = Field(4, ge=1)
    strategy: Literal["auto", "one", "mirrored", "multiworker"] = "auto"
    label_window: LabelWindow = LabelWindow()


class Evaluation(_Section):
    """How detections are counted."""

    debounce_s: float = Field(1.0, ge=0)
    hit_window_s: float = Field(1.0, ge=0)
    max_false_accepts_per_hour: float = Field(0.5, ge=0)


class Recipe(_Section):
    """A whole `recipe.yaml`."""

    schema_version: Literal[1] = Field(1, alias="schema")
    name: str = Field(min_length=1, max_length=100)
    seed: int = Field(0, ge=0, lt=2**63, strict=True)
    sample_rate_hz: int = Field(16000, ge=4000, le=192000)
    material: Material
    splits: Fractions = Fractions()
    scene: Scene = Scene()
    dataset: Dataset = Dataset()
    features: Annotated[LogMel | Specgram, Field(discriminator="family")] = LogMel()
    model: Annotated[StreamTcn | TriggerGru, Field(discriminator="family")] = StreamTcn()
    training: Training = Training()
    evaluation: Evaluation = Evaluation()

    @model_validator(mode="after")
    def _belong_together(self) -> Recipe:
        pairs = {"stream_tcn": "log_mel", "trigger_gru": "specgram"}
        if self.features.family != pairs[self.model.family]:
            raise ValueError(
                f"model.family {self.model.family} is made for features.family "
                f"{pairs[self.model.family]}, not {self.features.family}"
            )
        self._check_frames()
        if not self.material.room and "room" in {**self.scene.effects, **self.scene.channel}:
            raise ValueError("the effect room needs impulse responses: name them in material.room")
        if isinstance(self.features, LogMel):
            nyquist = self.sample_rate_hz / 2
            if not self.features.low_hz < self.features.high_hz <= nyquist:
                raise ValueError(
                    f"features.low_hz < high_hz <= {nyquist:g} (half the sample rate) must hold, "
                    f"got {self.features.low_hz:g} and {self.features.high_hz:g}"
                )
        return self

    def _check_frames(self) -> None:
        if isinstance(self.features, LogMel):
            window = seconds_to_samples(self.features.window_s, self.sample_rate_hz)
            hop = seconds_to_samples(self.features.hop_s, self.sample_rate_hz)
            if self.features.fft_size & (self.features.fft_size - 1):
                raise ValueError(
                    f"features.fft_size must be a power of two, got {self.features.fft_size}"
                )
        else:
            window, hop = self.features.window_samples, self.features.hop_samples
        if not hop < window:
            raise ValueError(
                f"features: a window must be longer than a hop, got {window} and {hop} samples"
            )

    @property
    def labels(self) -> tuple[str, ...]:
        """The keywords' labels, sorted, without repeats: the order of the network's outputs."""
        return tuple(sorted({entry.label for entry in self.material.keyword}))

    def content_digest(self, bank_digest: str) -> str:
        """Return the SHA-256 of all that decides the bytes of an example."""
        return digest(self.content(bank_digest))

    def content(self, bank_digest: str) -> dict[str, Any]:
        """Return what `content_digest` covers, as plain JSON values."""
        return {
            "schema": self.schema_version,
            "seed": self.seed,
            "sample_rate_hz": self.sample_rate_hz,
            "splits": self.splits.model_dump(mode="json"),
            "scene": self.scene.model_dump(mode="json"),
            "encoding": self.dataset.encoding,
            "plan_version": PLAN_VERSION,
            "bank": bank_digest,
        }
