"""One at a time: a lock that the system takes back from a process that dies."""

from __future__ import annotations

import contextlib
import fcntl
import time
from collections.abc import Iterator
from pathlib import Path

from schemas.errors import WakebeamError

_PAUSES_S = (0.01, 0.05)


@contextlib.contextmanager
def held_alone(path: Path, refusal: WakebeamError | None) -> Iterator[None]:
    """Hold a lock on `path`, which is made; where a file system has no locks, nothing is held.

    Args:
        path: the lock's file. It stays; only a living process holds it.
        refusal: what to raise if another process has it; None: wait for it.
    """
    with path.open("w") as file:
        for pause_s in (*_PAUSES_S, None):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (fcntl.LOCK_NB if refusal else 0))
            except BlockingIOError as error:
                if pause_s is None:
                    raise (refusal or error) from error
                time.sleep(pause_s)  # who only looks (is_held) is gone by then
                continue
            except OSError:
                pass
            break
        yield


def is_held(path: Path) -> bool | None:
    """Whether a living process holds the lock on `path`; None where that can't be known."""
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    return False
