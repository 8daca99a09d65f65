"""The project's own errors: each says what was received, what was expected and what to do.

The command line prints `str(error)` as one paragraph and exits with `error.exit_code`:
1 where the work failed or fell short, 2 where the request was wrong.
"""

from __future__ import annotations


class WakebeamError(Exception):
    """Base of all errors that a user may see.

    Args:
        received: what was found, as a sentence without its full stop.
        expected: what would have been right (may be empty where `received` says it all).
        fix: what the user can do about it.
    """

    exit_code = 1

    def __init__(self, received: str, *, expected: str = "", fix: str = "") -> None:
        self.received = received
        self.expected = expected
        self.fix = fix
        super().__init__(received, expected, fix)

    def __str__(self) -> str:
        parts = [self.received]
        parts += [f"Expected: {self.expected}"] if self.expected else []
        parts += [f"To do: {self.fix}"] if self.fix else []
        return " ".join(part.rstrip(".") + "." for part in parts)


class RequestError(WakebeamError):
    """The request was wrong: nothing was done."""

    exit_code = 2


class RecipeError(RequestError):
    """A recipe can't be read, has an unknown key or a value out of range."""


class MaterialError(RequestError):
    """The recordings given can't make the scenes asked for."""


class AudioError(WakebeamError):
    """One recording can't be used; `received` is the reason that the reject list shows."""


class InfeasibleScene(RequestError):
    """Clips don't fit into a scene; raised before anything is drawn or read."""


class DatasetError(WakebeamError):
    """A data set is damaged, incomplete or made from something else."""


class TrainingError(WakebeamError):
    """Training can't start or went wrong."""


class ParityError(WakebeamError):
    """Two forms of one detector disagree."""
