"""S3 for the tests: moto's server, in this process."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import s3fs
from moto.moto_api._internal.models import moto_api_backend
from moto.server import ThreadedMotoServer

SECRET = "not-to-be-seen-anywhere"


@contextmanager
def s3_server() -> Iterator[s3fs.S3FileSystem]:
    """A server without buckets; credentials and endpoint are in the environment and nowhere else."""
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    moto_api_backend.reset()  # servers of one process share their buckets
    with pytest.MonkeyPatch.context() as environment:
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3"):
            environment.delenv(name, raising=False)
        environment.setenv("AWS_ACCESS_KEY_ID", "somebody")
        environment.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
        environment.setenv("AWS_ENDPOINT_URL", "http://{}:{}".format(*server.get_host_and_port()))
        s3fs.S3FileSystem.clear_instance_cache()
        yield s3fs.S3FileSystem()
    server.stop()
    s3fs.S3FileSystem.clear_instance_cache()
