"""The recipe of the task `commands`: which of a few words a short clip holds."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from schemas.recipe import Fractions
from schemas.recipe_section import Section, ordered, with_a_group
from schemas.recipe_task import TaskRecipe
from schemas.recipe_training import Fitting
from schemas.units import parse_bytes, seconds_to_samples

Range = Annotated[tuple[float, float], AfterValidator(ordered)]


class LabelledClips(Section):
    """A folder of clips, each of one class."""

    path: str = Field(min_length=1, description="searched recursively; relative to the recipe")
    test_path: str | None = Field(
        None, description="another such folder, for the test alone; its speakers train nothing"
    )
    label_pattern: str | None = Field(
        None,
        description="regular expression on the path below the folder, group 1 is the class; "
        "null: the first folder's name",
    )
    speaker_pattern: str | None = Field(None, description="likewise; null: each file for itself")
    classes: tuple[str, ...] = Field((), description="only these; all that there are if empty")
    sample_rate_hz: int = Field(16000, ge=4000, le=192000, description="others are resampled")
    clip_s: float = Field(1.0, gt=0, le=60, description="cut or padded with zeros at the end")
    split_by: Literal["speaker", "reference"] = Field(
        "speaker", description="reference: batches dealt in turn, with no regard to speakers"
    )
    max_bytes: int = Field(4 * 2**30, ge=1, description="memory that all decoded clips may take")

    _size = field_validator("max_bytes", mode="before")(parse_bytes)
    _groups = field_validator("label_pattern", "speaker_pattern")(with_a_group)

    @property
    def clip_samples(self) -> int:
        """Length of every clip at the recipe's rate."""
        return seconds_to_samples(self.clip_s, self.sample_rate_hz)


class CommandFeatures(Section):
    """Magnitudes of a short-time Fourier transform; the defaults are the reference's."""

    frame_samples: int = Field(255, ge=8, le=2**15)
    step_samples: int = Field(128, ge=1, le=2**15)
    level: Literal["as_recorded", "loudest_frame"] = Field(
        "as_recorded", description="loudest_frame: relative to the RMS of the clip's loudest frame"
    )
    scale: Literal["magnitude", "log"] = Field("magnitude", description="log: ln(S + 0.001)")
    num_mels: int | None = Field(None, ge=4, le=256, description="bands; null: every frequency")
    low_hz: float = Field(80.0, ge=0, description="of the bands")
    high_hz: float = Field(7600.0, gt=0, description="of the bands")


class CommandCnn(Section):
    """Two convolutions and two dense layers on a small image of the spectrogram."""

    family: Literal["command_cnn"] = "command_cnn"
    image_size: int = Field(32, ge=8, le=512, description="rows and columns after resizing")
    filters: tuple[int, int] = (32, 64)
    units: int = Field(128, ge=1)
    dropout: tuple[float, float] = Field((0.25, 0.5), description="before each dense layer")

    @field_validator("dropout")
    @classmethod
    def _shares(cls, dropout: tuple[float, float]) -> tuple[float, float]:
        if not all(0 <= share < 1 for share in dropout):
            raise ValueError("each share of dropout must lie in [0, 1)")
        return dropout

    @field_validator("filters")
    @classmethod
    def _some(cls, filters: tuple[int, int]) -> tuple[int, int]:
        if min(filters) < 1:
            raise ValueError("each convolution needs a filter")
        return filters


class ClipAugmentation(Section):
    """What is drawn anew for each clip in each epoch; null or 0 leaves it out."""

    speed: Range | None = Field(None, description="factor on tempo and pitch together")
    shift_s: Range | None = Field(None, description="later by so much; zeros fill the gap")
    noise_snr_db: Range | None = Field(None, description="white noise below the clip's RMS")
    frequency_mask_bins: int = Field(0, ge=0, description="two bands of up to so many bins")
    time_mask_frames: int = Field(0, ge=0, description="one stretch of up to so many frames")

    @field_validator("speed")
    @classmethod
    def _forward(cls, speed: tuple[float, float] | None) -> tuple[float, float] | None:
        if speed is not None and not 0.25 <= speed[0] <= speed[1] <= 4.0:
            raise ValueError("speed must lie in 0.25 … 4")
        return speed


class CommandsFitting(Fitting):
    """As the reference fits, but for early stopping: the best weights are kept."""

    batch_size: int = Field(64, ge=1, description="over all devices and machines together")
    optimizer: Literal["adamw", "adam", "nadam"] = "adam"
    learning_rate: float = Field(1e-3, gt=0)
    schedule: Literal["warm_up_cosine", "inverse_time", "constant"] = "constant"
    beta_2: float = Field(0.999, gt=0, lt=1)
    clip_norm: float | None = Field(None, gt=0, description="of all gradients together")


class CommandsRecipe(TaskRecipe):
    """A recipe that says `task: commands`."""

    task: Literal["commands"]
    clips: LabelledClips
    splits: Fractions = Fractions()
    features: CommandFeatures = CommandFeatures()
    model: CommandCnn = CommandCnn()
    augmentation: ClipAugmentation = ClipAugmentation()
    training: CommandsFitting = CommandsFitting()

    @model_validator(mode="after")
    def _features_fit(self) -> CommandsRecipe:
        if self.clips.clip_samples < self.features.frame_samples:
            raise ValueError(
                f"clips of {self.clips.clip_samples} samples are shorter than a frame of "
                f"{self.features.frame_samples}"
            )
        low_hz, high_hz = self.features.low_hz, self.features.high_hz
        nyquist_hz = self.clips.sample_rate_hz / 2
        if self.features.num_mels is not None and not low_hz < high_hz <= nyquist_hz:
            raise ValueError(
                f"features.low_hz < high_hz <= {nyquist_hz:g} (half the sample rate) must hold, "
                f"got {low_hz:g} and {high_hz:g}"
            )
        return self
