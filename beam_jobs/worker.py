"""The local worker process: Beam's own, without its chatter, and never without its job.

Beam hands its local workers no log level, so they print a page each. Errors still reach the main
process through Beam's control channel. A worker whose job was killed ends with it; Beam's own would
go on with the shard that it has, beside the workers of the next job.

    python -m beam_jobs.worker PID_OF_THE_JOB
"""

from __future__ import annotations

import importlib.metadata
import logging
import os
import signal
import sys
import threading
import time
import warnings

_LOOK_S = 0.5


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_S)
    os._exit(1)


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"google\.")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process is told too, and we end with it
    threading.Thread(target=_end_with, args=(int(sys.argv.pop()),), daemon=True).start()
    # On an ageing Python Google's libraries look through all installed packages for the name to put
    # into that warning: 0.4 s.
    importlib.metadata.packages_distributions = dict  # type: ignore[assignment]
    from apache_beam.runners.worker import sdk_worker_main

    sdk_worker_main.main(sys.argv)
