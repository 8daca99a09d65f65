"""A scene is a plan first: small, frozen, complete. Rendering obeys it and draws nothing.

A plan is a pure function of (recipe, bank digest, root seed, split, index). Positions are integer
samples; an event covers the half-open range [onset, onset + num_samples).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from schemas.canonical import canonical_json
from schemas.recipe import SPLITS, Recipe
from schemas.units import seconds_to_samples

PLAN_VERSION = 1


@dataclass(frozen=True, slots=True)
class SceneSpec:
    """The recipe's `scene` section with every length in samples."""

    sample_rate_hz: int
    num_samples: int
    min_gap_samples: int
    margin_samples: int

    @classmethod
    def of(cls, recipe: Recipe) -> SceneSpec:
        """Convert the lengths of `recipe.scene`; the only place where that is done."""
        rate = recipe.sample_rate_hz
        return cls(
            sample_rate_hz=rate,
            num_samples=seconds_to_samples(recipe.scene.duration_s, rate),
            min_gap_samples=seconds_to_samples(recipe.scene.min_gap_s, rate),
            margin_samples=seconds_to_samples(recipe.scene.margin_s, rate),
        )


@dataclass(frozen=True, slots=True)
class BackgroundWindow:
    """A background that starts `offset_samples` into its clip, wrapping round at its end."""

    source: str
    offset_samples: int
    gain_db: float


@dataclass(frozen=True, slots=True)
class PlacedEvent:
    """One clip in a scene. `num_samples` is its length after `speed`."""

    source: str
    label: str
    kind: str
    onset_samples: int
    num_samples: int
    gain_db: float
    snr_db: float
    speed: float = 1.0

    @property
    def offset_samples(self) -> int:
        """First sample after the event."""
        return self.onset_samples + self.num_samples


@dataclass(frozen=True, slots=True)
class ScenePlan:
    """All that is needed to render one example from a clip bank.

    Attributes:
        split, index: the address.
        sample_rate_hz, num_samples: of the scene.
        backgrounds: what lies under the whole scene.
        events: sorted by onset, disjoint.
        headroom_db: gain ≤ 0 on the finished mix, so that nothing clips.
        fade_samples: ramp at both ends of each event.
        crossfade_samples: overlap where a background shorter than the scene wraps round.
    """

    split: str
    index: int
    sample_rate_hz: int
    num_samples: int
    backgrounds: tuple[BackgroundWindow, ...]
    events: tuple[PlacedEvent, ...]
    headroom_db: float = 0.0
    fade_samples: int = 0
    crossfade_samples: int = 0

    def __post_init__(self) -> None:
        edge = 0
        for event in self.events:
            if event.onset_samples < edge or event.num_samples < 1:
                raise ValueError(
                    f"events must be sorted and disjoint; {event.source!r} starts at "
                    f"{event.onset_samples}, the one before ends at {edge}"
                )
            edge = event.offset_samples
        if edge > self.num_samples:
            raise ValueError(f"an event ends at {edge}, after the scene ({self.num_samples})")

    @property
    def example_id(self) -> str:
        """The address that `wakebeam regenerate` takes: `split/000000123`."""
        return example_id(self.split, self.index)

    def to_json(self) -> bytes:
        """Return the canonical JSON of the plan."""
        return canonical_json(
            {
                "version": PLAN_VERSION,
                "split": self.split,
                "index": self.index,
                "sample_rate_hz": self.sample_rate_hz,
                "num_samples": self.num_samples,
                "headroom_db": self.headroom_db,
                "fade_samples": self.fade_samples,
                "crossfade_samples": self.crossfade_samples,
                "backgrounds": [
                    {"source": b.source, "offset_samples": b.offset_samples, "gain_db": b.gain_db}
                    for b in self.backgrounds
                ],
                "events": [
                    {
                        "source": e.source,
                        "label": e.label,
                        "kind": e.kind,
                        "onset_samples": e.onset_samples,
                        "num_samples": e.num_samples,
                        "gain_db": e.gain_db,
                        "snr_db": e.snr_db,
                        "speed": e.speed,
                    }
                    for e in self.events
                ],
            }
        )

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> ScenePlan:
        """Rebuild a plan from parsed JSON.

        Raises:
            ValueError: the version is not known.
        """
        if value.get("version") != PLAN_VERSION:
            raise ValueError(
                f"plan version {value.get('version')!r}, this release knows {PLAN_VERSION}"
            )
        return cls(
            split=value["split"],
            index=value["index"],
            sample_rate_hz=value["sample_rate_hz"],
            num_samples=value["num_samples"],
            headroom_db=value["headroom_db"],
            fade_samples=value["fade_samples"],
            crossfade_samples=value["crossfade_samples"],
            backgrounds=tuple(BackgroundWindow(**b) for b in value["backgrounds"]),
            events=tuple(PlacedEvent(**e) for e in value["events"]),
        )


def example_id(split: str, index: int) -> str:
    """Return the address of an example, e.g. `train/000000123`."""
    return f"{split}/{index:09d}"


def parse_example_id(text: str) -> tuple[str, int]:
    """Split an address into (split, index).

    Raises:
        ValueError: not of the form `split/digits`.
    """
    split, _, number = text.partition("/")
    if split not in SPLITS or not (number.isascii() and number.isdigit()):
        raise ValueError(f"{text!r} is not an example id such as train/000000123")
    return split, int(number)
