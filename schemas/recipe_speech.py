"""The recipe's `speech`: takes that are spoken by a machine before anything else is done."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from schemas.recipe_section import Section

SPOKEN_PATTERN = r"__([^/]+?)__r\d+__p\d+"
"""The voice in the name of a spoken take: its speaker."""

PLACEHOLDERS = ("text", "voice", "rate_wpm", "pitch", "wav")
Word = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f]+$")]
Name = Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[^\x00-\x1f]+$")]


class Speech(Section):
    """Phrases, and who says them how often.

    Without `command` espeak-ng speaks. With it, the command is run once a take, without a shell:
    `{text}`, `{voice}`, `{rate_wpm}`, `{pitch}` and `{wav}` (the file to write) stand for what
    differs; without `{text}` the phrase comes on standard input.
    """

    phrases: tuple[Word, ...] = Field(min_length=1)
    out: str = Field(min_length=1, description="folder; each phrase gets a folder in it")
    takes: int = Field(100, ge=1, le=100_000, description="of each phrase")
    near_misses: int = Field(
        0, ge=0, le=10_000, description="speak so many phrases that each is mistaken for, instead"
    )
    languages: tuple[Name, ...] = Field(("en",), min_length=1, description="of espeak-ng")
    command: tuple[Word, ...] | None = Field(None, description="another engine")
    voices: tuple[Name, ...] = Field((), description="of that engine")

    @field_validator("command")
    @classmethod
    def _placeholders(cls, command: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if command is None:
            return None
        used = set(re.findall(r"\{(\w*)\}", " ".join(command)))
        for name in sorted(used - set(PLACEHOLDERS)):
            raise ValueError(f"{{{name}}} is not known; there are {', '.join(PLACEHOLDERS)}")
        if "wav" not in used:
            raise ValueError("needs {wav}, the file that the engine shall write")
        return command

    @model_validator(mode="after")
    def _belong_together(self) -> Speech:
        if self.near_misses and self.languages != ("en",):
            raise ValueError("near misses are made from English phonemes: leave out languages")
        if self.command is None:
            if self.voices:
                raise ValueError("voices goes with command; espeak-ng's are chosen by languages")
            return self
        if not self.voices or len(set(self.voices)) < len(self.voices):
            raise ValueError("command needs voices, each once: names that stand for {voice}")
        if self.near_misses:
            raise ValueError("near misses are spelt in espeak-ng's phonemes: leave out command")
        return self
