"""The run's own folder for what the steps write, gone when the run ends."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory


@contextmanager
def staging_folder(files: Path, day: date) -> Iterator[Path]:
    """A new folder below the dataset's own, removed with all that is in it."""
    parent = files / "staging"
    parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f"{day}-", dir=parent) as folder:
        yield Path(folder)


def keep(staged: Path, path: Path) -> Path:
    """Copies a staged file to where it stays, atomically, and gives that path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    shutil.copyfile(staged, temporary)
    return temporary.replace(path)
