"""Progress of a job that other processes do: looked up about twice a second."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

Progress = Callable[[int, int], None]
_LOOK_S = 0.5


@contextlib.contextmanager
def watched(progress: Progress | None, total: int, num_done: Callable[[], int]) -> Iterator[None]:
    """Call `progress` with (`num_done()`, `total`) from a thread, until the block ends."""
    if progress is None:
        yield
        return
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(_LOOK_S):
            with contextlib.suppress(Exception):  # a store that doesn't answer stops no job
                progress(min(num_done(), total), total)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
