"""Progress of a job that other processes do: looked up now and then, where its files appear."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

from beam_jobs.files import is_uri

Progress = Callable[[int, int], None]
_LOOK_S = 0.5
_LOOK_AT_STORE_S = 5.0  # a listing there takes time, and may be paid for


@contextlib.contextmanager
def watched(
    progress: Progress | None, total: int, folder: str, num_done: Callable[[], int]
) -> Iterator[None]:
    """Call `progress` with (`num_done()`, `total`) from a thread, until the block ends.

    `num_done` looks into `folder`, a folder or a URI.
    """
    pause_s = _LOOK_AT_STORE_S if is_uri(folder) else _LOOK_S
    if progress is None:
        yield
        return
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(pause_s):
            with contextlib.suppress(Exception):  # a store that doesn't answer stops no job
                progress(min(num_done(), total), total)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
