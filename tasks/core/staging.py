"""Folders of staged work, each one process's alone while that lives: a lock that ends with its process says
so.
"""

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

from tasks.core.file_lock import locked

log = logging.getLogger(__name__)
RUNNING = "running"  # the file in each folder that its process has locked
SCRATCH = "scratch-"


@contextmanager
def night_folder(files: Path, day: date, *, anew: bool = False, keep: bool = False) -> Iterator[Path]:
    """The one folder of a date; another process that has it is waited for.

    Its content goes when the block ends. Where the block fails, or its process is killed, what was computed
    stays for the next run of the date, unless that asks for it `anew`.
    keep: what was computed stays where the block ends well, too.

    keep: whether the content stays where the block ends well, too.
    """
    sweep(files)
    folder = staging(files) / str(day)
    with _waited_for(folder):
        if anew:
            empty(folder)
        try:
            yield folder
        except BaseException:
            if not any(folder.glob("*.json")):  # no step has left a result
                remove(folder)
            raise
        if not keep or not any(folder.glob("*.json")):
            remove(folder)


@contextmanager
def work_folder(files: Path, name: str) -> Iterator[Path]:
    """A folder of this name, empty, and gone when the block ends in whatever way; another process that has
    it is waited for.
    """
    folder = staging(files) / f"{SCRATCH}{name}"
    with _waited_for(folder):
        empty(folder)
        try:
            yield folder
        finally:
            remove(folder)


@contextmanager
def scratch_folder(files: Path) -> Iterator[Path]:
    """A new folder, gone when the block ends."""
    sweep(files)
    with work_folder(files, secrets.token_hex(4)) as folder:
        yield folder


def sweep(files: Path) -> None:
    """Removes the scratch folders that killed processes have left."""
    for left in staging(files).glob(f"{SCRATCH}*"):
        with abandoned(left) as free:
            if free:
                remove(left)


@contextmanager
def abandoned(folder: Path) -> Iterator[bool]:
    """Whether no living process has the folder; if so, this one has it for the length of the block."""
    lock = _lock(folder) if folder.is_dir() else None
    try:
        yield lock is not None
    finally:
        if lock:
            lock.close()


def staging(files: Path) -> Path:
    """Where the folders of staged work of a dataset are."""
    return files / "staging"


@contextmanager
def _waited_for(folder: Path) -> Iterator[None]:
    told = False
    while (lock := _lock(folder)) is None:
        if not told:
            log.warning("%s  waiting for the process that works on it: %s", folder.name, _holder(folder))
            told = True
        time.sleep(0.2)
    with lock:
        yield


def _lock(folder: Path) -> IO[str] | None:
    """The folder's lock file, open and locked; None where another process has it."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            file = locked(folder / RUNNING)
        except FileNotFoundError:  # removed since the line above
            continue
        if file is None:
            return None
        if _is_still(folder / RUNNING, file):
            file.truncate(0)
            file.write(f"process {os.getpid()} on {gethostname()}")
            file.flush()
            return file
        file.close()  # the folder was removed, and its lock with it


def _is_still(path: Path, file: IO[str]) -> bool:
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
    """Out of the way first, as a whole, for another process may take its name at any moment."""
    away = folder.with_name(f"{SCRATCH}{secrets.token_hex(4)}")
    folder.rename(away)
    shutil.rmtree(away)
