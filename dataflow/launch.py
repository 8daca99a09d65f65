"""What the Flex Template's launcher runs: the job's own command line."""

from __future__ import annotations

from beam_jobs.synthesize import run

if __name__ == "__main__":
    run()
