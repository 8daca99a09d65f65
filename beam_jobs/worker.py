"""The local worker process: Beam's own, without its chatter.

Beam hands its local workers no log level, so they print a page each. Errors still reach the main
process through Beam's control channel.
"""

from __future__ import annotations

import logging
import sys

if __name__ == "__main__":
    logging.disable(logging.WARNING)
    from apache_beam.runners.worker import sdk_worker_main

    sdk_worker_main.main(sys.argv)
