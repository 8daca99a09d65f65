"""The recipe's `model`, `training` and `evaluation`."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from schemas.recipe_augmentation import Augmentation
from schemas.recipe_scene import NegativeKind
from schemas.recipe_section import Section

_CAUSAL = ("log_mel", "mfcc", "pcen", "linear")
Weight = Annotated[float, Field(gt=0)]


class StreamTcn(Section):
    """The default detector: a small convolutional front and dilated temporal blocks."""

    made_for: ClassVar[tuple[str, ...]] = _CAUSAL
    family: Literal["stream_tcn"] = "stream_tcn"
    channels: int = Field(96, ge=8, le=1024)
    num_blocks: int = Field(8, ge=1, le=32)
    dropout: float = Field(0.1, ge=0, lt=1)


class TriggerGru(Section):
    """The ten-second reference network (523,329 parameters with its defaults)."""

    made_for: ClassVar[tuple[str, ...]] = ("specgram",)
    family: Literal["trigger_gru"] = "trigger_gru"
    filters: int = Field(196, ge=1)
    units: int = Field(128, ge=1)
    dropout: float = Field(0.8, ge=0, lt=1)
    reset_after: bool = True


class BcResnet(Section):
    """Broadcasted residual learning, causal in time: few operations for its size."""

    made_for: ClassVar[tuple[str, ...]] = _CAUSAL
    family: Literal["bc_resnet"] = "bc_resnet"
    channels: int = Field(24, ge=8, le=96, multiple_of=2, description="of the narrowest stage")
    dropout: float = Field(0.1, ge=0, lt=1)


class Crnn(Section):
    """A convolutional front and gated recurrent layers, which remember without limit."""

    made_for: ClassVar[tuple[str, ...]] = _CAUSAL
    family: Literal["crnn"] = "crnn"
    filters: int = Field(32, ge=4, le=256)
    units: int = Field(64, ge=4, le=512)
    num_layers: int = Field(1, ge=1, le=4)
    dropout: float = Field(0.1, ge=0, lt=1)


class SedCrnn(Section):
    """For sounds that overlap: more frequency before the recurrent layer than `crnn` has."""

    made_for: ClassVar[tuple[str, ...]] = _CAUSAL
    family: Literal["sed_crnn"] = "sed_crnn"
    filters: int = Field(24, ge=4, le=256, description="of the first convolution; then twice")
    units: int = Field(64, ge=4, le=512)
    num_layers: int = Field(1, ge=1, le=4)
    dropout: float = Field(0.2, ge=0, lt=1)


Model = Annotated[StreamTcn | TriggerGru | BcResnet | Crnn | SedCrnn, Field(discriminator="family")]
"""A recipe's `model`, by its `family`."""


class LabelWindow(Section):
    """Which output steps are taught to fire, relative to the end of a keyword.

    Steps from `ignore_fraction` of the way through the keyword until `ignore_after_s` after its
    end that are not positive have weight 0: firing there is neither right nor wrong.
    """

    rule: Literal["window", "event", "exercise"] = Field(
        "window",
        description="window: from start_s to end_s; event: all of the keyword; exercise: fifty "
        "steps after the end, on the classic exercise's clock",
    )
    start_s: float = -0.05
    end_s: float = 0.25
    delay_s: float = Field(
        0.0, ge=0, le=10, description="event: a step answers for what was heard so long ago"
    )
    ignore_fraction: float = Field(0.45, ge=0, le=1)
    ignore_after_s: float = Field(0.5, ge=0)

    @model_validator(mode="after")
    def _not_empty(self) -> LabelWindow:
        if self.start_s >= self.end_s:
            raise ValueError("end_s must be after start_s")
        if self.delay_s and self.rule != "event":
            raise ValueError(f"delay_s goes with the rule event, not {self.rule}")
        return self


class Plateau(Section):
    """Lower the learning rate where the judged cost hasn't fallen for some epochs."""

    factor: float = Field(0.1, gt=0, lt=1)
    patience: int = Field(2, ge=1, description="epochs")
    floor: float = Field(1e-8, ge=0, description="learning rate")


class Fitting(Section):
    """How any network is fitted: what all tasks have in common."""

    epochs: int = Field(10, ge=1)
    batch_size: int = Field(16, ge=1, description="over all devices and machines together")
    optimizer: Literal["adamw", "adam", "nadam"] = "adamw"
    learning_rate: float = Field(3e-3, gt=0)
    schedule: Literal["warm_up_cosine", "inverse_time", "constant"] = "warm_up_cosine"
    decay: float = Field(0.0, ge=0, description="inverse_time: rate / (1 + decay · step)")
    plateau: Plateau | None = None
    beta_2: float = Field(0.98, gt=0, lt=1)
    weight_decay: float = Field(1e-3, ge=0, description="adamw only")
    clip_norm: float | None = Field(5.0, gt=0, description="of all gradients together")
    init_from: str | None = Field(
        None, description="a trained model's folder, .keras or .h5 to start from, not from chance"
    )
    freeze: tuple[Literal["batch_normalization", "convolution", "recurrent"], ...] = Field(
        (), description="kinds of layers that stay as they are"
    )
    early_stopping_epochs: int = Field(4, ge=1)
    checkpoint_steps: int = Field(500, ge=1, description="between checkpoints within an epoch")
    strategy: Literal["auto", "one", "mirrored", "multiworker"] = "auto"
    mixed_precision: bool = Field(False, description="float16 on a GPU, bfloat16 elsewhere")
    deterministic: bool = Field(
        True, description="False: batches come as they are ready, a little faster, in any order"
    )
    data_service: str | None = Field(
        None,
        pattern=r"^grpc://.+:\d+$",
        description="a tf.data service that makes the batches; their order isn't the seed's then",
    )


class Training(Fitting):
    """How a detector is fitted."""

    positive_weight: float = Field(4.0, gt=0)
    class_weights: dict[str, Weight] = Field(
        {}, description="by label: factor of a positive step's weight"
    )
    event_weights: dict[NegativeKind, Weight] = Field(
        {}, description="by kind of event: weight of the steps that it could fool, else 1"
    )
    shuffle_examples: int = Field(64, ge=1, description="held in memory to be mixed")
    label_window: LabelWindow = LabelWindow()
    cache: str | None = Field(
        None,
        description="folder for decoded copies of the shards, on a disk near by: worth it for "
        "FLAC and for shards in a store",
    )
    loss: Literal["cross_entropy", "focal", "max_pool"] = Field(
        "cross_entropy",
        description="focal: less weight for steps that are right anyway; max_pool: of the steps "
        "of a keyword only the highest counts",
    )
    focal_gamma: float = Field(2.0, ge=0, le=10, description="focal only")
    augmentation: Augmentation = Augmentation()


class Evaluation(Section):
    """How detections of keywords are counted."""

    measure: Literal["keywords"] = "keywords"
    debounce_s: float = Field(1.0, ge=0)
    hit_window_s: float = Field(1.0, ge=0)
    patience: int = Field(
        1, ge=1, le=1000, description="consecutive output steps over the threshold that fire"
    )
    max_false_accepts_per_hour: float = Field(0.5, ge=0)

    def rule(self) -> dict[str, Any]:
        """Return what models/event_matching.py counts by."""
        return self.model_dump(include={"debounce_s", "hit_window_s", "patience"})


class Collars(Section):
    """How far an event's ends may lie from the reference's: those of sed_eval."""

    onset_s: float = Field(0.2, gt=0)
    offset_s: float = Field(0.2, gt=0)
    offset_share: float = Field(
        0.5, ge=0, le=1, description="of the reference's length, where that is more"
    )


class Psds(Section):
    """Parameters of the polyphonic sound detection score; defaults are DCASE's second scenario."""

    dtc: float = Field(0.1, ge=0, le=1, description="share of a detection that must be its class")
    gtc: float = Field(0.1, ge=0, le=1, description="share of an event that must be detected")
    cttc: float = Field(0.3, ge=0, le=1, description="share of another class in a cross-trigger")
    alpha_ct: float = Field(0.5, ge=0, le=1, description="cost of cross-triggers")
    alpha_st: float = Field(1.0, ge=0, description="cost of differences between classes")
    e_max: float = Field(100.0, gt=0, description="false positives per hour")


class SoundEvents(Section):
    """How events with an onset and an offset are found and counted."""

    measure: Literal["sound_events"] = "sound_events"
    medians_s: tuple[Annotated[float, Field(ge=0, le=10)], ...] = Field(
        (0.2, 0.6, 1.4),
        min_length=1,
        description="lengths of median filter; validation chooses one for each class",
    )
    min_duration_s: float = Field(0.2, ge=0, le=60, description="of an event")
    collars: Collars = Collars()
    psds: Psds = Psds()


def _measure(value: Any) -> str:
    found = value.get("measure") if isinstance(value, dict) else getattr(value, "measure", None)
    return str(found or "keywords")


Judging = Annotated[
    Annotated[Evaluation, Tag("keywords")] | Annotated[SoundEvents, Tag("sound_events")],
    Discriminator(_measure),
]
"""A recipe's `evaluation`, by its `measure`; keywords where it has none."""
