"""Files wherever they are: local, or by the protocol of their path, such as s3://; credentials and endpoint
come from the environment.
"""

import fsspec


def is_remote(path: str) -> bool:
    """Whether a path names a protocol."""
    return "://" in path


def filesystem_of(path: str) -> fsspec.AbstractFileSystem:
    """The filesystem that a path belongs to."""
    # A place that does not answer is said in seconds: s3fs tries again by itself, so that botocore below it
    # need not.
    patience = {"connect_timeout": 5, "read_timeout": 30, "retries": {"max_attempts": 0}}
    return fsspec.core.url_to_fs(path, **({"config_kwargs": patience} if path.startswith("s3://") else {}))[0]
