"""The clip bank: all usable material as int16 packs and an index, named by its digest.

The material is decoded in parts (bank_part.py), each of which becomes one pack; `index.json`,
written last, has all clips with the pack that holds them. The digest covers settings and the
content of every clip, not where, when or in which parts it was built.

Opening a bank and planning from it reads the index only. A pack is mapped, and fetched first where
the bank lies on another machine, when samples of it are asked for; so a bank may be larger than
memory, and a shard touches only the clips that it needs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import numpy.typing as npt

from pipeline.activity import SETTINGS_VERSION
from schemas.canonical import digest
from schemas.clips import Clip, Reject
from schemas.errors import DatasetError

Pcm = npt.NDArray[np.int16]
BANK_VERSION = 5
INDEX_NAME, REJECTS_NAME = "index.json", "rejects.json"
_NOT_CONTENT = ("pack", "first_sample")
_CHUNK_BYTES = 1 << 22


@dataclass(frozen=True, slots=True)
class Pack:
    """What a pack must be: its size, and the CRC32C of its bytes, eight hex digits."""

    num_bytes: int
    crc32c: str


@dataclass(frozen=True)
class ClipBank:
    """A bank on disk.

    Attributes:
        directory: holds the index, and the packs or those that were needed so far.
        digest: SHA-256 of settings and content.
        sample_rate_hz: of all clips.
        clips: sorted by clip id.
        rejects: files that can't be used, with reasons.
        packs: by the name of a pack, what it must be.
        fetch: brings the pack of that name into `directory`; None: all are there.
        location: where others open it: folder or URI.
        checked: every pack is read through before it is used, as those that were fetched are.
    """

    directory: Path
    digest: str
    sample_rate_hz: int
    clips: tuple[Clip, ...]
    rejects: tuple[Reject, ...]
    packs: dict[str, Pack]
    fetch: Callable[[str], None] | None = field(default=None, compare=False)
    location: str = ""
    checked: bool = field(default=False, compare=False)

    @classmethod
    def open(
        cls, directory: Path, fetch: Callable[[str], None] | None = None, location: str = ""
    ) -> ClipBank:
        """Read a bank's index. Arguments as the attributes.

        Raises:
            DatasetError: not a bank, or a pack doesn't belong to the index.
        """
        try:
            index = json.loads((directory / INDEX_NAME).read_text(encoding="utf-8"))
            if index["version"] != BANK_VERSION:
                raise ValueError(f"version {index['version']} is not known")
            clips = tuple(Clip(**row) for row in index["clips"])
            rejects = tuple(Reject(**row) for row in read_json(directory / REJECTS_NAME, []))
            packs = {name: Pack(**row) for name, row in index["packs"].items()}
            for name, pack in packs.items():
                path = directory / name
                if (path.exists() or fetch is None) and path.stat().st_size != pack.num_bytes:
                    raise ValueError(f"{name} has another size than the index says")
            return cls(
                directory=directory,
                digest=index["digest"],
                sample_rate_hz=index["sample_rate_hz"],
                clips=clips,
                rejects=rejects,
                packs=packs,
                fetch=fetch,
                location=location or str(directory),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DatasetError(
                f"{directory} is not a clip bank that this release can read ({error})",
                fix="delete the folder and run the same command again",
            ) from error

    def clip(self, clip_id: str) -> Clip:
        """Return the clip of that id.

        Raises:
            DatasetError: it isn't in this bank.
        """
        try:
            return self._by_id[clip_id]
        except KeyError:
            raise DatasetError(
                f"clip {clip_id!r} is not in bank {self.digest[:16]}",
                fix="use the clip bank that the plan was made from",
            ) from None

    def samples(self, clip: Clip) -> Pcm:
        """Return (clip.num_samples,) int16, read-only, mapped from disk.

        Raises:
            DatasetError: its pack could not be fetched.
        """
        pack = self._samples.get(clip.pack)
        if pack is None:
            pack = self._samples[clip.pack] = self._mapped(clip.pack)
        return pack[clip.first_sample : clip.first_sample + clip.num_samples]

    @cached_property
    def _by_id(self) -> dict[str, Clip]:
        return {clip.clip_id: clip for clip in self.clips}

    @cached_property
    def _samples(self) -> dict[str, Pcm]:
        return {}

    def _mapped(self, name: str) -> Pcm:
        path = self.directory / name
        if self.fetch is not None and not path.exists():
            self.fetch(name)
        wanted = self.packs[name]
        # A copy is read through once: it may lie there since long, in a temporary folder.
        if path.stat().st_size != wanted.num_bytes or (
            (self.checked or self.fetch is not None) and crc32c_of(path) != wanted.crc32c
        ):
            raise DatasetError(
                f"{path} is not what the index says",
                fix="delete its folder and run the same command again",
            )
        return np.asarray(np.memmap(path, dtype="<i2", mode="r"))  # slices of a memmap cost more


def bank_index(
    clips: Sequence[Clip], hashes: Sequence[str], *, rate_hz: int, packs: dict[str, Pack]
) -> dict[str, Any]:
    """Return what `index.json` holds.

    Args:
        clips: of all packs.
        hashes: SHA-256 of each one's samples.
        rate_hz: of all clips.
        packs: by name.
    """
    order = sorted(range(len(clips)), key=lambda i: clips[i].clip_id)
    rows = [clips[i].to_json() for i in order]
    content = [{k: v for k, v in row.items() if k not in _NOT_CONTENT} for row in rows]
    ordered = [hashes[i] for i in order]
    return {
        "version": BANK_VERSION,
        "digest": digest([BANK_VERSION, SETTINGS_VERSION, rate_hz, content, ordered]),
        "sample_rate_hz": rate_hz,
        "packs": {name: asdict(pack) for name, pack in packs.items()},
        "clips": rows,
    }


def crc32c_of(path: Path) -> str:
    """Return the CRC32C of a file, eight hex digits."""
    crc = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            crc = google_crc32c.extend(crc, chunk)
    return f"{crc:08x}"


def read_json(path: Path, otherwise: Any) -> Any:
    """Return what a file of ours holds; `otherwise` if it is missing, damaged or not of a kind."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return otherwise
    return value if isinstance(value, type(otherwise)) else otherwise
