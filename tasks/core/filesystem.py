"""Filesystems, local or by the protocol of a path, such as s3://; credentials and endpoint come from the
environment.
"""

import glob
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem


def exact_pattern(path: str) -> str:
    """Returns the pattern that means this one file or folder: DuckDB and fsspec take every path for a
    pattern, and part[1].parquet would match part1.parquet.
    """
    return glob.escape(path)


def is_remote(path: str) -> bool:
    """Whether a path has a protocol, such as s3://."""
    return "://" in path


def is_file(path: str) -> bool:
    """Whether a path that was listed is a file: a folder cannot be read, and a pipe is waited for forever.
    What a remote store lists are files.
    """
    return is_remote(path) or Path(path).is_file()


def filesystem_of(path: str) -> "AbstractFileSystem":
    """Returns the filesystem of a path."""
    import fsspec  # not needed to read a warehouse

    # An endpoint that does not answer fails within seconds. s3fs retries by itself, so botocore must not.
    timeouts = {"connect_timeout": 5, "read_timeout": 30, "retries": {"max_attempts": 0}}
    return fsspec.core.url_to_fs(path, **({"config_kwargs": timeouts} if path.startswith("s3://") else {}))[0]
