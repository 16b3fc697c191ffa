"""A lock on a file, which the system releases when the process ends, even if it is killed."""

import fcntl
from pathlib import Path
from typing import IO


def locked(path: Path) -> IO[str] | None:
    """Returns the file, open for reading and appending, and locked until it is closed; creates it if needed.

    Returns None if it is locked already, by another process or by this one. Raises FileNotFoundError if its
    folder is missing.
    """
    # filelock hides the locked file, in which each holder writes who it is, and raises instead of returning.
    file = path.open("a+", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file
