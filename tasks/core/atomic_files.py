"""Files that are replaced atomically: a reader finds the earlier file or the complete new one, even if the
writer is killed.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`, whose file replaces `path` if the block succeeds.

    Several writers may do so at the same time; the last one wins.
    """
    staged = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        yield staged
        staged.replace(path)
    finally:
        staged.unlink(missing_ok=True)


def write_atomically(path: Path, text: str) -> None:
    """Writes a text file atomically, and creates its folder if it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as staged:
        staged.write_text(text, encoding="utf-8")
