"""Local worker processes that are watched: one that dies fails the job, whenever it dies.

Beam's own handler of subprocesses notices a dead worker by its broken connection only. One that is
killed before it has connected leaves the job waiting for ever, so here a thread waits for the
process itself, and tells the runner. Nor does Beam tell a worker that connects only after its job
has failed that there is nothing to do; here it does. The internals used are those of Beam 2.72,
which is pinned; `scripts/chaos` and tests kill workers at any moment.

Beam starts its workers through a shell with an unquoted path to Python. Ours is quoted, so that a
folder with spaces works, and replaces the shell, so that a signal to it reaches the worker.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
import threading

from apache_beam.runners.portability.fn_api_runner.worker_handlers import (
    BeamFnControlServicer,
    SubprocessSdkWorkerHandler,
    WorkerHandler,
)
from apache_beam.transforms.environments import SubprocessSDKEnvironment

_URN = "wakebeam:env:watched_subprocess:v1"
_AGAIN_S = 0.2


class WatchedSubprocesses(SubprocessSDKEnvironment):
    """The environment that asks for workers of this kind."""

    def to_runner_api_parameter(self, context: object) -> tuple[str, bytes]:
        """Return the handler's name and the command that it runs."""
        _, command = super().to_runner_api_parameter(context)
        return _URN, command


def watched_subprocesses() -> WatchedSubprocesses:
    """Return the environment with our own quiet worker (worker.py) in it."""
    command = f"exec {shlex.quote(sys.executable)} -m beam_jobs.worker {os.getpid()}"
    return WatchedSubprocesses.from_command_string(command)


@WorkerHandler.register_environment(_URN, bytes)
class _WatchedHandler(SubprocessSdkWorkerHandler):
    def start_worker(self) -> None:
        self._stopping = threading.Event()
        super().start_worker()
        threading.Thread(target=self._watch, daemon=True).start()

    def stop_worker(self) -> None:
        self._stopping.set()
        super().stop_worker()

    def close(self) -> None:
        self._stopping.set()
        self.control_conn.push(BeamFnControlServicer._DONE_MARKER)  # for one that connects later
        super().close()

    def _watch(self) -> None:
        self.worker_thread.join()
        error = RuntimeError("a worker process ended before its work did")
        while not self._stopping.wait(_AGAIN_S):  # again: requests may be sent to it still
            with contextlib.suppress(RuntimeError):  # one was sent in that moment: it is next
                self.control_conn.abort(error)
            self.data_conn.close()
