"""The recipe: everything a user decides, in one checked value.

These names are a contract with users' files. Lengths are in seconds here, because people write
them so; `scene_spec` turns them into integer samples once, and nothing later sees seconds.

Two digests are made from a recipe. `content_digest` covers what decides the bytes of example i
(seed, rate, splits, scene, encoding, and the clip bank), so a data set may grow without changing
the examples that it has. How many examples there are and where they lie is not part of it.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from schemas.canonical import digest
from schemas.errors import RecipeError
from schemas.recipe_features import Features, Linear, LogMel, Mfcc, Pcen, Specgram
from schemas.recipe_scene import (
    Babble,
    CountRange,
    EffectRange,
    EffectRanges,
    NegativeKind,
    Overlay,
    PinnedEvent,
    Scene,
)
from schemas.recipe_section import Section, with_a_group
from schemas.recipe_speech import Speech
from schemas.recipe_training import (
    BcResnet,
    Collars,
    Crnn,
    Evaluation,
    Judging,
    LabelWindow,
    Model,
    Psds,
    SedCrnn,
    SoundEvents,
    StreamTcn,
    Training,
    TriggerGru,
)
from schemas.units import parse_bytes, seconds_to_samples

__all__ = [
    "PLAN_VERSION",
    "SPLITS",
    "Babble",
    "BackgroundMaterial",
    "BcResnet",
    "Collars",
    "CountRange",
    "Crnn",
    "Dataset",
    "EffectRange",
    "EffectRanges",
    "Evaluation",
    "Features",
    "Fractions",
    "Judging",
    "KeywordMaterial",
    "LabelWindow",
    "Linear",
    "LogMel",
    "Material",
    "Mfcc",
    "Model",
    "NegativeKind",
    "NegativeMaterial",
    "NumExamples",
    "Overlay",
    "Pcen",
    "PinnedEvent",
    "Psds",
    "Recipe",
    "RoomMaterial",
    "Scene",
    "SedCrnn",
    "SoundEvents",
    "Specgram",
    "Speech",
    "Split",
    "StreamTcn",
    "Training",
    "TriggerGru",
]
SPLITS = ("train", "validation", "test")

PLAN_VERSION = 4
"""Of plans and of what renders them: raised whenever the same recipe makes other bytes."""

Split = Literal["train", "validation", "test"]


class _Material(Section):
    path: str = Field(min_length=1, description="a file or a folder, searched recursively")
    speaker_pattern: str | None = Field(
        None, description="regular expression on the path; group 1 is the speaker or source"
    )
    licence: str | None = None

    _has_a_group = field_validator("speaker_pattern")(with_a_group)


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


class Material(Section):
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
    bank: str = Field("bank", description="folder or URI of the clip banks; workers read them")


class Fractions(Section):
    """Share of speakers or sources that goes to each split."""

    train: float = Field(0.8, ge=0, le=1)
    validation: float = Field(0.1, ge=0, le=1)
    test: float = Field(0.1, ge=0, le=1)
    keep: dict[str, Literal["train", "validation", "test"]] = Field(
        {}, description="speakers or sources whose split is not left to their hash"
    )

    @model_validator(mode="after")
    def _sum_to_one(self) -> Fractions:
        total = self.train + self.validation + self.test
        if abs(total - 1.0) > 1e-9:
            raise ValueError(f"the three shares must sum to 1, got {total:g}")
        return self


class NumExamples(Section):
    """Examples for each split."""

    train: int = Field(4000, ge=0, le=10**9)
    validation: int = Field(400, ge=0, le=10**9)
    test: int = Field(400, ge=0, le=10**9)


class Dataset(Section):
    """Where the examples go and how they are stored."""

    out: str = "data"
    num_examples: NumExamples = NumExamples()
    encoding: Literal["pcm16", "flac"] = "pcm16"
    shard_bytes: int = Field(64 * 2**20, ge=1, le=2**40)
    max_reject_fraction: float = Field(
        0.0, ge=0, lt=1, description="share of examples that may fail before the job does"
    )

    _size = field_validator("shard_bytes", mode="before")(parse_bytes)


class Prices(Section):
    """What the machines cost, so that `wakebeam check` can say what a data set would."""

    currency: str = Field("USD", min_length=1, max_length=10)
    core_hour: float = Field(0.0, ge=0, description="of one core at work")
    gb_month: float = Field(0.0, ge=0, description="of 10^9 bytes kept for a month")


class Recipe(Section):
    """A whole `recipe.yaml`."""

    schema_version: Literal[1] = Field(1, alias="schema")
    name: str = Field(min_length=1, max_length=100)
    seed: int = Field(0, ge=0, lt=2**63, strict=True)
    sample_rate_hz: int = Field(16000, ge=4000, le=192000)
    speech: tuple[Speech, ...] = Field((), description="takes to be spoken by a machine first")
    material: Material
    splits: Fractions = Fractions()
    scene: Scene = Scene()
    dataset: Dataset = Dataset()
    features: Features = LogMel()
    model: Model = StreamTcn()
    training: Training = Training()
    evaluation: Judging = Evaluation()
    prices: Prices | None = None

    @model_validator(mode="after")
    def _belong_together(self) -> Recipe:
        if self.features.family not in self.model.made_for:
            raise ValueError(
                f"model.family {self.model.family} is made for features.family "
                f"{' or '.join(self.model.made_for)}, not {self.features.family}"
            )
        unknown = sorted(set(self.training.class_weights) - set(self.labels))
        if unknown:
            raise ValueError(
                f"training.class_weights: no keyword has the label {unknown[0]!r} "
                f"(known: {', '.join(self.labels)})"
            )
        self._check_frames()
        if not self.material.room and "room" in {**self.scene.effects, **self.scene.channel}:
            raise ValueError("the effect room needs impulse responses: name them in material.room")
        known = {*self.labels, *(e.label or e.kind for e in self.material.negative)}
        for pinned in self.scene.pinned:
            if pinned.label not in known:
                raise ValueError(
                    f"scene.pinned: no clip of the recipe has the label {pinned.label!r} "
                    f"(known: {', '.join(sorted(known))})"
                )
        if isinstance(self.features, LogMel | Mfcc | Pcen):
            nyquist = self.sample_rate_hz / 2
            if not self.features.low_hz < self.features.high_hz <= nyquist:
                raise ValueError(
                    f"features.low_hz < high_hz <= {nyquist:g} (half the sample rate) must hold, "
                    f"got {self.features.low_hz:g} and {self.features.high_hz:g}"
                )
        return self

    def _check_frames(self) -> None:
        if isinstance(self.features, Specgram):
            window, hop = self.features.window_samples, self.features.hop_samples
        else:
            window = seconds_to_samples(self.features.window_s, self.sample_rate_hz)
            hop = seconds_to_samples(self.features.hop_s, self.sample_rate_hz)
        if not hop < window:
            raise ValueError(
                f"features: a window must be longer than a hop, got {window} and {hop} samples"
            )

    @property
    def keyword_evaluation(self) -> Evaluation:
        """How keywords are counted.

        Raises:
            RecipeError: the recipe is judged by something else.
        """
        if not isinstance(self.evaluation, Evaluation):
            raise RecipeError(
                f"evaluation.measure is {self.evaluation.measure}",
                expected="keywords: what was asked for counts misses and false accepts",
            )
        return self.evaluation

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
            "splits": _without_unset(self.splits.model_dump(mode="json"), "keep"),
            "scene": _without_unset(self.scene.model_dump(mode="json"), "keyword_lengths"),
            "encoding": self.dataset.encoding,
            "plan_version": PLAN_VERSION,
            "bank": bank_digest,
        }


def _without_unset(values: dict[str, Any], key: str) -> dict[str, Any]:
    """Leave out a key younger than data sets: those made without it keep their digest."""
    return values if values[key] else {k: v for k, v in values.items() if k != key}
