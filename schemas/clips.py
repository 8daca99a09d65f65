"""Clips: what the bank knows of each recording, without its samples."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from schemas.errors import MaterialError

Role = Literal["keyword", "negative", "background", "room"]
ROLES: tuple[Role, ...] = ("keyword", "negative", "background", "room")


@dataclass(frozen=True, slots=True)
class Clip:
    """One usable recording in a clip bank.

    Attributes:
        clip_id: unique, printable and stable: `role/folder/relative path`.
        role: which list of the recipe it came from.
        kind: `keyword`, `near_miss`, `speech`, `hard`, `ambient`, `background` or `room`.
        label: the class stored with its events.
        group: speaker or source; one group never reaches two splits.
        licence: as the recipe gives it, or None.
        pack: name of the pack that holds it.
        first_sample: where it starts in the pack.
        num_samples: its length at the bank's rate.
        level_dbfs: RMS over its active frames, re int16 full scale.
        peak: largest absolute int16 value, 1 … 32768.
        content_sha256: of the file that it came from.
        shared: heard in all splits, because the recipe says so.
    """

    clip_id: str
    role: Role
    kind: str
    label: str
    group: str
    licence: str | None
    pack: str
    first_sample: int
    num_samples: int
    level_dbfs: float
    peak: int
    content_sha256: str
    shared: bool = False

    def __post_init__(self) -> None:
        if self.role not in ROLES or self.num_samples < 1 or self.first_sample < 0:
            raise MaterialError(
                f"clip {self.clip_id!r} has role {self.role!r} and samples "
                f"{self.first_sample} … +{self.num_samples}",
                expected=f"one of {', '.join(ROLES)} and a positive length",
                fix="rebuild the clip bank",
            )

    @property
    def folder(self) -> str:
        """Name of the recipe's folder that it came from."""
        return self.clip_id.split("/")[1]

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Reject:
    """A file that can't be used, and why."""

    path: str
    reason: str

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return asdict(self)
