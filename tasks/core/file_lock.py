"""A lock on a file that ends with the process that has it, however that ends."""

import fcntl
from pathlib import Path
from typing import IO


def locked(path: Path) -> IO[str] | None:
    """The file, made where it is missing, open for reading and appending, and locked until it is closed.

    None where another process, or another part of this one, has it. Raises FileNotFoundError where its folder
    is missing.
    """
    file = path.open("a+", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file
