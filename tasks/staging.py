"""The run's own folder for what the steps write, gone when the run ends."""

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
