"""One S3 client a process.

Beam 2.72 makes a boto3 client for each operation on S3: a quarter of a second of processor time
each, twice for every file of the material. The client itself may be shared between threads; what
Beam keeps beside it, the state of a download, may not, and stays each operation's own.
"""

from __future__ import annotations

import functools
import threading
from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions, S3Options


@functools.cache
def share() -> None:
    """Have Beam's S3 operations use one client for each set of options, from now on."""
    try:
        from apache_beam.io.aws.clients.s3 import boto3_client
    except ImportError:
        return  # without the extra `aws` Beam says so itself
    make = boto3_client.Client.__init__
    made: dict[str, Any] = {}
    lock = threading.Lock()

    def init(self: Any, options: PipelineOptions | dict[str, Any]) -> None:
        values = options
        if isinstance(options, PipelineOptions):
            values = options.view_as(S3Options).get_all_options(current_only=True)
        key = repr(sorted(values.items()))
        with lock:
            if key not in made:
                make(self, options)
                made[key] = self.client
        self.client = made[key]
        self._download_request = self._download_stream = None
        self._download_pos = 0

    boto3_client.Client.__init__ = init
