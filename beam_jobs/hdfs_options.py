"""HDFS: what Beam's client wants to know, from the environment where no option says it.

Addresses are whole, `hdfs://NAMENODE/path`, as Hadoop and TensorFlow read them. Beam talks to the
name node's web service (WebHDFS), whose host and port are said apart.
"""

from __future__ import annotations

import getpass
import importlib.util
import os

from apache_beam.options.pipeline_options import HadoopFileSystemOptions, PipelineOptions

from schemas.errors import RequestError

WEB_SERVICE = "WAKEBEAM_WEBHDFS"
USER = "HADOOP_USER_NAME"  # Hadoop's own programs read it too
_EXAMPLE = "HOST:PORT of the name node's web service, such as nn1:9870"


def complete(options: PipelineOptions) -> PipelineOptions:
    """Add to options, which are changed and returned, what the environment says of HDFS.

    Raises:
        RequestError: what it says is no address.
    """
    hdfs = options.view_as(HadoopFileSystemOptions)
    hdfs.hdfs_full_urls = True
    address = os.environ.get(WEB_SERVICE, "")
    if address and hdfs.hdfs_host is None:
        hdfs.hdfs_host, _, hdfs.hdfs_port = address.rpartition(":")
        if not (hdfs.hdfs_host and hdfs.hdfs_port.isdecimal()):
            raise RequestError(f"{WEB_SERVICE} is {address!r}", expected=_EXAMPLE)
    if hdfs.hdfs_host is not None and hdfs.hdfs_user is None:
        hdfs.hdfs_user = os.environ.get(USER) or getpass.getuser()
    return options


def require_known(path: str, options: PipelineOptions) -> None:
    """Refuse a path that Beam's client can't reach.

    Args:
        path: `hdfs://…`.
        options: of this process or of the job that it works for.

    Raises:
        RequestError: the client isn't installed, or nothing says where the web service is.
    """
    if importlib.util.find_spec("hdfs") is None:
        raise RequestError(
            f"{path} lies in HDFS, whose client isn't installed",
            fix="pip install 'wakebeam[hdfs]'",
        )
    if options.view_as(HadoopFileSystemOptions).hdfs_host is None:
        raise RequestError(
            f"{path} lies in HDFS, and nothing says where that is",
            expected=f"{WEB_SERVICE} in the environment: {_EXAMPLE}",
        )
