"""Finds and removes the files of a dataset that are no longer needed.

Only files found in the dataset's own folder are removed, never a path taken from the warehouse.
"""

import fcntl
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from tasks.core.staging import RUNNING, SCRATCH, abandoned, remove, staging
from tasks.publishing.staged_night import FILE

DATE = r"\d{4}-\d{2}-\d{2}"
PAGES = {  # folder: kind, and the pattern of its file names
    "data-docs": ("Data Docs pages", re.compile(rf"{DATE}\.html")),
    "reports": ("reports", re.compile(rf"report-{DATE}_{DATE}\.(?:html|json)")),
}
KindOf = Callable[[Path], tuple[str | None, date]]
ARTIFACTS, ORPHANS, STAGED = (
    "artifacts and cards of versions",
    "orphaned artifacts and cards",
    "staging folders",
)


@dataclass(frozen=True)
class Registered:
    """The artifact folders and cards that the registry names, as absolute paths.

    live: of versions to keep. pruned: of pruned versions, to be removed.
    """

    live: frozenset[Path]
    pruned: frozenset[Path]


@dataclass(frozen=True)
class OldFile:
    """A file or folder to remove. since: the date of its last change (UTC). bytes: of all its content."""

    kind: str
    path: Path
    since: date
    bytes: int


def old_files(files: Path, registered: Registered, oldest: date) -> tuple[list[OldFile], list[str]]:
    """Returns what is older than `oldest` in a dataset's own folder, and sentences on what is old but must
    stay; changes nothing.
    """
    found: list[OldFile] = []
    left: list[str] = []
    for folder, kind_of in _folders(registered):
        if not is_own(files, files / folder):
            left.append(f"{files / folder} is a link; nothing in it is removed")
            continue
        for path in sorted((files / folder).iterdir()) if (files / folder).is_dir() else ():
            kind, since = kind_of(path)
            if kind is None or (since >= oldest and kind != ARTIFACTS):
                continue
            if why := _why_left(files, path):
                left.append(f"{path} {why}")
            else:
                found.append(OldFile(kind, path, since, _bytes(path)))
    return found, left


def remove_file(files: Path, old: OldFile) -> bool:
    """Removes a file or folder; returns False if by now it is in use, a link or a scored night."""
    if not is_own(files, old.path):
        return False
    if old.kind == STAGED:
        with abandoned(old.path) as free:
            if free and not (old.path / FILE).exists():
                remove(old.path)
                return True
        return False
    with suppress(FileNotFoundError):  # another prune removed it first
        shutil.rmtree(old.path) if old.path.is_dir() else old.path.unlink()
    return True


def _folders(registered: Registered) -> Iterator[tuple[str, KindOf]]:
    """Yields each folder to look in, with a function from an entry to its kind and the date of its last
    change; the kind is None if the entry is to be kept or not ours.
    """

    def staged(path: Path) -> tuple[str | None, date]:
        is_ours = path.name.startswith(SCRATCH) or re.fullmatch(DATE, path.name)
        return (STAGED, _changed(path)) if is_ours else (None, date.max)

    def versioned(path: Path) -> tuple[str | None, date]:
        if path in registered.live:
            return None, date.max
        return (ARTIFACTS if path in registered.pruned else ORPHANS), _changed(path)

    def pages(folder: str) -> KindOf:
        kind, pattern = PAGES[folder]

        def entry(path: Path) -> tuple[str | None, date]:
            # a name with a leading dot was left by a process that was killed while it wrote
            is_ours = path.name.startswith(".") or pattern.fullmatch(path.name)
            return (kind, _changed(path)) if is_ours else (None, date.max)

        return entry

    yield from (("staging", staged), ("models", versioned), ("cards", versioned))
    yield from ((folder, pages(folder)) for folder in PAGES)


def _why_left(files: Path, path: Path) -> str | None:
    """Returns why an old file or folder must stay, as the end of a sentence; None if it may be removed."""
    training = staging(files) / f"{SCRATCH}train-{path.stem}"
    if path.is_symlink():
        return "is a link; remove it by hand"
    if (path / FILE).exists():
        return "is a scored night that waits for its commit; `nightscore publish` commits it"
    if is_used(path) or is_used(training):
        return "is in use by a running process"
    return None


def is_used(folder: Path) -> bool:
    """Whether a running process has locked the folder; unlike `abandoned`, this creates no file in it."""
    try:
        with (folder / RUNNING).open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except (FileNotFoundError, NotADirectoryError):
        return False
    return False


def is_own(files: Path, path: Path) -> bool:
    """Whether the path is really below the dataset's folder, with no link on the way."""
    return path.resolve() == files.resolve() / path.relative_to(files)


def _changed(path: Path) -> date:
    return datetime.fromtimestamp(path.lstat().st_mtime, UTC).date()


def _bytes(path: Path) -> int:
    inside = (Path(root) / name for root, _, names in os.walk(path) for name in names)
    return sum(file.lstat().st_size for file in inside) if path.is_dir() else path.lstat().st_size
