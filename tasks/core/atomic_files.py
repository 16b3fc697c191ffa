"""Files that are there as a whole or not at all: a reader finds an earlier one or the whole new one,
whatever becomes of the writer.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Where to write what takes its place at `path` when the block ends well; several may do so at once, and
    the last one stays.
    """
    staged = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        yield staged
        staged.replace(path)
    finally:
        staged.unlink(missing_ok=True)


def write_atomically(path: Path, text: str) -> None:
    """Writes a text file in a folder that is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as staged:
        staged.write_text(text, encoding="utf-8")
