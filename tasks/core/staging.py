"""Folders of staged work. A lock gives each folder to one process, and ends with that process."""

import logging
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from socket import gethostname
from typing import IO

from tasks.core.errors import DiskFull, NightError, StillRunning, first_line, is_full
from tasks.core.file_lock import locked

log = logging.getLogger(__name__)
WAIT_HOURS = 12.0  # for another process that works on the same folder
RUNNING = "running"  # the file in each folder that its process locks
SCRATCH = "scratch-"


@contextmanager
def night_folder(files: Path, day: date, *, anew: bool = False, keep: bool = False) -> Iterator[Path]:
    """Yields the folder of a date, and waits while another process has it; raises StillRunning after
    WAIT_HOURS.

    The folder is removed when the block succeeds, unless `keep` is set and a step has left a result in it. If
    the block fails or its process is killed, computed results stay for the next run of the date, which starts
    from an empty folder if `anew` is set.
    """
    sweep(files)
    folder = staging(files) / str(day)
    with _exclusive(folder):
        if anew:
            empty(folder)
        try:
            yield folder
        except BaseException:
            if not any(folder.glob("*.json")):  # no step has finished
                remove(folder)
            raise
        if not keep or not any(folder.glob("*.json")):
            remove(folder)


@contextmanager
def work_folder(files: Path, name: str) -> Iterator[Path]:
    """Yields an empty folder of this name, and waits while another process has it, see `night_folder`; it is
    removed when the block ends or fails.
    """
    folder = staging(files) / f"{SCRATCH}{name}"
    with _exclusive(folder):
        empty(folder)
        try:
            yield folder
        finally:
            remove(folder)


@contextmanager
def scratch_folder(files: Path) -> Iterator[Path]:
    """Yields a new folder, which is removed when the block ends or fails."""
    sweep(files)
    with work_folder(files, secrets.token_hex(4)) as folder:
        yield folder


@contextmanager
def naming_full_disk(day: date, files: Path) -> Iterator[None]:
    """Turns the error of a device without space into DiskFull, which names the date and the place.

    files: the folder below which files are written whose error has no name.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, NightError) or not is_full(error):
            raise
        place = getattr(error, "filename", None) or files
        reason = f"{place}: no space left on device" if isinstance(error, OSError) else first_line(error)
        raise DiskFull(f"{day}: {reason}; make some space and run again") from error


def sweep(files: Path) -> None:
    """Removes the scratch folders left by killed processes."""
    for folder in staging(files).glob(f"{SCRATCH}*"):
        with abandoned(folder) as is_abandoned:
            if is_abandoned:
                remove(folder)


@contextmanager
def abandoned(folder: Path) -> Iterator[bool]:
    """Yields whether no running process has the folder; if so, this process has it until the block ends."""
    lock = _lock(folder) if folder.is_dir() else None
    try:
        yield lock is not None
    finally:
        if lock:
            lock.close()


def staging(files: Path) -> Path:
    """Returns the folder that holds a dataset's folders of staged work."""
    return files / "staging"


@contextmanager
def _exclusive(folder: Path) -> Iterator[None]:
    started = None
    while (lock := _lock(folder)) is None:
        if started is None:
            started = time.monotonic()
            log.warning("%s  waiting for the process that works on it: %s", folder.name, _holder(folder))
        elif time.monotonic() - started > WAIT_HOURS * 3600:
            raise StillRunning(
                f"{folder.name}: {_holder(folder)} has worked on it for more than {WAIT_HOURS:g} hours; end "
                "that process and run again"
            )
        time.sleep(0.2)
    with lock:
        yield


def _lock(folder: Path) -> IO[str] | None:
    """Returns the folder's lock file, open and locked; None if another process has it."""
    # Not filelock: whoever has the folder removes it, so the locked file may be gone from its path.
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            file = locked(folder / RUNNING)
        except FileNotFoundError:  # removed since the line above
            continue
        if file is None:
            return None
        if _is_same_file(folder / RUNNING, file):
            file.truncate(0)
            file.write(f"process {os.getpid()} on {gethostname()}")
            file.flush()
            return file
        file.close()  # the folder was removed, and its lock with it


def _is_same_file(path: Path, file: IO[str]) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _holder(folder: Path) -> str:
    try:
        return (folder / RUNNING).read_text(encoding="utf-8") or "it has just begun"
    except FileNotFoundError:
        return "it has just ended"


def empty(folder: Path) -> None:
    """Removes what is in a folder that this process has; its lock stays."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != RUNNING:
            path.unlink()


def remove(folder: Path) -> None:
    """Removes a folder. It is renamed first, since another process may create the same name at any moment."""
    renamed = folder.with_name(f"{SCRATCH}{secrets.token_hex(4)}")
    folder.rename(renamed)
    shutil.rmtree(renamed)
