"""A local S3 server, moto's, with an empty bucket."""

import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import s3fs
from moto.server import ThreadedMotoServer

BUCKET = "portrait-releases"


@contextmanager
def run_s3() -> Iterator[str]:
    """Run a server until the end of the block, and have this process and its children use it.

    Yields:
        the URL of a bucket in it.
    """
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it would log every request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_CONFIG_FILE", "/dev/null")
        patch.setenv("NO_PROXY", "127.0.0.1")
        bucket = f"{BUCKET}-{secrets.token_hex(4)}"  # the servers of a process share what they hold
        s3fs.S3FileSystem(skip_instance_cache=True).mkdir(bucket)
        try:
            yield f"s3://{bucket}"
        finally:
            server.stop()
