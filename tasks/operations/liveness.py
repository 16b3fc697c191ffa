"""Which flow runs live: each locks a file of its own while it does, so that a killed one can be told and is
marked Crashed.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import gethostname
from typing import IO
from uuid import UUID

import httpx
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound, PrefectException
from prefect.runtime import flow_run
from prefect.states import Crashed

from tasks.core.file_lock import locked

log = logging.getLogger(__name__)
FOLDER = "running"


@contextmanager
def live_run(files: Path) -> Iterator[None]:
    """The flow run that calls this lives for the length of the block; earlier ones that were killed are
    marked Crashed first.

    files: the dataset's folder, which all machines that run its flows share.
    """
    mark_crashed(files)
    lock = _announce(files / FOLDER, str(flow_run.id)) if flow_run.id else None
    if lock is None:  # no run of Prefect, or one whose caller has said it already
        yield
        return
    with lock:
        try:
            yield
        finally:
            (files / FOLDER / str(flow_run.id)).unlink(missing_ok=True)


def mark_crashed(files: Path) -> list[str]:
    """Marks every flow run Crashed whose process has ended without a word; gives their ids.

    Where the Prefect server does not answer, the next run asks again.
    """
    killed = [path for path in sorted((files / FOLDER).glob("[!.]*")) if path.name != flow_run.id]
    return [path.name for path in killed if _mark_if_dead(path)]


def _announce(folder: Path, name: str) -> IO[str] | None:
    """The run's file, locked; it takes its name when it is, so that nobody finds it without its lock."""
    path, new = folder / name, folder / f".{name}"
    if path.exists():
        return locked(path)
    folder.mkdir(parents=True, exist_ok=True)
    lock = locked(new)
    assert lock is not None
    lock.write(f"process {os.getpid()} on {gethostname()}")
    lock.flush()
    new.rename(path)
    return lock


def _mark_if_dead(path: Path) -> bool:
    try:
        lock = locked(path)
        if lock is None:
            return False
        with lock:
            lock.seek(0)
            marked = _crashed(UUID(path.name), lock.read() or "its process")
            path.unlink()
        return marked
    except FileNotFoundError:  # it has just ended, or another process has marked it
        return False
    except (httpx.HTTPError, PrefectException) as error:
        log.info(
            "the flow run %s was killed, which Prefect could not be told: %s", path.name, type(error).__name__
        )
        return False


def _crashed(run_id: UUID, process: str) -> bool:
    """Whether the run was not at its end, and is now marked Crashed."""
    with get_client(sync_client=True) as client:
        try:
            run = client.read_flow_run(run_id)
        except ObjectNotFound:  # another server's, or deleted
            return False
        if run.state and run.state.is_final():
            return False
        client.set_flow_run_state(
            run_id, Crashed(message=f"Killed: {process} has ended without a word"), force=True
        )
    log.info("%s was killed: %s has ended without a word; it is marked Crashed", run.name, process)
    return True
