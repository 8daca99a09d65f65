"""A scene is a plan first: small, frozen, complete. Rendering obeys it and draws nothing.

A plan is a pure function of (recipe, bank digest, root seed, split, index). Positions are integer
samples; an event covers the half-open range [onset, onset + num_samples).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from schemas.canonical import canonical_json
from schemas.effects import AppliedEffect
from schemas.recipe import PLAN_VERSION, SPLITS, Recipe
from schemas.units import seconds_to_samples

LevelUnit = Literal["snr_db", "dbfs", "lufs", "gain_db"]
"""What an event's level means: see scene_renderer.py."""

BackgroundUnit = Literal["dbfs", "lufs"]


@dataclass(frozen=True, slots=True)
class SceneSpec:
    """The recipe's `scene` section with every length in samples."""

    sample_rate_hz: int
    num_samples: int
    min_gap_samples: int
    margin_samples: int
    tail_samples: int

    @classmethod
    def of(cls, recipe: Recipe) -> SceneSpec:
        """Convert the lengths of `recipe.scene`; the only place where that is done."""
        rate = recipe.sample_rate_hz
        return cls(
            sample_rate_hz=rate,
            num_samples=seconds_to_samples(recipe.scene.duration_s, rate),
            min_gap_samples=seconds_to_samples(recipe.scene.min_gap_s, rate),
            margin_samples=seconds_to_samples(recipe.scene.margin_s, rate),
            tail_samples=seconds_to_samples(recipe.scene.keyword_tail_s, rate),
        )


@dataclass(frozen=True, slots=True)
class BackgroundPiece:
    """A stretch of a clip that lies under [onset, onset + num_samples) of a scene.

    Attributes:
        source: clip id.
        offset_samples: where in the clip it begins.
        onset_samples, num_samples: where in the scene it lies.
        gain_db: on the clip as it is in the bank.
        fade_in_samples, fade_out_samples: √-shaped ramps, where pieces join with equal power.
    """

    source: str
    offset_samples: int
    onset_samples: int
    num_samples: int
    gain_db: float
    fade_in_samples: int = 0
    fade_out_samples: int = 0


@dataclass(frozen=True, slots=True)
class PlacedEvent:
    """One clip in a scene.

    Attributes:
        source: clip id.
        label, kind: as stored with the event.
        onset_samples, num_samples: where it lies; its length is that after its effects.
        level_db, level_unit: how loud: active level over the background under it (`snr_db`), active
            level (`dbfs`), loudness (`lufs`), or a gain on the clip as it is in the bank.
        effects: in the order in which they are applied.
        track: events of one track never overlap.
    """

    source: str
    label: str
    kind: str
    onset_samples: int
    num_samples: int
    level_db: float
    level_unit: LevelUnit = "snr_db"
    effects: tuple[AppliedEffect, ...] = ()
    track: int = 0

    @property
    def offset_samples(self) -> int:
        """First sample after the event."""
        return self.onset_samples + self.num_samples


@dataclass(frozen=True, slots=True)
class Overlay:
    """Levels of the classic exercise: clips as recorded over a turned-down background.

    Attributes:
        background_gain_db: on the background.
        final_dbfs: RMS of the finished scene.
    """

    background_gain_db: float
    final_dbfs: float


@dataclass(frozen=True, slots=True)
class ScenePlan:
    """All that is needed to render one example from a clip bank.

    Attributes:
        split, index: the address.
        sample_rate_hz, num_samples: of the scene.
        backgrounds: what lies under the scene; each layer is a chain of joined pieces.
        background_db, background_unit: level of the backgrounds together: the sum of their clips'
            active levels (`dbfs`), or their loudness in this very scene (`lufs`).
        events: sorted by onset; disjoint within a track.
        channel: effects on the whole scene.
        fade_samples: ramp at both ends of each event.
        overlay: mix by the classic exercise's rules instead.
    """

    split: str
    index: int
    sample_rate_hz: int
    num_samples: int
    backgrounds: tuple[BackgroundPiece, ...]
    background_db: float
    background_unit: BackgroundUnit
    events: tuple[PlacedEvent, ...]
    channel: tuple[AppliedEffect, ...] = ()
    fade_samples: int = 0
    overlay: Overlay | None = None

    def __post_init__(self) -> None:
        edges: dict[int, int] = {}
        onset = 0
        for event in self.events:
            if (
                event.onset_samples < onset
                or event.onset_samples < edges.get(event.track, 0)
                or event.num_samples < 1
                or event.offset_samples > self.num_samples
            ):
                raise ValueError(
                    "events must be sorted, disjoint within a track and inside the scene; "
                    f"{event.source!r} covers [{event.onset_samples}, {event.offset_samples}) of "
                    f"track {event.track}, the scene has {self.num_samples}"
                )
            onset = event.onset_samples
            edges[event.track] = event.offset_samples

    @property
    def example_id(self) -> str:
        """The address that `wakebeam regenerate` takes: `split/000000123`."""
        return example_id(self.split, self.index)

    def without_events(self) -> ScenePlan:
        """Return the plan of what lies under the events."""
        return replace(self, events=())

    def to_json(self) -> bytes:
        """Return the canonical JSON of the plan."""
        value: dict[str, Any] = {
            "version": PLAN_VERSION,
            "split": self.split,
            "index": self.index,
            "sample_rate_hz": self.sample_rate_hz,
            "num_samples": self.num_samples,
            "fade_samples": self.fade_samples,
            "background_db": self.background_db,
            "background_unit": self.background_unit,
            "backgrounds": [
                {
                    "source": piece.source,
                    "offset_samples": piece.offset_samples,
                    "onset_samples": piece.onset_samples,
                    "num_samples": piece.num_samples,
                    "gain_db": piece.gain_db,
                    "fade_in_samples": piece.fade_in_samples,
                    "fade_out_samples": piece.fade_out_samples,
                }
                for piece in self.backgrounds
            ],
            "events": [
                {
                    "source": e.source,
                    "label": e.label,
                    "kind": e.kind,
                    "onset_samples": e.onset_samples,
                    "num_samples": e.num_samples,
                    "level_db": e.level_db,
                    "level_unit": e.level_unit,
                    "effects": [effect.to_json() for effect in e.effects],
                    "track": e.track,
                }
                for e in self.events
            ],
            "channel": [effect.to_json() for effect in self.channel],
            "overlay": self.overlay
            and {
                "background_gain_db": self.overlay.background_gain_db,
                "final_dbfs": self.overlay.final_dbfs,
            },
        }
        return canonical_json(value)

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
            backgrounds=tuple(BackgroundPiece(**piece) for piece in value["backgrounds"]),
            background_db=value["background_db"],
            background_unit=value["background_unit"],
            events=tuple(
                PlacedEvent(**(event | {"effects": _effects(event["effects"])}))
                for event in value["events"]
            ),
            channel=_effects(value["channel"]),
            fade_samples=value["fade_samples"],
            overlay=Overlay(**value["overlay"]) if value["overlay"] else None,
        )


def _effects(rows: list[list[object]]) -> tuple[AppliedEffect, ...]:
    return tuple(AppliedEffect.from_json(row) for row in rows)


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
