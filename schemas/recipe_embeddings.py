"""Recipes of the task `embeddings`: is a sound in a clip, given 128 numbers for each second?"""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from schemas.recipe import Fractions
from schemas.recipe_section import Section, with_a_group
from schemas.recipe_task import TaskRecipe
from schemas.recipe_training import Fitting, Plateau
from schemas.units import parse_bytes


def compiled(pattern: str | None) -> str | None:
    """Return a regular expression as it is, if it is one."""
    try:
        re.compile(pattern or "")
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return pattern


class ClipMaterial(Section):
    """Files of clips: ready-made embeddings (JSON, TFRecord) or sound, which is embedded here.

    A folder is searched recursively for files of these kinds.
    """

    path: str = Field(min_length=1, description="a file or a folder")
    label: Literal[0, 1] | None = Field(
        None, description="of all its clips; sound without one is unlabelled"
    )
    positive_pattern: str | None = Field(
        None,
        description="of sound: instead of label, regular expression on the path of clips with 1; "
        "all others have 0",
    )
    source_pattern: str | None = Field(
        None, description="of sound: regular expression on the path; group 1 is the recording"
    )
    licence: str | None = None

    _has_a_group = field_validator("source_pattern")(with_a_group)
    _compiles = field_validator("positive_pattern")(compiled)

    @model_validator(mode="after")
    def _one_label(self) -> ClipMaterial:
        if self.label is not None and self.positive_pattern is not None:
            raise ValueError("label and positive_pattern: give one of them")
        return self


class ClipSplits(Fractions):
    """Which videos go where; no video is ever in two splits, unless `rule` is `shuffled`.

    `shuffled` is the split of the reference exercise (pipeline/embedding_parity.py): clips of one
    JSON file are shuffled, a quarter of them becomes `validation`, and nothing is left to test on.
    """

    rule: Literal["video", "shuffled"] = "video"
    test_pattern: str | None = Field(
        None, description="videos whose id has this regular expression are test, all others not"
    )

    _compiles = field_validator("test_pattern")(compiled)

    @model_validator(mode="after")
    def _one_rule(self) -> ClipSplits:
        if self.rule == "shuffled" and (self.keep or self.test_pattern):
            raise ValueError("rule shuffled looks at no video: leave out keep and test_pattern")
        if self.test_pattern is not None and self.train + self.validation == 0:
            raise ValueError("test_pattern leaves nothing to train on: train and validation are 0")
        return self


class ClipData(Section):
    """Where clips come from and where their shards go."""

    material: tuple[ClipMaterial, ...] = Field(min_length=1)
    label_field: str = Field("is_turkey", description="of JSON records: the key that holds 0 or 1")
    positive_labels: tuple[int, ...] = Field(
        (), description="of TFRecords: AudioSet's numbers of the sound"
    )
    frame_s: float = Field(1.0, gt=0.1, le=10, description="of sound: what a frame stands for")
    hop_s: float = Field(0.5, gt=0.05, le=10, description="of sound: between frames")
    splits: ClipSplits = ClipSplits()
    out: str = "data"
    shard_bytes: int = Field(64 * 2**20, ge=1, le=2**40)

    _size = field_validator("shard_bytes", mode="before")(parse_bytes)


class ClipModel(Section):
    """The classifier; with its defaults as large as the reference's."""

    family: Literal["clip_birnn", "clip_attention"] = "clip_attention"
    units: int = Field(128, ge=1, le=4096, description="of the GRU, in each direction")
    num_frames: int = Field(10, ge=1, le=1000, description="longer clips lose their end")
    bias: Literal["step", "relative", "none"] = Field(
        "step",
        description="of the attention: one a step, or one a tenth of the clip, or none; the last "
        "two fit clips of any length",
    )
    normalisation: Literal["fitted", "batch"] = Field(
        "fitted", description="by the training data, or by batches, as in the reference"
    )
    padding: Literal["behind", "reference"] = Field(
        "behind", description="reference: in front, cast to integers and not masked"
    )


class ClipTraining(Fitting):
    """How a classifier is fitted: the reference's settings, on numbers that exist."""

    epochs: int = Field(16, ge=1)
    batch_size: int = Field(512, ge=1)
    optimizer: Literal["adamw", "adam", "nadam"] = "nadam"
    learning_rate: float = Field(1e-3, gt=0)
    schedule: Literal["warm_up_cosine", "inverse_time", "constant"] = "constant"
    plateau: Plateau | None = Plateau()
    beta_2: float = Field(0.999, gt=0, lt=1)
    clip_norm: float | None = None
    early_stopping_epochs: int = Field(20, ge=1)
    monitor: Literal["loss", "accuracy", "average_precision"] = Field(
        "loss", description="what plateau, early stopping and the choice of weights look at"
    )
    positive_weight: float | Literal["balanced"] = Field(
        1.0, description="of a clip with the sound; balanced: as much as all others together"
    )

    @field_validator("positive_weight")
    @classmethod
    def _positive(cls, weight: float | str) -> float | str:
        if not isinstance(weight, str) and not weight > 0:
            raise ValueError(f"must be above 0 or `balanced`, got {weight:g}")
        return weight


class EmbeddingsRecipe(TaskRecipe):
    """A whole recipe of the task."""

    task: Literal["embeddings"]
    data: ClipData
    model: ClipModel = ClipModel()
    training: ClipTraining = ClipTraining()

    def content(self) -> dict[str, Any]:
        """Return what decides the records, the files themselves aside."""
        return {"data": self.data.model_dump(mode="json", exclude={"out"})}

    @model_validator(mode="after")
    def _belong_together(self) -> EmbeddingsRecipe:
        if self.model.family == "clip_birnn" and self.model.bias != "step":
            raise ValueError("model.bias is the attention's; clip_birnn has none")
        return self
